"""Labelled groups as training uses them, read from Stage-A files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from yanshou.errors import DamagedFileError, InputError
from yanshou.missions import Missions
from yanshou.missions.prompts import MAX_SUMMARY_CHARS, verdict_prompt
from yanshou.schema.prompt import Prompt
from yanshou.schema.records import GroupKey, Label, StageARecord
from yanshou.stage_b.shared_photos import PhotosOfGroup
from yanshou.stage_b.verdict import FAIL, PASS
from yanshou.storage.labels_file import Labels
from yanshou.storage.line_place import LinePlace
from yanshou.storage.read_groups import SUMMARIZE_AGAIN, read_groups
from yanshou.text import escape_surrogates

LABEL_GIVEN = "label_given"  # column with the folder's label; always a text, so that all rows have one type
UNSURE = "its latest label is unsure"
NO_LABEL = "it has no label, in its folder or in a labels file"
SOLUTIONS: dict[Label, str] = {"pass": PASS, "fail": FAIL}


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled group."""

    mission: str
    label: Label  # that it is trained with
    group_id: str
    summaries: tuple[str, ...]  # of 图片_1…N
    image_paths: tuple[str, ...]
    prompt: Prompt
    summaries_sha256: str  # of its Stage-A line
    place: LinePlace  # of its Stage-A line
    tokens: int = 0  # of the prompt
    folder_key: GroupKey | None = None  # with labels files: the identity, whose label is the folder's

    @property
    def key(self) -> GroupKey:
        """The identity of the group."""
        return self.folder_key or self.labelled_key

    @property
    def labelled_key(self) -> GroupKey:
        """The group under the label that it is trained with."""
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
            **({} if self.folder_key is None else {LABEL_GIVEN: self.folder_key.label or ""}),
        }


class LabelledGroups(NamedTuple):
    """The groups of Stage-A files, in the files' order."""

    examples: list[Example]
    unlabelled: dict[GroupKey, str]  # with labels files: groups without a label, and why


def read_examples(paths: Sequence[Path], missions: Missions, labels: Labels) -> LabelledGroups:
    """Raises InputError for a group without a label, where there are no labels files."""
    examples: list[Example] = []
    unlabelled: dict[GroupKey, str] = {}
    for place, record in read_groups(paths, StageARecord, missions):
        _check_length(place, record)
        if label := labels.label_of(record.key):
            examples.append(_example(place, record, label, missions, record.key if labels.files else None))
        elif labels.files:
            unlabelled[record.key] = UNSURE if labels.is_unsure(record.key) else NO_LABEL
        else:
            raise InputError(
                f"{place}: group {record.key} has no label (key label is null), and training needs one. Leave the "
                "file out, summarize from the folders 审核通过 and 审核不通过, or give labels with --labels."
            )
    return LabelledGroups(examples, unlabelled)


def _example(place: LinePlace, record: StageARecord, label: Label, missions: Missions, key: GroupKey | None) -> Example:
    summaries = tuple(map(escape_surrogates, record.per_image.values()))
    return Example(
        mission=record.mission,
        label=label,
        group_id=record.group_id,
        summaries=summaries,
        image_paths=tuple(record.images),
        prompt=verdict_prompt(missions.get(record.mission), summaries),
        summaries_sha256=record.summaries_sha256,
        place=place,
        folder_key=key,
    )


def _check_length(place: LinePlace, record: StageARecord) -> None:
    """Raises DamagedFileError for a text that is too long to be about photos."""
    for key, value in record:
        texts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value or ""]
        length = sum(map(len, texts))
        if length > MAX_SUMMARY_CHARS:
            raise DamagedFileError(
                f"{place}: key {key} has {length:,} characters, more than {MAX_SUMMARY_CHARS:,} (group {record.key}). "
                f"{SUMMARIZE_AGAIN}"
            )
