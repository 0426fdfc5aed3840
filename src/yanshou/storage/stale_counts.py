"""What the last whole run said about stale lines of a file, for whoever reads the file after it."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from yanshou.errors import DamagedFileError, InputError
from yanshou.storage.read_groups import unique_paths
from yanshou.storage.run_file import read_run_record
from yanshou.storage.run_files import RunPaths
from yanshou.text import printable


def stale_warnings(files: Iterable[Path]) -> Iterator[str]:
    """A warning for each file of lines whose last whole run counted stale ones. Without a run file nothing is known."""
    for file in unique_paths(files):
        with suppress(InputError, DamagedFileError):
            stale = read_run_record(RunPaths.beside(file).run).counts.get("stale", 0)
            if stale:
                yield (
                    f"{printable(file)}: the last whole run counted {stale} stale "
                    f"{'line, whose group is' if stale == 1 else 'lines, whose groups are'} no longer in the input. "
                    "Run the command that wrote the file again with --prune"
                )
