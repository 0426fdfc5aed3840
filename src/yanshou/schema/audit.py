"""A drawn audit: `audit.json`. It names the groups that people look at, and nothing of what the system thinks of them.

{"format": 1, "yanshou": "0.5.0", "created": "2026-02-01T09:30:00+08:00", "seed": 7, "policy": "3c4b…",
 "decisions": [{"file": "挡风板安装检查_decisions.jsonl", "sha256": "…"}],
 "missions": {"挡风板安装检查": {"released": 5210, "blocked": 410, "review": 1830, "sampled": 300}},
 "groups": [{"group_id": "QC-TEMP-20241022-0015062", "mission": "挡风板安装检查", "label_given": null}, …]}
"""

from collections import Counter
from datetime import datetime
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from yanshou.schema.policy import FileDigest
from yanshou.schema.records import TIME, GroupKey, Label, Record

FORMAT: Literal[1] = 1


class MissionPopulation(Record):
    """The groups of one mission in the decisions files, by what the policy decided."""

    released: int = Field(ge=0)
    blocked: int = Field(ge=0)
    review: int = Field(ge=0)
    sampled: int = Field(ge=0, description="Of the released groups.")


class AuditedGroup(Record):
    """A released group that people look at."""

    group_id: str = Field(min_length=1)
    mission: str = Field(min_length=1)
    label_given: Label | None = Field(description="The folder's label; null: a new job.")

    @property
    def key(self) -> GroupKey:
        return GroupKey(self.mission, self.label_given, self.group_id)


class Audit(Record):
    """The content of `audit.json`."""

    format: Literal[1] = Field(description="Of this file.")
    yanshou: str = Field(description="Version that drew the sample.")
    created: str = Field(description=f"The time of the draw: only later answers count. {TIME}")
    seed: int = Field(description="With the released groups it determines the sample.")
    policy: str = Field(pattern="^[0-9a-f]{64}$", description="sha256 of the policy that released the groups.")
    decisions: list[FileDigest] = Field(description="Decisions files from which the groups were drawn.")
    missions: dict[str, MissionPopulation] = Field(description="The groups of the decisions files, by mission.")
    groups: list[AuditedGroup] = Field(min_length=1, description="The sample, in the order of the draw.")

    @field_validator("created")
    @classmethod
    def _with_offset(cls, created: str) -> str:
        """Answers are compared with this moment. Raises ValueError for what is none."""
        if datetime.fromisoformat(created).tzinfo is None:
            raise ValueError("the offset from UTC is missing")
        return created

    @property
    def released(self) -> int:
        """The size of the population: the released groups of all missions."""
        return sum(mission.released for mission in self.missions.values())

    @property
    def not_released(self) -> int:
        """Blocked groups and those that a person decided about."""
        return sum(mission.blocked + mission.review for mission in self.missions.values())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len({group.key for group in self.groups}) < len(self.groups):
            raise ValueError("a group is in groups twice")
        sampled = Counter(group.mission for group in self.groups)
        for name, mission in self.missions.items():
            if sampled.pop(name, 0) != mission.sampled or mission.sampled > mission.released:
                raise ValueError(f"the numbers of mission {name} do not fit the groups")
        if sampled:
            raise ValueError(f"mission {min(sampled)} of a group is not in missions")
        return self
