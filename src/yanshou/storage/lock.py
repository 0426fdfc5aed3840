"""A lock file of the operating system, which ends with its process: one run at a time writes an output.

    with locked(folder / ".dataset.lock", folder):
        …                                  a second run is refused with LockedError; it does not wait

The lock file is empty and is not deleted. A forked child that outlives the process would keep the lock.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from yanshou.errors import LockedError
from yanshou.storage.atomic import write_errors

logger = logging.getLogger(__name__)


@contextmanager
def locked(file: Path, written: Path) -> Iterator[None]:
    """Holds the lock `file`, whose folder is made where it is missing. `written` is what error messages name.

    Raises LockedError where another run holds the lock, OutputError where the lock file cannot be made.
    """
    lock = FileLock(file, timeout=0)
    with write_errors(written):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout as error:  # an OSError, too
            raise LockedError(
                f"{written}: another run is writing it. Wait until that ends, or choose another --output-dir."
            ) from error
    logger.debug("%s: lock taken", file)
    try:
        yield
    finally:
        lock.release()
