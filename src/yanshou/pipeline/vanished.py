"""Missions that a run over all of its input would pass over: they have lines from it, but no longer a group in it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from yanshou.errors import DamagedFileError, InputError, OutputError
from yanshou.missions import Mission
from yanshou.pipeline.mission_task import MissionTask
from yanshou.storage.lines_file import has_line
from yanshou.storage.run_file import read_run_record
from yanshou.storage.run_files import RunPaths


def vanished(
    missions: Iterable[Mission],
    output_dir: Path,
    task: type[MissionTask[Any, Any]],
    covers: Callable[[Sequence[str]], bool],
) -> Iterator[tuple[Mission, Path]]:
    """The missions that have lines of this input, and the file. `covers`: whether such recorded inputs are this one."""
    for mission in missions:
        paths = RunPaths.of(output_dir, f"{mission.name}_{task.kind}")
        with suppress(InputError, DamagedFileError, OutputError):  # nothing is run: a later run names what is damaged
            if has_line(paths.lines, task.record_type) and covers(read_run_record(paths.run).known_inputs()):
                yield mission, paths.lines
