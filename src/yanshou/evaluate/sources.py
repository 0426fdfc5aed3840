"""What the run file beside a file of lines says: which settings made the lines, and from which Stage-A files.

out/挡风板安装检查_verdicts.jsonl
out/挡风板安装检查_verdicts.run.json       "settings": {"stage_a": ["/…/挡风板安装检查_stage_a.jsonl"], …}
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from yanshou.errors import DamagedFileError, InputError
from yanshou.schema.records import VerdictRecord
from yanshou.schema.run_record import RunRecord
from yanshou.stage_b.verdict_threshold import follows
from yanshou.storage.line_place import LinePlace
from yanshou.storage.read_groups import unique_paths
from yanshou.storage.run_file import read_run_record
from yanshou.storage.run_files import RunPaths
from yanshou.text import excerpt

NAME_THEM = "name the judged Stage-A files with --stage-a."


def find_stage_a_files(verdict_files: Sequence[Path]) -> list[Path]:
    """The Stage-A files from which the verdicts were made. Raises InputError and DamagedFileError."""
    paths: list[Path] = []
    for file in verdict_files:
        run = RunPaths.beside(file).run
        if not exists(run):
            raise InputError(
                f"{file}: its Stage-A files are unknown, because {run.name} is missing beside it. "
                f"Put it back, or {NAME_THEM}"
            )
        for path in _stage_a_of(run):
            if not exists(path):
                raise InputError(f"{run}: its Stage-A file {path} does not exist. Put it back, or {NAME_THEM}")
            paths.append(path)
    return unique_paths(paths)


def read_run(file: Path) -> RunRecord | None:
    """The run file beside a file of lines. None: it is missing or damaged."""
    try:
        return read_run_record(RunPaths.beside(file).run)
    except (InputError, DamagedFileError):
        return None


def unfinished_warnings(verdict_files: Iterable[Path]) -> Iterable[str]:
    """A warning for each file that a run is still writing, or was killed while it wrote."""
    for file in verdict_files:
        run = RunPaths.beside(file).run
        with suppress(InputError, DamagedFileError):
            if read_run_record(run).status == "running":
                yield (
                    f"{run}: the run is still going or was killed. Verdicts may be missing or follow another "
                    "threshold. Run `yanshou judge` again"
                )


def check_rewritten(verdict_files: Iterable[Path], verdicts: Sequence[tuple[LinePlace, VerdictRecord]]) -> None:
    """Raises InputError where a run that gives verdicts another threshold was killed before it rewrote them.

    Such a run leaves the status "running" and its threshold in the run file.
    """
    for file in verdict_files:
        settings = _running_settings(RunPaths.beside(file).run)
        threshold = settings.get("threshold")
        if not settings or not (threshold is None or isinstance(threshold, float)):
            continue
        for place, verdict in verdicts:
            if place.path == file and not follows(verdict, threshold):
                raise InputError(
                    f"{place}: the verdict on group {verdict.key} is {verdict.verdict}, which does not follow the "
                    f"threshold of its run file ({threshold}): a run of `yanshou judge` that rewrites the verdicts was "
                    "killed, or is rewriting them now. Run it again."
                )


def _running_settings(run: Path) -> Mapping[str, Any]:
    """The settings of a run that has not ended properly; empty for one that has, and without a readable run file."""
    with suppress(InputError, DamagedFileError):
        record = read_run_record(run)
        return record.settings if record.status == "running" else {}
    return {}


def exists(path: Path) -> bool:
    """Whether the path exists. False for names that no file can have."""
    return os.path.exists(path)  # noqa: PTH110 - pathlib raises for a name that is too long


def _stage_a_of(run: Path) -> list[Path]:
    named = read_run_record(run, f"or {NAME_THEM}").settings.get("stage_a")
    if not (isinstance(named, list) and named and all(isinstance(path, str) and path for path in named)):
        raise DamagedFileError(
            f"{run}: key settings.stage_a is {excerpt(named)}, not a list of Stage-A files. "
            f"Restore the file, or {NAME_THEM}"
        )
    return [run.parent / path for path in named]
