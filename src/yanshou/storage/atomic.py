"""Files that are replaced whole, and the error for those that cannot be written."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from yanshou.errors import OutputError


def replace_file(path: Path, data: bytes) -> None:
    """Puts `data` in the file's place; whoever reads at any moment finds the old file or the new one, whole."""
    draft = path.with_name(f".{path.name}.tmp")
    try:
        draft.unlink(missing_ok=True)  # of a run that was killed; a pipe or a link of that name is not written into
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise write_error(path, error) from error


def unused_path(path: Path, ending: str = "") -> Path:
    """The path with this ending, with a number before it where that exists: what is old is never overwritten."""
    number, found = 1, path.with_name(path.name + ending)
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}{ending}")
    return found


def write_error(path: Path, error: OSError) -> OutputError:
    """The error for a file that refuses to be written, with what the disk has left."""
    try:
        free = f" ({shutil.disk_usage(path.parent).free / 2**30:.1f} GiB free there)"
    except OSError:
        free = ""
    return OutputError(
        f"{path}: cannot be written: {error.strerror or error}{free}. Make room or choose another folder, and run "
        "again: what is written stays."
    )
