"""One mission on its way to the disk: what a run of Stage-A and one of Stage-B have in common.

    outcomes ──► MissionRun.take ──► a line, or faults · counts · whoever listens

A group that fails stops nothing: it stands in the errors file, and the next run tries it again.
"""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from yanshou.engines.base import Completion, Engine
from yanshou.errors import CheckpointError, RunError
from yanshou.pipeline.outcome import Answer, Outcome
from yanshou.schema.records import GroupKey, GroupRecord
from yanshou.storage.run_files import Output, Status

HOPELESS = 20  # groups that fail in a row before anything was ever written: something general is wrong

RecordT = TypeVar("RecordT", bound=GroupRecord)
DigestT = TypeVar("DigestT")


@dataclass(slots=True)
class MissionResult:
    """How one mission ended."""

    mission: str
    groups: int = 0  # in the input, those beyond the limit not counted
    written: int = 0
    failed: int = 0
    skipped: int = 0  # written by an earlier run
    revised: int = 0  # of the skipped: another threshold gave them another verdict
    photos: int = 0  # answered in this run; Stage-B: verdicts
    rotated: int = 0  # turned as their EXIF orientation says
    seconds: float = 0.0  # from the first request to the last line
    waited_s: float = 0.0  # of these, in which the model had nothing to do because no photo was prepared yet
    out_of_memory: int = 0  # times in this run
    warnings: list[str] = field(default_factory=list)
    error: str = ""  # why the mission could not be run, or not to its end
    interrupted: bool = False
    lines: Path | None = None
    errors: Path | None = None

    @property
    def images_per_s(self) -> float:
        return self.photos / self.seconds if self.seconds else 0.0

    @property
    def waited(self) -> float:
        """Share of the time."""
        return self.waited_s / self.seconds if self.seconds else 0.0

    @property
    def status(self) -> int:
        """The exit status of this mission alone."""
        return 130 if self.interrupted else 1 if self.error else 3 if self.failed else 0

    @property
    def counts(self) -> dict[str, int]:
        names = ("groups", "written", "failed", "skipped", "photos", "rotated", "out_of_memory")
        return {name: getattr(self, name) for name in names}


def exit_status(results: Iterable[MissionResult]) -> int:
    """Of all missions together: interrupted, then could not run, then some groups failed."""
    return max((result.status for result in results), key=(0, 3, 1, 130).index, default=1)


class Listener(Protocol):
    """Who wants to know how far the run is."""

    def begin(self, result: MissionResult) -> None: ...
    def photo(self, answer: Answer) -> None: ...
    def group(self, outcome: Outcome[Any]) -> None: ...
    def end(self, result: MissionResult) -> None: ...


class Silence:
    """A listener that says nothing."""

    def begin(self, result: MissionResult) -> None: ...
    def photo(self, answer: Answer) -> None: ...
    def group(self, outcome: Outcome[Any]) -> None: ...
    def end(self, result: MissionResult) -> None: ...


def guarded(result: MissionResult, listener: Listener, work: Callable[[], None]) -> MissionResult:
    """Does the mission's work; what keeps this mission from running does not keep the others from it."""
    try:
        work()
    except CheckpointError:
        raise
    except RunError as problem:
        result.error = str(problem)
    finally:  # a progress bar gives the terminal back, whatever ends the run
        listener.end(result)
    return result


class MissionRun(Generic[RecordT, DigestT]):
    """Output, counts and listener of one mission. As a context it begins the run and writes how it ended."""

    def __init__(
        self, output: Output[RecordT, DigestT], result: MissionResult, listener: Listener, present: Collection[GroupKey]
    ) -> None:
        self.output, self.result, self.listener, self.present = output, result, listener, present
        result.warnings += output.warnings
        result.revised = output.revised
        result.lines, result.errors = output.paths.lines, output.paths.errors

    def __enter__(self) -> "MissionRun[RecordT, DigestT]":
        self.listener.begin(self.result)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        status: Status = "stopped" if error else "interrupted" if self.result.interrupted else "finished"
        self.output.finish(status, self.result.counts, self.present)

    def settle(self, outcome: Outcome[RecordT]) -> None:
        """A group's line, or its faults, on disk."""
        if outcome.record is None:
            self.output.fail(outcome.faults)
            self.result.failed += 1
        else:
            self.output.append(outcome.record)
            self.result.written += 1
        self.listener.group(outcome)

    def heard(self, answer: Answer) -> None:
        """An answer is in; its group may still want others."""
        self.result.photos += 1
        self.result.rotated += isinstance(answer, Completion) and answer.rotated
        self.listener.photo(answer)

    def take(
        self, outcomes: Iterable[Outcome[RecordT]], interrupted: Callable[[], bool], engine: Engine | None
    ) -> None:
        """Settles all outcomes, which the engine answers; RunError where nothing but failures comes."""
        result = self.result
        began, already_failed = time.monotonic(), result.failed
        waited, short = (engine.data_wait_s, engine.out_of_memory) if engine else (0.0, 0)
        for outcome in outcomes:
            result.seconds = time.monotonic() - began
            if engine:
                result.waited_s, result.out_of_memory = engine.data_wait_s - waited, engine.out_of_memory - short
            self.settle(outcome)
            if result.failed - already_failed >= HOPELESS and not self.output.done:
                raise RunError(
                    f"the first {HOPELESS} groups all failed, the last one with: {outcome.faults[0].message}"
                )
        result.interrupted = interrupted() and result.written + result.skipped + result.failed < result.groups
