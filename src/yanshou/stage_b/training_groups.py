"""The groups that a checkpoint was trained on: the file `training_groups` in the folder that `yanshou train` makes.

    {"format": 1, "checkpoint": "4f0c…", "groups": ["09ab3c…", …], "unnamed_rows": 0, "complete": true}

Nothing loads this file, and it is no part of the fingerprint. Each group is a digest, so the file names no site. It
holds the groups of earlier trainings, too, where the source checkpoint has the file (SFT, then GRPO).
"""

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from yanshou.errors import DamagedFileError
from yanshou.missions import Missions
from yanshou.schema.records import GroupKey, Record
from yanshou.stage_b.dataset_rows import TrainRow, read_rows
from yanshou.storage.jsonl import read_object
from yanshou.storage.read_groups import canonical_key
from yanshou.validation import validation_message

NAME = "training_groups"  # another ending (.json, .txt, .jinja) would change the checkpoint's fingerprint
DIGITS = 16
REMEDY = "Move the file away: then it is unknown what the checkpoint was trained on."


class TrainingGroups(Record):
    """The content of the file."""

    format: Literal[1] = Field(description="Version of this file's format.")
    checkpoint: str = Field(description="Fingerprint of the checkpoint that was trained.")
    groups: list[str] = Field(description="Digests of mission and group id; see `group_digest`.")
    unnamed_rows: int = Field(description="Rows without mission or group id, of all trainings.")
    complete: bool = Field(description="false: an earlier training of the checkpoint has no such file.")


class IdentifiedRow(TrainRow):
    """A training row that may lack what identifies its group."""

    mission: Any = None

    @property
    def identity(self) -> GroupKey | None:
        if isinstance(self.mission, str) and isinstance(self.group_id, str):
            return GroupKey(self.mission, None, self.group_id)
        return None


@dataclass(frozen=True, slots=True)
class Source:
    """What a training starts from."""

    folder: Path  # whole weights
    adapter: bool  # an adapter was merged into them: it comes from a training that is not recorded


def group_digest(key: GroupKey) -> str:
    """Identifies a group by mission and group id: a correction of the label changes nothing about the training."""
    text = f"{key.mission}\n{key.group_id}"
    return sha256(text.encode("utf-8", errors="backslashreplace")).hexdigest()[:DIGITS]


def training_groups(rows: Path, source: Source, checkpoint: str, missions: Missions) -> TrainingGroups:
    """The groups of the rows and of the source's trainings. `checkpoint`: the result's fingerprint."""
    keys = [row.identity for _, row in read_rows(rows, IdentifiedRow)]
    named = {group_digest(canonical_key(key, missions)) for key in keys if key}
    earlier = read_training_groups(source.folder)
    return TrainingGroups(
        format=1,
        checkpoint=checkpoint,
        groups=sorted(named.union(earlier.groups if earlier else ())),
        unnamed_rows=keys.count(None) + (earlier.unnamed_rows if earlier else 0),
        complete=not source.adapter and (earlier.complete if earlier else not _trained_without_record(source.folder)),
    )


def read_training_groups(folder: Path) -> TrainingGroups | None:
    """The groups that a checkpoint was trained on; None: it has no such file. Raises DamagedFileError."""
    path = folder / NAME
    try:
        if not path.is_file():
            return None
    except OSError:  # a run file may name a folder that cannot exist here
        return None
    try:
        return TrainingGroups.model_validate(read_object(path, REMEDY))
    except ValidationError as error:
        raise DamagedFileError(f"{path}: {validation_message(error)}. {REMEDY}") from error


def trained_on(keys: Collection[GroupKey], record: TrainingGroups) -> list[GroupKey]:
    """The groups that are in the record."""
    known = set(record.groups)
    return [key for key in keys if group_digest(key) in known]


def _trained_without_record(folder: Path) -> bool:
    """Whether an earlier version of `yanshou train` made the folder."""
    return (folder.parent / "train.run.json").exists()
