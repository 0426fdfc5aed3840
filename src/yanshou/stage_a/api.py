"""Single photos, batches and groups from Python, processed exactly as by `yanshou summarize`.

    engine = load_engine(EngineSettings(checkpoint="demo"))
    prompt = summary_prompt(load_missions().get("挡风板安装检查"), PromptSettings())
    raw, clean = infer_one_image(engine, Path("photo.jpg"), prompt)

A failure raises the GroupError (a ValueError) that the group would fail with; its message names the photo.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from yanshou.engines.base import Answer, Engine, Request, closing_answers
from yanshou.errors import GroupError, RunError
from yanshou.inputs.discovery import Group
from yanshou.schema.prompt import Prompt
from yanshou.schema.records import StageARecord
from yanshou.stage_a.assembly import GroupAssembler, parse_answer

Photo = str | os.PathLike[str] | Image.Image  # a file, or an image in memory


def infer_one_image(engine: Engine, photo: Photo, prompt: Prompt, allow_truncated: bool = False) -> tuple[str, str]:
    """Raw and clean text of one photo."""
    return infer_batch(engine, [photo], prompt, allow_truncated)[0]


def infer_batch(
    engine: Engine, photos: Sequence[Photo], prompt: Prompt, allow_truncated: bool = False
) -> list[tuple[str, str]]:
    """Raw and clean text of every photo, in order. The engine's batch size decides how many are processed together."""
    opened = [photo if isinstance(photo, Image.Image) else Path(photo) for photo in photos]
    requests = [Request(at, prompt, photo, _key(photo)) for at, photo in enumerate(opened)]
    with closing_answers(engine, requests) as answers:  # also where a photo fails, and the others are not waited for
        texts = {answer.id: _read(answer, opened[answer.id], allow_truncated) for answer in answers}
    if len(texts) < len(requests):
        raise RunError(f"the engine was stopped after {len(texts)} of {len(requests)} photos. Load a new engine.")
    return [texts[at] for at in range(len(photos))]


def process_group(group: Group, engine: Engine, prompt: Prompt, allow_truncated: bool = False) -> StageARecord:
    """The checked record of one group. Raises the first of its errors."""
    (outcome,) = GroupAssembler(engine, prompt, allow_truncated).run([group])
    if outcome.record is None:
        raise outcome.errors[0][1]
    return outcome.record


def _read(answer: Answer, photo: Path | Image.Image, allow_truncated: bool) -> tuple[str, str]:
    name = str(photo) if isinstance(photo, Path) else f"image {answer.id + 1}"
    try:
        return parse_answer(answer, allow_truncated)
    except GroupError as error:
        if name in str(error):
            raise
        raise type(error)(f"{name}: {error}", error.advice) from error


def _key(photo: Path | Image.Image) -> str:
    return photo.name if isinstance(photo, Path) else ""
