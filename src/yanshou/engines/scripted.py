"""Given answers instead of a model: real photos, real scheduler, real files, no torch. For tests, yours too.

    ScriptedEngine.of({"*": "无关图片×1", "QC-20250101-0000001/2.jpg": "电线/捆扎整齐×2"})
    yanshou summarize --engine scripted --checkpoint answers.json …

`answers.json` is such a mapping under "answers", with options beside it:

    {"answers": {"*": "无关图片×1"}, "decode": true, "delay_s": 0.0, "truncated": ["3.jpg"]}

A photo is looked up as `<group folder>/<file>`, then `<file>`, then `*`.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from yanshou.engines.base import Completion, FinishReason, Request
from yanshou.engines.batched import BatchedEngine
from yanshou.errors import CheckpointError, GenerationError
from yanshou.images import load_photo
from yanshou.jsonl import first_fault
from yanshou.settings import EngineSettings, Settings

STOP = "<|im_end|>"


class Script(Settings):
    """What a scripted engine says, and how."""

    answers: dict[str, str]
    decode: bool = True  # read every photo as a model would; false: photos need not even be there
    delay_s: float = 0.0  # per batch
    truncated: tuple[str, ...] = ()  # these answers end at the token limit


class ScriptedEngine(BatchedEngine[Completion]):
    """Answers from a script. `before_batch` is called with every batch's size, to play out-of-memory and the like."""

    def __init__(
        self, settings: EngineSettings, script: Script | None = None, before_batch: Callable[[int], None] | None = None
    ) -> None:
        super().__init__(settings.batch_size)
        self.settings = settings
        self.script = script or _read(Path(settings.checkpoint))
        self.before_batch = before_batch

    @classmethod
    def of(cls, answers: Mapping[str, str], **options: Any) -> Self:
        """An engine with these answers; `options` are EngineSettings fields, Script fields, or `before_batch`."""
        script = {name: options.pop(name) for name in ("decode", "delay_s", "truncated") if name in options}
        before_batch = options.pop("before_batch", None)
        settings = EngineSettings(checkpoint="scripted", engine="scripted", **options)
        return cls(settings, Script(answers=dict(answers), **script), before_batch)

    def prepare(self, request: Request) -> Completion:
        rotated = False
        if request.photo is not None and self.script.decode:
            rotated = load_photo(request.photo, self.settings.photo.exif).rotated
        name, text = self._answer(request)
        ended: FinishReason = "length" if name in self.script.truncated else "stop"
        return Completion(request.id, text if ended == "length" else text + STOP, ended, len(text) + 1, rotated)

    def complete(self, batch: Sequence[Completion]) -> Sequence[Completion]:
        if self.before_batch:
            self.before_batch(len(batch))
        if self.script.delay_s:
            time.sleep(self.script.delay_s)
        return batch

    def identity(self) -> dict[str, Any]:
        script = hashlib.sha256(self.script.model_dump_json().encode()).hexdigest()
        return {"checkpoint": script, "dtype": "none"}

    def environment(self) -> dict[str, Any]:
        return {"engine": "scripted", "batch_size": self.settings.batch_size}

    def _answer(self, request: Request) -> tuple[str, str]:
        photo = request.photo if isinstance(request.photo, Path) else Path(request.key)
        for name in (f"{photo.parent.name}/{photo.name}", photo.name, "*"):
            if name in self.script.answers:
                return photo.name, self.script.answers[name]
        raise GenerationError(f"the script has no answer for {photo.parent.name}/{photo.name}", 'add it, or "*"')


def _read(path: Path) -> Script:
    try:
        return Script.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise CheckpointError(f"{path}: the script cannot be read ({error.strerror}). Give a JSON file.") from error
    except ValidationError as error:
        raise CheckpointError(f"{path}: not a script: {first_fault(error)}. Correct the file.") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON: {error}. Correct the file.") from error
