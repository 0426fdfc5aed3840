"""How a mission ended, as the command line and the Python API report it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from yanshou.schema.run_record import COUNTS_OF_WHOLE_RUNS


@dataclass(frozen=True, slots=True)
class DecisionCounts:
    """What a policy decided about the groups of a mission."""

    file: Path
    release: int
    block: int
    review: int
    why_review: dict[str, int]  # reason → groups, the most frequent first
    elsewhere: int  # verdicts on disk about groups of other Stage-A files, about which this run decides nothing


@dataclass(slots=True)
class MissionResult:
    """Counts, times and files of one mission in one run."""

    mission: str
    groups: int = 0  # in the input, those beyond the limit not counted
    written: int = 0
    failed: int = 0
    skipped: int = 0  # written by an earlier run
    revised: int = 0  # of the skipped: another threshold changed their verdict
    unbound: int = 0  # of the skipped: verdicts that do not name the summaries they were judged from
    photos: int = 0  # answered in this run; Stage-B: verdicts
    rotated: int = 0  # photos that were turned as their EXIF orientation says
    unknown_folders: int = 0  # that no mission knows, in the input folder; each is counted with one mission
    seconds: float = 0.0  # from the first request to the last line
    waited_s: float = 0.0  # of these, the time in which the model waited for prepared photos
    out_of_memory: int = 0  # out-of-memory errors in this run
    worker_deaths: int = 0  # workers that died or were killed in this run
    stale: int | None = None  # lines whose group is no longer in the input; None: only a whole run counts them
    elsewhere: int | None = None  # lines of other inputs
    pruned: int = 0  # stale lines that this run moved to the file of removed lines
    warnings: list[str] = field(default_factory=list)
    late_warnings: list[str] = field(default_factory=list)  # what is known only at the end of the run
    error: str = ""  # why the mission could not run, or not to its end
    interrupted: bool = False
    lines: Path | None = None
    errors: Path | None = None
    decisions: DecisionCounts | None = None  # under a policy
    removed: Path | None = None  # the file of removed lines, if this run wrote it

    @property
    def images_per_s(self) -> float:
        return self.photos / self.seconds if self.seconds else 0.0

    @property
    def waited(self) -> float:
        """The share of the time in which the model waited for prepared photos."""
        return self.waited_s / self.seconds if self.seconds else 0.0

    @property
    def status(self) -> int:
        """The exit status of this mission alone."""
        return 130 if self.interrupted else 1 if self.error else 3 if self.failed or self.stale else 0

    @property
    def counts(self) -> dict[str, int]:
        """The counts that the run file records."""
        names = (
            "groups", "written", "failed", "skipped", "unbound", "photos", "rotated", "out_of_memory",
            "worker_deaths", "unknown_folders", "pruned",
        )  # fmt: skip
        whole = {name: getattr(self, name) for name in COUNTS_OF_WHOLE_RUNS}
        return {name: getattr(self, name) for name in names} | {n: c for n, c in whole.items() if c is not None}


def exit_status(results: Iterable[MissionResult]) -> int:
    """The worst status of all missions: 130 before 1 before 3 before 0. Without any mission 1."""
    return max((result.status for result in results), key=(0, 3, 1, 130).index, default=1)
