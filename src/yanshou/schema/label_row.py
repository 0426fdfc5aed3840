"""One row of a labels file: what a person says about a group, after the folders were labelled.

    mission,group_id,label_given,label,who,when
    挡风板安装检查,QC-TEMP-20241022-0015062,pass,fail,Li,2026-02-03T09:30:00+08:00

    {"mission": "挡风板安装检查", "group_id": "QC-TEMP-20241022-0015062", "label_given": "pass", "label": "fail",
     "who": "Li", "when": "2026-02-03T09:30:00+08:00"}

A row is about the group with this mission, label_given and id: label_given is the folder's label, which stays part of
the group's identity in every file. Labels may also be in Chinese (`WORDS`), because reviewers write the file.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from yanshou.schema.policy import FileDigest
from yanshou.schema.records import GroupKey, Label, Record

Answer = Literal["pass", "fail", "unsure"]

WORDS: dict[str, Answer] = {
    "pass": "pass", "通过": "pass", "审核通过": "pass",
    "fail": "fail", "不通过": "fail", "审核不通过": "fail",
    "unsure": "unsure", "不确定": "unsure",
}  # fmt: skip
EXAMPLE = "2026-02-03T09:30:00+08:00"


def _answer(value: Any) -> Any:
    """The label of a word. An empty one is no answer."""
    known = WORDS.get(value.strip().casefold()) if isinstance(value, str) else None
    if known is None:
        raise ValueError("expected pass, fail or unsure (通过, 不通过 or 不确定)")
    return known


def _given(value: Any) -> Any:
    """The folder's label. Empty: the group has none (layout flat)."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    known = WORDS.get(value.strip().casefold()) if isinstance(value, str) else None
    if known not in ("pass", "fail"):
        raise ValueError("expected pass, fail (通过, 不通过), or nothing for a group without a label")
    return known


class LabelRow(Record):
    """What one person says about one group at one time."""

    mission: str = Field(min_length=1, description="The mission's name or an alias.")
    group_id: str = Field(min_length=1, description="Id of the job.")
    label_given: Annotated[Label | None, BeforeValidator(_given)] = Field(
        description="The folder's label: the label in every other file. null or empty: a new job without one."
    )
    label: Annotated[Answer, BeforeValidator(_answer)] = Field(
        description="What the person says; unsure: not to be trained on, a fail in an audit."
    )
    who: str = Field(min_length=1, description="Who says so.")
    when: datetime = Field(description="ISO 8601 with the offset from UTC. Of several rows the latest counts.")

    @field_validator("mission", "group_id", "who", mode="before")
    @classmethod
    def _without_spaces(cls, value: Any) -> Any:
        stripped = value.strip() if isinstance(value, str) else value
        if stripped == "":
            raise ValueError("expected a text")
        return stripped

    @field_validator("when", mode="before")
    @classmethod
    def _time(cls, value: Any, info: ValidationInfo) -> datetime:
        """A time without an offset is refused: rows of people in two time zones could not be ordered."""
        try:
            found = datetime.fromisoformat(value.strip())
        except (AttributeError, ValueError):
            raise ValueError(
                f"expected ISO 8601, as {EXAMPLE}. Excel rewrites dates: format the column as text before typing"
            ) from None
        if found.tzinfo is None:
            raise ValueError(f"the offset from UTC is missing. In China add +08:00, as {EXAMPLE}")
        return found

    @property
    def key(self) -> GroupKey:
        """The identity of its group, under the mission's name as written."""
        return GroupKey(self.mission, self.label_given, self.group_id)


class LabelsUsed(Record):
    """What labels files do to a set of groups. A group with a row is in exactly one of the numbers."""

    files: list[FileDigest]
    confirmed: int = Field(default=0, description="The row gives the folder's label.")
    pass_to_fail: int = Field(default=0, description="The folder says pass, the row fail.")
    fail_to_pass: int = Field(default=0, description="The folder says fail, the row pass.")
    added: int = Field(default=0, description="The folder gives no label, the row does.")
    unsure: int = Field(default=0, description="The group has no label now.")

    @property
    def groups(self) -> int:
        """The groups with a row."""
        return self.confirmed + self.corrected + self.added + self.unsure

    @property
    def corrected(self) -> int:
        return self.pass_to_fail + self.fail_to_pass

    def __str__(self) -> str:
        """`12 groups: 8 confirmed, 2 from pass to fail, 1 from fail to pass, 0 without a label before, 1 unsure`"""
        return (
            f"{self.groups} groups: {self.confirmed} confirmed, {self.pass_to_fail} from pass to fail, "
            f"{self.fail_to_pass} from fail to pass, {self.added} without a label before, {self.unsure} unsure"
        )
