"""What one run writes for one mission: the lines, the faults, the run's settings. Only this module knows their rules.

    out/挡风板安装检查_stage_a.jsonl          the groups that are done, a checked line each; only ever grows
    out/挡风板安装检查_stage_a.errors.jsonl   the groups that fail now, a line a fault
    out/挡风板安装检查_stage_a.run.json       which settings made the lines:
        {"yanshou": "0.1.0", "status": "finished", "counts": {"written": 11000, "failed": 2}, "runs": 3,
         "begun": "2026-01-18T09:30:00+08:00", "updated": "2026-01-18T14:12:09+08:00",
         "settings": {"checkpoint": "4f0c…", "sampling": {"temperature": 0.0, …}, …},
         "environment": {"device": "cuda:0", …}, "earlier_environments": [{"until": "2026-01-18T11:00:00+08:00", …}]}
    out/.挡风板安装检查_stage_a.lock          empty; one run at a time holds it

    with Output.open(output_dir, "挡风板安装检查_stage_a", StageARecord, mission="挡风板安装检查", …) as output:
        for group in groups:
            if group.key not in output.done:
                output.append(summarize(group))
        output.finish("finished", {"written": len(output.done)})

The lines on disk are the only memory of what is done: a run that is killed at any moment is continued by the next.
A status of "running" with nobody holding the lock is a run that was killed.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, NamedTuple, Self, TypeVar

from pydantic import Field, ValidationError

from yanshou.errors import DamagedFileError, ResumeError
from yanshou.schema.records import Fault, GroupKey, GroupRecord, Record, now
from yanshou.storage.atomic import replace_file, unused_path, write_error
from yanshou.storage.jsonl import Appender, cut_torn_line, dump_line, read_object, read_records
from yanshou.storage.lock import locked
from yanshou.storage.settings_diff import Change, Difference, differences, forbidden, listed
from yanshou.text import excerpt
from yanshou.validation import validation_message

RecordT = TypeVar("RecordT", bound=GroupRecord)
DigestT = TypeVar("DigestT")
EnvironmentAfter = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Any]]  # those so far → this run's

Status = Literal["running", "finished", "interrupted", "stopped"]

FRESH = "--fresh, which keeps the old files under another name"


class EarlierEnvironment(Record):
    """Where lines were made before the run moved."""

    until: str  # when a run elsewhere took over
    environment: dict[str, Any]


class RunFile(Record):
    """What stands in `….run.json`."""

    yanshou: str  # version
    status: Status
    counts: dict[str, int]
    runs: int = Field(ge=1)  # times begun or continued
    begun: str
    updated: str
    settings: dict[str, Any]  # a resume needs the same
    environment: dict[str, Any]  # a resume may differ, and says so
    earlier_environments: list[EarlierEnvironment]

    def whereabouts(self) -> dict[str, Any]:
        """All that a resume may change with a warning."""
        return {"yanshou": self.yanshou, **self.environment}

    def environments(self) -> list[dict[str, Any]]:
        """All of the lines so far, the last one first."""
        return [self.environment, *(one.environment for one in reversed(self.earlier_environments))]


class Paths(NamedTuple):
    """The files of one run."""

    lines: Path
    errors: Path
    run: Path
    lock: Path

    @classmethod
    def of(cls, output_dir: Path, stem: str) -> Self:
        lines, errors, run = (output_dir / f"{stem}.{ending}" for ending in ("jsonl", "errors.jsonl", "run.json"))
        return cls(lines, errors, run, output_dir / f".{stem}.lock")


class Output(Generic[RecordT, DigestT]):
    """The files of one run, locked, and what stands in them. Made by `Output.open`."""

    done: dict[GroupKey, DigestT]  # the groups that have a line, and what the caller wants to remember of each
    failing: dict[GroupKey, list[Fault]]  # what the errors file says
    failed_before: frozenset[GroupKey]  # failed in an earlier run and not written since
    warnings: list[str]  # to be told: how this run's environment differs from that of the lines so far
    moved: list[Path]  # where `fresh` put the old files
    revised: int  # lines that `revise` wrote anew
    _run: RunFile
    _lines: Appender

    @classmethod
    def open(
        cls,
        output_dir: Path,
        stem: str,
        record_type: type[RecordT],
        *,
        mission: str,
        digest: Callable[[RecordT], DigestT],
        settings: Mapping[str, Any],
        environment: EnvironmentAfter,
        may_change: Mapping[str, Change] | None = None,
        revise: Callable[[RecordT], RecordT] | None = None,
        fresh: bool = False,
    ) -> Self:
        """Locks the files, sees whether this run may continue them, and reads what is done.

        Every line has to be about `mission`. Differing `settings` refuse, save those that `may_change` names
        (`sampling.max_new_tokens`). `environment` is given those of the lines so far, the last one first, and gives
        this run's; that it differs from the last one is a warning. `revise` says how a line reads under this run's
        settings: the file is rewritten, whole, where one reads otherwise. A run that is refused leaves every file as
        it was; one that is killed while it rewrites leaves a run file that says "running", with the new settings.
        """
        output = cls(Paths.of(output_dir, stem), digest)
        try:
            output._held.enter_context(locked(output.paths.lock, output.paths.lines))
            if fresh:
                output._move_aside()
            output._begin(_as_json(settings), environment, may_change or {})
            output._read_lines(record_type, mission)
            output._read_faults()
            output._write_faults()
            output._write_run()
            if revise:
                output._revise(record_type, revise)
        except BaseException:
            output.close()
            raise
        return output

    def __init__(self, paths: Paths, digest: Callable[[RecordT], DigestT]) -> None:
        self.paths = paths
        self.done, self.failing, self.failed_before = {}, {}, frozenset()
        self.warnings, self.moved, self.revised = [], [], 0
        self._digest = digest
        self._held = ExitStack()  # the lock, then the open file

    def append(self, record: RecordT) -> None:
        """Writes a group's line: from here on it is done, and fails no longer."""
        assert record.key not in self.done, record.key
        self._lines.append(record)
        self.done[record.key] = self._digest(record)
        self.failing.pop(record.key, None)

    def fail(self, faults: Sequence[Fault]) -> None:
        """Writes all that is wrong with one group, at once; what was wrong with it before is forgotten."""
        key, moment = faults[0].key, now()
        assert all(fault.key == key for fault in faults), faults
        before = self.failing.pop(key, [])
        self.failing[key] = [fault.model_copy(update={"timestamp": moment}) for fault in faults]
        if before and before[0].timestamp == moment:  # the file tells two attempts apart by nothing but the time
            self._write_faults()
        else:
            with Appender(self.paths.errors) as file:
                file.append_bytes(b"".join(map(dump_line, self.failing[key])))

    def finish(self, status: Status, counts: Mapping[str, int], present: Collection[GroupKey] | None = None) -> None:
        """Brings the errors file down to what fails now, and writes how the run ended.

        `present`: the groups in the input; one whose folder is gone fails no longer. None keeps all.
        """
        if present is not None:
            self.failing = {key: faults for key, faults in self.failing.items() if key in present}
        self._write_faults()
        self._run = self._run.model_copy(update={"status": status, "counts": dict(counts)})
        self._write_run()

    def close(self) -> None:
        """Closes the lines, safe on the disk, and lets the next run in."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _move_aside(self) -> None:
        """The lines go first: killed in between, what is left is a run file without lines, which refuses nothing."""
        moment = datetime.now().astimezone().strftime("%Y%m%dT%H%M%S")
        for path in (self.paths.lines, self.paths.errors, self.paths.run):
            if not path.exists():
                continue
            aside = unused_path(path.with_name(f"{path.name}.{moment}"), ".old")
            try:
                path.rename(aside)
            except OSError as error:
                raise write_error(aside, error) from error
            self.moved.append(aside)

    def _begin(
        self,
        settings: dict[str, Any],
        environment_after: EnvironmentAfter,
        may_change: Mapping[str, Change],
    ) -> None:
        """Decides whether this run may continue, and what its run file says."""
        earlier = self._earlier_run()
        environment: dict[str, Any]
        moved: list[EarlierEnvironment] = []
        if earlier and _has_line(self.paths.lines):
            self._refuse(forbidden(list(differences(earlier.settings, settings)), may_change))
            environment = _as_json(environment_after(earlier.environments()))
            changes = list(differences(earlier.whereabouts(), {"yanshou": _version(), **environment}))
            moved = list(earlier.earlier_environments)
            if changes:
                told = f"{self.paths.run}: this run differs from the lines so far, which stay:{listed(changes)}"
                self.warnings.append(told)
                moved.append(EarlierEnvironment(until=now(), environment=earlier.whereabouts()))
        else:
            environment = _as_json(environment_after([]))
        self._run = RunFile(
            yanshou=_version(),
            status="running",
            counts=earlier.counts if earlier else {},
            runs=earlier.runs + 1 if earlier else 1,
            begun=earlier.begun if earlier else now(),
            updated=now(),
            settings=settings,
            environment=environment,
            earlier_environments=moved,
        )

    def _earlier_run(self) -> RunFile | None:
        lines, run = self.paths.lines, self.paths.run
        if not run.exists():
            if lines.exists() and lines.stat().st_size > 0:
                raise ResumeError(
                    f"{lines}: which settings made these lines is not known, {run.name} is missing beside it. "
                    f"Put it back, choose another --output-dir, or start over: {FRESH}."
                )
            return None
        advice = f"Restore the file, or start over: {FRESH}."
        try:
            return RunFile.model_validate(read_object(run, advice))
        except ValidationError as error:
            raise DamagedFileError(f"{run}: {validation_message(error)}. {advice}") from error

    def _refuse(self, changes: Sequence[Difference]) -> None:
        if changes:
            raise ResumeError(
                f"{self.paths.run}: the lines so far were made with other settings:{listed(changes)}\n"
                f"Use the same settings, choose another --output-dir, or start over: {FRESH}."
            )

    def _revise(self, record_type: type[RecordT], revise: Callable[[RecordT], RecordT]) -> None:
        before = [record for _, record in read_records(self.paths.lines, record_type)]
        after = [revise(record) for record in before]
        self.revised = sum(one != other for one, other in zip(before, after, strict=True))
        if self.revised:
            replace_file(self.paths.lines, b"".join(map(dump_line, after)))
            self._lines = self._held.enter_context(Appender(self.paths.lines))  # the old one holds the old file

    def _read_lines(self, record_type: type[RecordT], mission: str) -> None:
        self._lines = self._held.enter_context(Appender(self.paths.lines))  # cuts off a torn last line
        numbers: dict[GroupKey, int] = {}
        for number, record in read_records(self.paths.lines, record_type):
            if record.key.mission != mission:
                raise DamagedFileError(
                    f"{self.paths.lines}:{number}: group {record.key.group_id} is of mission "
                    f"{excerpt(record.key.mission)}, this file is {mission}'s. Delete the line and run again."
                )
            first = numbers.setdefault(record.key, number)
            if first != number:
                raise DamagedFileError(
                    f"{self.paths.lines}:{number}: group {record.key.group_id} (label {record.key.label}) stands on "
                    f"line {first} already. Delete one of the two lines and run again."
                )
            self.done[record.key] = self._digest(record)

    def _read_faults(self) -> None:
        """Keeps of every group its latest attempt, and of groups that were written since nothing."""
        path = self.paths.errors
        cut_torn_line(path)
        if path.exists():
            for _, fault in read_records(path, Fault, "Delete the line: the group is tried again in any case."):
                attempt = self.failing.get(fault.key)
                if attempt and attempt[0].timestamp == fault.timestamp:
                    attempt.append(fault)
                elif fault.key not in self.done:
                    self.failing.pop(fault.key, None)
                    self.failing[fault.key] = [fault]
        self.failed_before = frozenset(self.failing)

    def _write_faults(self) -> None:
        replace_file(
            self.paths.errors, b"".join(dump_line(fault) for faults in self.failing.values() for fault in faults)
        )

    def _write_run(self) -> None:
        self._run = self._run.model_copy(update={"updated": now()})
        replace_file(self.paths.run, dump_line(self._run, indent=2))


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they come back from the file: a tuple as a list."""
    return dict(json.loads(json.dumps(values, allow_nan=False)))


def _version() -> str:
    try:
        return version("yanshou")
    except PackageNotFoundError:  # a checkout on the path, not installed
        return "unknown"


def _has_line(path: Path) -> bool:
    """A torn first line counts for nothing."""
    if not path.exists():
        return False
    try:
        with path.open("rb") as file:
            return file.readline().endswith(b"\n")
    except OSError as error:
        raise write_error(path, error) from error
