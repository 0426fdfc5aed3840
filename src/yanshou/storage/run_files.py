"""The files that one run writes for one mission: lines, errors file and run file, under one lock.

    out/挡风板安装检查_stage_a.jsonl          LinesFile    the groups that are done: one checked line each
    out/挡风板安装检查_stage_a.errors.jsonl   ErrorsFile   the groups that fail now: one line per fault
    out/挡风板安装检查_stage_a.run.json       RunFile      the settings and environments that made the lines
    out/挡风板安装检查_decisions.jsonl        replaced whole  with a policy, beside verdicts: what happens to each group
    out/挡风板安装检查_stage_a.removed.jsonl               only where lines were removed: see removed_lines.py
    out/.挡风板安装检查_stage_a.lock          Lock         empty; one run at a time holds it

    with locked_run(output_dir, "挡风板安装检查_stage_a") as paths:
        earlier = read_earlier(paths.run, paths.lines, StageARecord, settings)   # refuses other settings
        environment = …                                                        # may depend on earlier.environments
        with RunFiles.open(paths, StageARecord, mission, earlier, settings, environment) as files:
            files.append(record)
            files.finish("finished", {"written": 1})

A run that is refused leaves every file as it was. A run that is killed at any moment is continued by the next one; it
leaves a run file with the status "running".
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

from yanshou.schema.policy import DecisionRecord
from yanshou.schema.records import Fault, GroupKey, GroupRecord
from yanshou.schema.run_record import Status
from yanshou.storage.atomic import check_folder, move_aside, replace_file
from yanshou.storage.errors_file import ErrorsFile
from yanshou.storage.jsonl import dump_line
from yanshou.storage.lines_file import LinesFile
from yanshou.storage.lock import Lock
from yanshou.storage.run_file import EarlierRuns, RunFile

RecordT = TypeVar("RecordT", bound=GroupRecord)


class RunPaths(NamedTuple):
    """The files of one run."""

    lines: Path
    errors: Path
    run: Path
    removed: Path  # only where lines were removed
    lock: Lock

    @classmethod
    def of(cls, output_dir: Path, stem: str) -> Self:
        endings = ("jsonl", "errors.jsonl", "run.json", "removed.jsonl")
        lines, errors, run, removed = (output_dir / f"{stem}.{ending}" for ending in endings)
        return cls(lines, errors, run, removed, Lock(output_dir / f".{stem}.lock", lines))

    @classmethod
    def beside(cls, lines: Path) -> Self:
        """The files that belong to a file of lines."""
        return cls.of(lines.parent, lines.stem)

    @property
    def decisions(self) -> Path:
        """Only beside verdicts, where a policy decided."""
        return self.lines.with_name(f"{self.lines.stem.removesuffix('_verdicts')}_decisions.jsonl")


@contextmanager
def locked_run(output_dir: Path, stem: str) -> Iterator[RunPaths]:
    """Holds the lock of the run's files.

    Raises LockedError where another run holds the lock, OutputError where the folder cannot be written.
    """
    paths = RunPaths.of(output_dir, stem)
    with paths.lock:
        yield paths


class RunFiles(Generic[RecordT]):
    """The open files of one run."""

    def __init__(self, lines: LinesFile[RecordT], errors: ErrorsFile, run: RunFile, paths: RunPaths) -> None:
        self.lines, self.errors, self.run = lines, errors, run
        self.removed, self.decisions, self._lock = paths.removed, paths.decisions, paths.lock
        self.warnings: list[str] = []  # what a resume repaired, and what is other than in earlier runs

    @classmethod
    def open(
        cls,
        paths: RunPaths,
        record_type: type[RecordT],
        mission: str,
        earlier: EarlierRuns,
        settings: Mapping[str, Any],
        environment: Mapping[str, Any],
        inputs: Sequence[str] = (),
    ) -> Self:
        """Reads and checks what is done and what fails; then repairs their ends, and writes that the run is running.

        With `earlier.fresh`, moves the files of earlier runs aside.

        The caller holds the lock. `inputs`: absolute paths of what the groups are read from; the run file collects
        those of all lines.
        """
        if earlier.fresh:  # lines first: killed in between, this leaves a run file without lines, which refuses nothing
            move_aside([paths.lines, paths.errors, paths.run, paths.removed, paths.decisions])
        lines = LinesFile(paths.lines, record_type, mission)
        errors = ErrorsFile(paths.errors, lines.done)
        files = cls(lines, errors, RunFile(paths.run, earlier, settings, environment, inputs), paths)
        try:
            files._begin()
        except BaseException:
            files.close()
            raise
        return files

    def append(self, record: RecordT) -> None:
        """Writes a group's line: the group is done, and fails no longer."""
        self._lock.check()
        self.lines.append(record)
        self.errors.forget(record.key)

    def fail(self, faults: Sequence[Fault]) -> None:
        """Writes everything that is wrong with one group."""
        self._lock.check()
        self.errors.fail(faults)

    def remove(self, groups: Mapping[int, GroupKey]) -> None:
        """Moves the lines of these groups, by line number, to the file of removed lines."""
        self._lock.check()
        self.lines.remove(groups, self.removed)

    def replace_decisions(self, decisions: Iterable[DecisionRecord]) -> None:
        """Replaces the file of decisions as a whole. A link stays, and the file behind it is replaced."""
        self._lock.check()
        replace_file(self.decisions.resolve(), b"".join(map(dump_line, decisions)))

    def finish(self, status: Status, counts: Mapping[str, int], present: Collection[GroupKey] | None = None) -> None:
        """Writes how the run ended. `present`: the groups in the input; the faults of others are dropped."""
        self._lock.check()
        self.errors.finish(present)
        self.run.finish(status, counts)

    def close(self) -> None:
        """Closes the files, their lines safe on the disk."""
        self.lines.close()
        self.errors.close()

    def _begin(self) -> None:
        self._lock.check()
        check_folder(self.lines.path.parent)  # the lines' end is repaired only where all files can be written
        for file in (self.lines, self.errors):
            self.warnings += file.end.repairs(file.path)
            file.open()
        if not self.lines.sync():
            self.warnings.append(
                f"{self.lines.path}: this file system cannot be told to write to the disk at once (fsync). After a "
                "power cut the latest lines may be missing; the next run redoes them"
            )
        self.run.open()
        self.warnings += self.run.warnings

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
