"""The run file: it decides whether a run may continue the lines on disk, and says how the last run ended."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from yanshou.errors import DamagedFileError, ResumeError
from yanshou.schema.records import GroupRecord, now
from yanshou.schema.run_record import (
    COUNTS_OF_WHOLE_RUNS,
    FORMAT,
    WITHOUT_EFFECT,
    EarlierEnvironment,
    RunRecord,
    Status,
)
from yanshou.storage.atomic import replace_file
from yanshou.storage.jsonl import as_json, dump_line, read_object
from yanshou.storage.lines_file import has_line
from yanshou.storage.settings_diff import START_OVER, Change, check_settings, differences, format_changes
from yanshou.validation import validation_message
from yanshou.version import __version__

logger = logging.getLogger(__name__)


def read_run_record(path: Path, otherwise: str = START_OVER) -> RunRecord:
    """The content of a run file. Raises DamagedFileError; `otherwise` ends its advice: what else the user can do."""
    advice = f"Restore the file, {otherwise}"
    content = read_object(path, advice)
    if content.get("format") != FORMAT:
        raise DamagedFileError(
            f"{path} was written by another version of yanshou (format {content.get('format', 'missing')}, this "
            f"version writes {FORMAT}). Use that version, {otherwise}"
        )
    try:
        return RunRecord.model_validate(content)
    except ValidationError as error:
        raise DamagedFileError(f"{path}: {validation_message(error)}. {advice}") from error


@dataclass(frozen=True, slots=True)
class EarlierRuns:
    """What the runs before this one left: their run file, and whether it is about any line."""

    record: RunRecord | None
    has_lines: bool
    fresh: bool = False  # whatever they left is moved aside

    @property
    def environments(self) -> list[dict[str, Any]]:
        """The environments of the lines so far, the latest first."""
        return self.record.environments() if self.record and self.has_lines else []

    @property
    def inputs(self) -> list[str]:
        """What the groups of the lines so far were read from."""
        return self.record.known_inputs() if self.record and self.has_lines else []


def read_earlier(
    run: Path,
    lines: Path,
    record_type: type[GroupRecord],
    settings: Mapping[str, Any],
    may_change: Mapping[str, Change] | None = None,
) -> EarlierRuns:
    """Reads what earlier runs left, and writes nothing.

    Raises ResumeError for lines without a run file, and for lines that were made with other `settings`, save for those
    that `may_change` names (`sampling.max_new_tokens`).
    """
    if not run.exists():
        if lines.exists() and lines.stat().st_size > 0:
            raise ResumeError(
                f"{lines}: the settings that made these lines are unknown, because {run.name} is missing beside it. "
                f"Put it back, {START_OVER}"
            )
        return EarlierRuns(None, has_lines=False)
    record = read_run_record(run)
    if has_lines := has_line(lines, record_type):
        check_settings(run, record.settings, as_json(settings), may_change or {})
    return EarlierRuns(record, has_lines)


class RunFile:
    """The run file of this run: written when it opens and when it ends."""

    def __init__(
        self,
        path: Path,
        earlier: EarlierRuns,
        settings: Mapping[str, Any],
        environment: Mapping[str, Any],
        inputs: Sequence[str] = (),
    ) -> None:
        before, moment = earlier.record, now()
        self.path = path
        self.warnings: list[str] = []  # how this run's environment differs from that of the lines so far
        self._record = RunRecord(
            format=FORMAT,
            yanshou=__version__,
            status="running",
            counts=before.counts if before else {},
            runs=before.runs + 1 if before else 1,
            started=before.started if before else moment,
            updated=moment,
            settings=as_json(settings),
            environment=as_json(environment),
            earlier_environments=before.earlier_environments if before and earlier.has_lines else [],
            inputs=list(dict.fromkeys([*earlier.inputs, *inputs])),
        )
        if before and earlier.has_lines:
            self._compare(before)

    def open(self) -> None:
        """Writes that the run is running."""
        self._write()

    @property
    def inputs(self) -> list[str]:
        """What the groups of all lines were read from, in this run and in those before it."""
        return self._record.inputs

    def finish(self, status: Status, counts: Mapping[str, int]) -> None:
        """Writes how the run ended. Counts that only a whole run takes are kept until the next whole run."""
        kept = {name: count for name, count in self._record.counts.items() if name in COUNTS_OF_WHOLE_RUNS}
        counts = {**kept, **counts}
        self._record = self._record.model_copy(update={"status": status, "counts": counts, "updated": now()})
        self._write()

    def _compare(self, before: RunRecord) -> None:
        """Records where the environment changed, and warns unless no line depends on it."""
        if changes := list(differences(before.recorded(), self._record.recorded())):
            if telling := [change for change in changes if change.key not in WITHOUT_EFFECT]:
                self.warnings.append(
                    f"{self.path}: this run differs from the lines so far, which stay:{format_changes(telling)}"
                )
            past = EarlierEnvironment(until=now(), environment=before.recorded())
            earlier = [*before.earlier_environments, past]
            self._record = self._record.model_copy(update={"earlier_environments": earlier})

    def _write(self) -> None:
        replace_file(self.path, dump_line(self._record, indent=2))
        logger.debug("%s: status %s, run %d", self.path, self._record.status, self._record.runs)
