"""Labelled groups as training uses them, read from Stage-A files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yanshou.errors import DamagedFileError, InputError
from yanshou.missions import Missions
from yanshou.missions.prompts import MAX_SUMMARY_CHARS, verdict_prompt
from yanshou.schema.prompt import Prompt
from yanshou.schema.records import GroupKey, Label, StageARecord
from yanshou.stage_b.shared_photos import PhotosOfGroup
from yanshou.stage_b.verdict import FAIL, PASS
from yanshou.storage.read_groups import SUMMARIZE_AGAIN, read_groups
from yanshou.text import escape_surrogates

SOLUTIONS: dict[Label, str] = {"pass": PASS, "fail": FAIL}


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled group."""

    mission: str
    label: Label
    group_id: str
    summaries: tuple[str, ...]  # of 图片_1…N
    image_paths: tuple[str, ...]
    prompt: Prompt
    summaries_sha256: str  # of its Stage-A line
    tokens: int = 0  # of the prompt
    place: str = ""  # of its Stage-A line: file:line

    @property
    def key(self) -> GroupKey:
        return GroupKey(self.mission, self.label, self.group_id)

    @property
    def photos(self) -> PhotosOfGroup:
        return PhotosOfGroup(self.place, self.key, self.image_paths, self.summaries)

    @property
    def row(self) -> dict[str, Any]:
        """The line of the dataset; its keys are the columns."""
        messages = [("system", self.prompt.system), ("user", self.prompt.user)]
        return {
            "messages": [{"role": role, "content": content} for role, content in messages],
            "solution": SOLUTIONS[self.label],
            "group_id": self.group_id,
            "mission": self.mission,
            "summaries": self.summaries,
            "image_paths": [escape_surrogates(path) for path in self.image_paths],
        }


def read_examples(paths: Sequence[Path], missions: Missions) -> Iterator[Example]:
    """The groups of Stage-A files, in the files' order. Raises InputError for a group without a label."""
    for place, record in read_groups(paths, StageARecord, missions):
        _check_length(place, record)
        if record.label is None:
            raise InputError(
                f"{place}: group {record.key} has no label (key label is null), and training needs one. Leave the "
                "file out, or summarize from the folders 审核通过 and 审核不通过."
            )
        summaries = tuple(map(escape_surrogates, record.per_image.values()))
        prompt = verdict_prompt(missions.get(record.mission), summaries)
        images = tuple(record.images)
        yield Example(
            record.mission,
            record.label,
            record.group_id,
            summaries,
            images,
            prompt,
            record.summaries_sha256,
            place=place,
        )


def _check_length(place: str, record: StageARecord) -> None:
    """Raises DamagedFileError for a text that is too long to be about photos."""
    for key, value in record:
        texts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value or ""]
        length = sum(map(len, texts))
        if length > MAX_SUMMARY_CHARS:
            raise DamagedFileError(
                f"{place}: key {key} has {length:,} characters, more than {MAX_SUMMARY_CHARS:,} (group {record.key}). "
                f"{SUMMARIZE_AGAIN}"
            )
