"""Files that are replaced whole or moved aside, and the error for those that cannot be written."""

import errno
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile

from yanshou.errors import OutputError
from yanshou.storage.write_cures import cure
from yanshou.text import printable

NO_FSYNC = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}

logger = logging.getLogger(__name__)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft beside the file, for the caller to write; it takes the file's place when the context ends.

    A reader finds the old file or the new one, whole, at any moment. Whatever ends the context early, the draft goes.
    Raises OutputError where writing fails.
    """
    draft = path.with_name(f".{path.name}.tmp")
    try:
        draft.unlink(missing_ok=True)  # left by a killed run; a pipe or a link of that name is not written into
        yield draft
        draft.replace(path)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise write_error(path, error) from error
        raise


def replace_file(path: Path, data: bytes) -> None:
    """Replaces the file's content; the new content is safe on the disk before it takes the old one's place."""
    with replacing(path) as draft:
        write_new(draft, [data])


def write_new(path: Path, parts: Iterable[bytes]) -> None:
    """Writes a file that must not be there yet, and waits until it is safe on the disk. Raises OSError."""
    with path.open("xb") as file:
        file.writelines(parts)
        file.flush()
        flush_to_disk(file.fileno())


def flush_to_disk(descriptor: int) -> bool:
    """Waits until the file is safe on the disk. Returns False where the file system cannot do that: some of FUSE."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FSYNC:
            raise
        return False
    return True


def move_aside(paths: Sequence[Path], folder: Path | None = None) -> None:
    """Renames those of the paths that exist, in the order given, to names that nothing has yet.

    Without `folder`, each becomes `<name>.<moment>.old` beside itself; with it, all go into `<folder>-<moment>`.
    """
    moment = datetime.now().astimezone().strftime("%Y%m%dT%H%M%S")
    existing = [path for path in paths if path.exists() or path.is_symlink()]
    if folder and existing:
        folder = unused_path(folder.with_name(f"{folder.name}-{moment}"))
        with write_errors(folder):
            folder.mkdir()
    for path in existing:
        aside = folder / path.name if folder else unused_path(path.with_name(f"{path.name}.{moment}"), ".old")
        with write_errors(aside):
            path.rename(aside)
        logger.info("%s: moved aside to %s", path, aside)


def unused_path(path: Path, suffix: str = "") -> Path:
    """The path with this suffix; where that exists, with the first free number before the suffix."""
    number, found = 1, path.with_name(path.name + suffix)
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}{suffix}")
    return found


def check_folder(folder: Path) -> None:
    """Raises OutputError where no file can be made in the folder. Leaves nothing there."""
    with write_errors(folder), TemporaryFile(dir=folder, prefix=".yanshou-"):
        pass


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Raises OutputError, naming the file, for an OSError of the context."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> OutputError:
    """The error for a file that cannot be written, with what to do about this cause."""
    return OutputError(f"{printable(path)}: cannot be written: {error.strerror or error}. {cure(path, error)}")
