"""What the last whole run said about stale lines of a file, for whoever reads the file after it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from yanshou.errors import DamagedFileError, InputError
from yanshou.storage.read_groups import unique_paths
from yanshou.storage.run_file import read_run_record
from yanshou.storage.run_files import RunPaths
from yanshou.text import printable


def stale_warnings(files: Iterable[Path]) -> Iterator[str]:
    """A warning for each file of lines whose last whole run counted stale ones, or whose run file cannot be read.

    Without a run file nothing is known and nothing is said.
    """
    for file in unique_paths(files):
        run = RunPaths.beside(file).run
        if not run.exists():
            continue
        try:
            stale = read_run_record(run).counts.get("stale", 0)
        except (InputError, DamagedFileError) as error:
            yield f"{printable(file)}: it is not known whether lines are stale: {str(error).rstrip('.')}"
            continue
        if stale:
            yield (
                f"{printable(file)}: the last whole run counted {stale} stale "
                f"{'line, whose group is' if stale == 1 else 'lines, whose groups are'} no longer in the input. "
                "Run the command that wrote the file again with --prune"
            )
