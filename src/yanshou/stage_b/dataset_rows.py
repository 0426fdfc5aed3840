"""The rows of a training file, checked before a trainer starts, which would fail minutes later with a vaguer message.

    {"messages": [{"role": "system", …}, {"role": "user", …}], "solution": "通过",
     "mission": "挡风板安装检查", "summaries": ["挡风板/华为,显示完整,安装方向正确×1"], …}

Other columns are allowed, except those that ms-swift and TRL interpret.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from yanshou.errors import InputError
from yanshou.schema.records import GroupKey, Label
from yanshou.stage_b.verdict import PASS
from yanshou.storage.jsonl import read_records

REBUILD = "Build the file again with `yanshou dataset`."
RESERVED_COLUMNS = frozenset({
    *("image", "images", "video", "videos", "audio", "audios"),  # these make ms-swift train on pictures
    *("answer", "output", "text", "prompt", "query", "response", "instruction", "conversations"),  # these are renamed
})  # fmt: skip

RowT = TypeVar("RowT", bound="TrainRow")


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    role: Literal["system", "user"]
    content: str


def _question(messages: list[Message]) -> list[Message]:
    if [message.role for message in messages] != ["system", "user"]:
        raise ValueError("expected a system message and a user message, without an answer")
    return messages


class TrainRow(BaseModel):
    """The columns that GRPO needs."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    messages: Annotated[list[Message], AfterValidator(_question)]
    solution: Literal["通过", "不通过"]  # the human label
    group_id: Any = None  # rows of another program may lack it

    @model_validator(mode="before")
    @classmethod
    def _no_reserved_column(cls, row: Any) -> Any:
        if isinstance(row, dict) and (reserved := sorted(RESERVED_COLUMNS & set(row))):
            raise ValueError(f"column {reserved[0]} has another meaning for the trainer")
        return row


class GroupRow(TrainRow):
    """The columns that identify the group, too."""

    mission: str
    group_id: str
    label_given: Literal["pass", "fail", ""] | None = None  # the folder's label; "": none; None: that of the solution

    @property
    def label(self) -> Label:
        """That the group is trained with."""
        return "pass" if self.solution == PASS else "fail"

    @property
    def key(self) -> GroupKey:
        """The identity of the group."""
        return GroupKey(
            self.mission, self.label if self.label_given is None else self.label_given or None, self.group_id
        )


class ReasonedRow(TrainRow):
    """The columns that SFT needs to write the reason, too."""

    mission: str
    summaries: list[str]


class ScoredRow(TrainRow):
    """The columns that the reward `grounded` needs, as far as the row has them."""

    mission: str | None = None
    summaries: list[str] | None = None


def read_rows(path: Path, row_type: type[RowT]) -> Iterator[tuple[int, RowT]]:
    """Line number (from 1) and row of every line. Raises InputError and DamagedFileError, naming file and line."""
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path}: no row to train on. {REBUILD}")
    yield from read_records(path, row_type, REBUILD)


def check_rows(path: Path) -> set[str]:
    """Checks every row for GRPO, and returns the ids of the groups, as far as the rows have them."""
    return {row.group_id for _, row in read_rows(path, TrainRow) if isinstance(row.group_id, str)}
