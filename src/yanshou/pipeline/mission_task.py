"""What a stage does with one mission: a stage names its settings, and turns groups into outcomes."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from yanshou.errors import GroupError
from yanshou.missions import Mission
from yanshou.pipeline.mission_result import DecisionCounts
from yanshou.pipeline.outcome import AnswerCallback, Outcome
from yanshou.pipeline.stale_lines import AbsentLines
from yanshou.schema.records import GroupKey, GroupRecord
from yanshou.storage.lines_file import LinesFile
from yanshou.storage.run_files import RunFiles
from yanshou.storage.settings_diff import Change

RecordT = TypeVar("RecordT", bound=GroupRecord)


class HasKey(Protocol):
    """A group of the input: photos in a folder, or summaries of a file."""

    @property
    def key(self) -> GroupKey: ...


GroupT = TypeVar("GroupT", bound=HasKey)


class MissionTask(ABC, Generic[GroupT, RecordT]):
    """One mission's groups, and what a stage does with them."""

    kind: ClassVar[str]  # names the files: <mission>_<kind>.jsonl
    may_change: ClassVar[Mapping[str, Change]]  # the settings that a resume may change
    record_type: type[RecordT]

    def __init__(self, mission: Mission, groups: Sequence[GroupT], limit: int | None = None) -> None:
        self.mission = mission
        self.groups = groups if limit is None else groups[:limit]
        self.present = {group.key for group in groups}  # in the input, beyond the limit, too
        self.unusable: list[Outcome[RecordT]] = []  # groups that fail before the model is asked
        self.sees_all = True  # False: other groups may be elsewhere, and their faults stay
        self.whole = limit is None  # a limited run says nothing about stale lines
        self.inputs: list[str] = []  # absolute paths of what the groups are read from
        self.warnings: list[str] = []
        self.error = ""  # why the mission cannot run
        self.unknown_folders = 0  # beside the missions' folders, reported with this mission

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What a resume must have in common with the lines so far."""

    @abstractmethod
    def environment(self, earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Plans the engine and returns where the lines will be made. `earlier`: of the lines so far, latest first."""

    @abstractmethod
    def check(self, group: GroupT, lines: LinesFile[RecordT]) -> GroupError | None:
        """Why the group fails without being asked about. `lines`: those on disk."""

    @abstractmethod
    def outcomes(self, pending: Sequence[GroupT], on_answer: AnswerCallback) -> Iterator[Outcome[RecordT]]:
        """Works on the groups: at most one outcome per group, in input order. A stopped engine leaves some out."""

    @abstractmethod
    def absent(self, lines: LinesFile[RecordT], inputs: Sequence[str]) -> AbsentLines:
        """Sorts the lines whose group is not in the input. `inputs`: what all lines on disk were made from."""

    def check_origin(self, settings: Mapping[str, Any], environments: Sequence[Mapping[str, Any]]) -> list[str]:
        """Warnings. Raises PolicyError where a policy is about other settings.

        `environments`: this run's, and those of the lines so far.
        """
        return []

    def conclude(self, files: RunFiles[RecordT]) -> DecisionCounts | None:
        """What follows from the lines, once all outcomes are recorded. The files are still locked."""
        return None

    def rewrite(self, lines: LinesFile[RecordT]) -> int:
        """Brings the lines on disk to this run's settings. Returns how many changed."""
        return 0
