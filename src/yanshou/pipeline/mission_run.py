"""One mission's outcomes on their way to the disk.

    outcomes ──► MissionRun.consume ──► lines or faults on disk · counts · listener

A group that fails stops nothing: its faults go to the errors file, and the next run tries it again.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from yanshou.engines.base import Answer, Completion, Engine
from yanshou.errors import CheckpointError, RunError
from yanshou.pipeline.listener import Listener
from yanshou.pipeline.mission_result import MissionResult
from yanshou.pipeline.outcome import Outcome
from yanshou.schema.records import GroupKey, GroupRecord
from yanshou.schema.run_record import Status
from yanshou.storage.run_files import RunFiles

MAX_FAILURES_AT_START = 20  # unusable answers before the first line is ever written: the cause is a general one

RecordT = TypeVar("RecordT", bound=GroupRecord)

logger = logging.getLogger(__name__)


@contextmanager
def mission_errors(result: MissionResult, listener: Listener) -> Iterator[None]:
    """Keeps a RunError of one mission from ending the others: it goes into the result. A CheckpointError ends all."""
    try:
        yield
    except CheckpointError:
        raise
    except RunError as error:
        result.error = str(error)
    finally:  # a progress bar gives the terminal back, whatever ends the run
        listener.end(result)


class MissionRun(Generic[RecordT]):
    """Files, counts and listener of one mission. The context begins the run, and writes how it ended."""

    def __init__(
        self,
        files: RunFiles[RecordT],
        result: MissionResult,
        listener: Listener,
        present: Collection[GroupKey] | None,
    ) -> None:
        self.files, self.result, self.listener, self.present = files, result, listener, present
        result.warnings += files.warnings
        result.lines, result.errors = files.lines.path, files.errors.path

    def __enter__(self) -> "MissionRun[RecordT]":
        self.listener.begin(self.result)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        status: Status = "stopped" if error else "interrupted" if self.result.interrupted else "finished"
        self.files.finish(status, self.result.counts, self.present)
        logger.info("%s: %s after %.1f s: %s", self.result.mission, status, self.result.seconds, self.result.counts)

    def record(self, outcome: Outcome[RecordT]) -> None:
        """Writes a group's line, or its faults."""
        if outcome.record is None:
            self.files.fail(outcome.faults)
            self.result.failed += 1
        else:
            self.files.append(outcome.record)
            self.result.written += 1
        self.listener.group(outcome)

    def on_answer(self, answer: Answer) -> None:
        """Counts an answer; its group may still wait for others."""
        self.result.photos += 1
        self.result.rotated += isinstance(answer, Completion) and answer.rotated
        self.listener.photo(answer)

    def consume(
        self, outcomes: Iterable[Outcome[RecordT]], interrupted: Callable[[], bool], engine: Engine | None
    ) -> None:
        """Records all outcomes, which come from the engine. Raises RunError where no answer is usable."""
        result = self.result
        began, unusable = time.monotonic(), 0
        waited, out_of_memory = (engine.data_wait_s, engine.out_of_memory) if engine else (0.0, 0)
        for outcome in outcomes:
            result.seconds = time.monotonic() - began
            if engine:
                result.waited_s = engine.data_wait_s - waited
                result.out_of_memory = engine.out_of_memory - out_of_memory
            self.record(outcome)
            last = outcome.answer_error
            unusable += last is not None
            if last and unusable >= MAX_FAILURES_AT_START and not self.files.lines.done:
                raise RunError(f"the first {MAX_FAILURES_AT_START} groups all failed. The last error: {last}")
        result.interrupted = interrupted() and result.written + result.skipped + result.failed < result.groups
