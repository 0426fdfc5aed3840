"""An engine that answers from a script instead of a model: real photos, scheduler and files, no torch. For tests.

    ScriptedEngine.of({"*": "无关图片×1", "QC-20250101-0000001/2.jpg": "电线/捆扎整齐×2"})
    yanshou summarize --engine scripted --checkpoint answers.json …

`answers.json` holds such a mapping under "answers", and options beside it:

    {"answers": {"*": "无关图片×1"}, "decode": true, "delay_s": 0.0, "truncated": ["3.jpg"]}

A photo is looked up as `<group folder>/<file>`, then `<file>`, then `*`; a group to be judged as `<label>/<group id>`,
then `<group id>`, then `*`. `confidence` is looked up in the same way: the probability of the answer's first line.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, ValidationError

from yanshou.engines.base import Completion, FinishReason, Request
from yanshou.engines.batching import BatchedEngine
from yanshou.errors import CheckpointError, GenerationError
from yanshou.inputs.images import load_photo
from yanshou.settings import BATCH_SIZE, EngineSettings, Settings
from yanshou.storage.jsonl import dump_line
from yanshou.validation import validation_message

STOP = "<|im_end|>"
ValueT = TypeVar("ValueT")
Likelihood = Annotated[float, Field(gt=0, lt=1)]


class Script(Settings):
    """What a scripted engine answers, and how."""

    answers: dict[str, str]
    decode: bool = True  # read every photo as a model would; false: photos need not exist
    delay_s: float = 0.0  # per batch
    truncated: tuple[str, ...] = ()  # files whose answers end at the token limit
    confidence: dict[str, Likelihood] = Field(default={"*": 0.9})  # probability of the first line


class ScriptedEngine(BatchedEngine[Completion]):
    """Answers from a script. `before_batch` is called with the size of every batch and may raise OutOfMemoryError."""

    def __init__(
        self, settings: EngineSettings, script: Script | None = None, before_batch: Callable[[int], None] | None = None
    ) -> None:
        super().__init__(settings.batch_size or BATCH_SIZE)
        self.settings = settings
        self.script = script or _read(Path(settings.weights))
        self.before_batch = before_batch

    @classmethod
    def of(cls, answers: Mapping[str, str], **options: Any) -> Self:
        """An engine with these answers. `options` are fields of EngineSettings or Script, or `before_batch`."""
        script = {
            name: options.pop(name) for name in ("decode", "delay_s", "truncated", "confidence") if name in options
        }
        before_batch = options.pop("before_batch", None)
        settings = EngineSettings(checkpoint="scripted", engine="scripted", **options)
        return cls(settings, Script(answers=dict(answers), **script), before_batch)

    def prepare(self, request: Request) -> Completion:
        rotated = False
        if request.photo is not None and self.script.decode:
            rotated = load_photo(request.photo, self.settings.photo.exif).rotated
        names = _names(request)
        text = _look_up(self.script.answers, names)
        if text is None:
            raise GenerationError(f"the script has no answer for {names[0]}", 'add it, or "*"')
        ended: FinishReason = "length" if names[1] in self.script.truncated else "stop"
        logprobs = self._logprobs(names, text, request.candidates)
        written = text if ended == "length" else text + STOP
        return Completion(request.id, written, ended, len(text) + 1, rotated, logprobs)

    def complete(self, batch: Sequence[Completion]) -> Sequence[Completion]:
        if self.before_batch:
            self.before_batch(len(batch))
        if self.script.delay_s:
            time.sleep(self.script.delay_s)
        return batch

    def identity(self) -> dict[str, Any]:
        script = hashlib.sha256(dump_line(self.script)).hexdigest()
        return {"checkpoint": script, "dtype": "none"}

    def environment(self) -> dict[str, Any]:
        return {"engine": "scripted", "batch_size": self.settings.batch_size or BATCH_SIZE}

    def _logprobs(self, names: Sequence[str], text: str, candidates: Sequence[str]) -> tuple[float, ...]:
        """The answer's first line has its confidence as probability; the other candidates share the rest."""
        confidence = _look_up(self.script.confidence, names) or 0.5
        other = (1 - confidence) / max(1, len(candidates) - 1)
        first_line = text.split("\n")[0]
        return tuple(math.log(confidence if line == first_line else other) for line in candidates)


def _names(request: Request) -> tuple[str, str, str]:
    """The keys under which a request is looked up, in this order."""
    photo = request.photo if isinstance(request.photo, Path) else Path(request.key)
    return f"{photo.parent.name}/{photo.name}", photo.name, "*"


def _look_up(script: Mapping[str, ValueT], names: Sequence[str]) -> ValueT | None:
    return next((script[name] for name in names if name in script), None)


def _read(path: Path) -> Script:
    try:
        return Script.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise CheckpointError(f"{path}: the script cannot be read ({error.strerror}). Give a JSON file.") from error
    except ValidationError as error:
        raise CheckpointError(f"{path}: not a script: {validation_message(error)}. Correct the file.") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON: {error}. Correct the file.") from error
