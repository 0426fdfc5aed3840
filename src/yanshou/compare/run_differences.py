"""In which settings two runs differ, from the run files beside their lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yanshou.errors import DamagedFileError, InputError
from yanshou.schema.run_record import RunRecord
from yanshou.storage.run_file import read_run_record
from yanshou.storage.run_files import RunPaths
from yanshou.storage.settings_diff import ABSENT, Difference, differences
from yanshou.text import printable


@dataclass(frozen=True, slots=True)
class RunDifferences:
    """What the run files of A and B say."""

    settings: tuple[Difference, ...]  # what decides the lines; `file` is A's value, `run` B's
    environment: tuple[Difference, ...]  # where the runs ran
    thresholds: tuple[float | None, float | None]
    known: bool  # whether both run files could be read
    warnings: tuple[str, ...]  # files whose settings are not known, runs that have not ended

    def to_dict(self) -> dict[str, Any]:
        return {"settings": _by_key(self.settings), "environment": _by_key(self.environment)}


def run_differences(a: Path, b: Path) -> RunDifferences:
    """Compares the run files beside two files of lines. One that is missing or damaged is a warning."""
    warnings: list[str] = []
    one, other = _read("A", a, warnings), _read("B", b, warnings)
    return RunDifferences(
        settings=tuple(differences(one.settings, other.settings)) if one and other else (),
        environment=tuple(differences(one.recorded(), other.recorded())) if one and other else (),
        thresholds=(_threshold(one), _threshold(other)),
        known=bool(one and other),
        warnings=tuple(warnings),
    )


def _read(name: str, lines: Path, warnings: list[str]) -> RunRecord | None:
    path = RunPaths.beside(lines).run
    try:
        record = read_run_record(path, "or compare without it.")
    except InputError:
        warnings.append(
            f"{name}: {printable(path)} is missing or cannot be read: in which settings the runs differ is not known"
        )
    except DamagedFileError as error:
        warnings.append(f"{name}: in which settings the runs differ is not known: {error}")
    else:
        if record.status != "finished":
            warnings.append(
                f"{name}: the last run has the status {record.status} in {printable(path)}: lines may be missing"
            )
        return record
    return None


def _threshold(run: RunRecord | None) -> float | None:
    """The threshold of the run. Anything that can be none comes from a run file that was edited."""
    value = run.settings.get("threshold") if run else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _by_key(found: tuple[Difference, ...]) -> dict[str, Any]:
    return {change.key: dict(_sides(change)) for change in found}


def _sides(change: Difference) -> Iterator[tuple[str, Any]]:
    """The sides that have the setting."""
    yield from ((side, value) for side, value in (("a", change.file), ("b", change.run)) if value is not ABSENT)
