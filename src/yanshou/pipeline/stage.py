"""A stage over several missions: what Stage-A and Stage-B have in common.

    tasks ──► Stage.run ──► one MissionResult per task          interrupt() ends the run after the current batch
                 │
                 └─ per mission: lock · read what is there · plan the engine · open the files · record the outcomes ·
                                 report the stale lines

A mission that cannot run (locked, damaged, other settings) does not keep the others from running.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from yanshou.engines.base import Engine
from yanshou.errors import InputError
from yanshou.pipeline.listener import Listener, NullListener
from yanshou.pipeline.mission_result import MissionResult
from yanshou.pipeline.mission_run import MissionRun, mission_errors
from yanshou.pipeline.mission_task import GroupT, MissionTask
from yanshou.pipeline.outcome import Outcome
from yanshou.pipeline.stale_lines import AbsentLines, settle
from yanshou.schema.records import GroupRecord
from yanshou.storage.run_file import EarlierRuns, read_earlier
from yanshou.storage.run_files import RunFiles, locked_run

RecordT = TypeVar("RecordT", bound=GroupRecord)

logger = logging.getLogger(__name__)


class Stage:
    """One engine over several missions. `engine` is None where no model is asked.

    `prune_share`: stale lines are moved away if they are at most this share of their file.
    """

    def __init__(
        self,
        tasks: Sequence[MissionTask[Any, Any]],
        engine: Engine | None,
        output_dir: Path,
        *,
        fresh: bool = False,
        prune_share: float = 0.0,
        listener: Listener | None = None,
    ) -> None:
        self.tasks, self.engine, self.output_dir = tasks, engine, output_dir
        self.fresh, self.prune_share = fresh, prune_share
        self.listener = listener or NullListener()
        self.interrupted = False

    def interrupt(self) -> None:
        """Ends the run after the current batch (without a model: the current group). Safe from a signal handler."""
        self.interrupted = True
        if self.engine:
            self.engine.stop()

    def run(self) -> list[MissionResult]:
        """Runs every mission to its end, whatever the end is. Raises CheckpointError."""
        return [self._result(task) for task in self.tasks]

    def _result(self, task: MissionTask[GroupT, RecordT]) -> MissionResult:
        groups = len(task.groups) + len(task.unusable)
        result = MissionResult(task.mission.name, groups=groups, warnings=list(task.warnings))
        result.unknown_folders = task.unknown_folders
        with mission_errors(result, self.listener):
            self._run(task, result)
        return result

    def _run(self, task: MissionTask[GroupT, RecordT], result: MissionResult) -> None:
        if task.error:
            raise InputError(task.error)
        deaths = self.engine.worker_deaths if self.engine else 0  # planning starts workers, too
        with self._files(task) as files:
            result.warnings += self.engine.take_warnings() if self.engine else []
            result.revised = task.rewrite(files.lines)
            with MissionRun(files, result, self.listener, task.present if task.sees_all else None) as run:
                for outcome in task.unusable:
                    run.record(outcome)
                pending = list(_pending(task, run))
                logger.info(
                    "%s: %d groups, %d of them done, %d to do",
                    task.mission.name, result.groups, result.skipped, len(pending),
                )  # fmt: skip
                try:
                    run.consume(self._outcomes(task, pending, run), lambda: self.interrupted, self.engine)
                finally:
                    if self.engine:
                        result.late_warnings += self.engine.take_warnings()
                        result.worker_deaths = self.engine.worker_deaths - deaths
                if task.whole and not result.interrupted:
                    settle(_absent(task, files), run, self.prune_share)
                result.decisions = task.conclude(files)

    @contextmanager
    def _files(self, task: MissionTask[GroupT, RecordT]) -> Iterator[RunFiles[RecordT]]:
        """The mission's files, locked. The engine is planned in between: its environment depends on earlier ones."""
        settings = task.settings()
        with locked_run(self.output_dir, f"{task.mission.name}_{task.kind}") as paths:
            earlier = (
                EarlierRuns(None, has_lines=False, fresh=True)
                if self.fresh
                else read_earlier(paths.run, paths.lines, task.record_type, settings, task.may_change)
            )
            environment = task.environment(earlier.environments)
            about_policy = task.check_origin(settings, [environment, *earlier.environments])
            with RunFiles.open(
                paths, task.record_type, task.mission.name, earlier, settings, environment, task.inputs
            ) as files:
                files.warnings += about_policy
                yield files

    def _outcomes(
        self, task: MissionTask[GroupT, RecordT], pending: Sequence[GroupT], run: MissionRun[RecordT]
    ) -> Iterator[Outcome[RecordT]]:
        if not pending or self.interrupted:
            return iter(())
        outcomes = task.outcomes(pending, run.on_answer)
        return outcomes if self.engine else takewhile(lambda _: not self.interrupted, outcomes)


def _absent(task: MissionTask[Any, RecordT], files: RunFiles[RecordT]) -> AbsentLines:
    """The lines whose group is not in the input. The file is read again only where there are such lines."""
    lines = files.lines
    return AbsentLines() if lines.done.keys() <= task.present else task.absent(lines, files.run.inputs)


def _pending(task: MissionTask[GroupT, RecordT], run: MissionRun[RecordT]) -> Iterator[GroupT]:
    """The groups to work on. Those that fail at once are recorded, those that are done counted."""
    lines = run.files.lines
    for group in task.groups:
        if error := task.check(group, lines):
            run.record(Outcome.failed(group.key, error))
        elif group.key in lines.done:
            run.result.skipped += 1
            run.result.unbound += not lines.done[group.key]
        else:
            yield group
