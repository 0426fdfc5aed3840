"""One line of `<labels>.answers.jsonl`: what one person said about a group at one time, or took back.

    {"uid": "0b7c…", "mission": "挡风板安装检查", "group_id": "QC-TEMP-20241022-0015062", "label_given": "pass",
     "reader": "李", "role": "reader", "label": "fail", "reason": "挡风板缺失", "blind": true, "sampled": false,
     "seconds": 12.4, "supersedes": null, "at": "2026-02-03T09:30:00.125+08:00"}

Lines are in the order in which answers were stored, which clocks do not change.
"""

from typing import Literal

from pydantic import Field

from yanshou.schema.label_row import Answer
from yanshou.schema.records import GroupKey, Label, Record


class AnswerLine(Record):
    """An answer, or an undo."""

    uid: str = Field(min_length=1, description="Made by the page: the same answer sent twice is stored once.")
    mission: str = Field(min_length=1, description="The mission's own name, never an alias.")
    group_id: str = Field(min_length=1, description="Id of the job.")
    label_given: Label | None = Field(description="The folder's label; null: a new job without one.")
    reader: str = Field(min_length=1, description="The name that the person gave.")
    role: Literal["reader", "lead"] = Field(description="The lead's answer is final.")
    label: Answer | None = Field(description="What the person says; null: an undo of the answer that it supersedes.")
    reason: str | None = Field(description="From the mission's vocabulary, or free text; null: none.")
    blind: bool = Field(description="Nothing that the machine or the folder says was shown to the reader before.")
    sampled: bool = Field(description="The group is of the random share that two people read.")
    seconds: float | None = Field(ge=0, description="For which the page showed the group, in seconds; null: an undo.")
    supersedes: str | None = Field(
        description="uid of the answer that an undo takes back, or a later one of the lead replaces; null: none."
    )
    at: str = Field(description="ISO 8601, milliseconds, local offset.")

    @property
    def key(self) -> GroupKey:
        return GroupKey(self.mission, self.label_given, self.group_id)
