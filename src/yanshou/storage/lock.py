"""One run at a time where it writes: a lock of the operating system, which ends with the process.

    with locked(folder / ".dataset.lock", folder):
        …                                  a second run is refused with LockedError: it does not wait

The lock file is empty and stays; a forked child that outlives the process would keep the lock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from yanshou.errors import LockedError
from yanshou.storage.atomic import write_error


@contextmanager
def locked(file: Path, written: Path) -> Iterator[None]:
    """Holds the lock `file`, in a folder that is made where it is missing. `written`: what the errors name.

    Raises LockedError where another run holds it, OutputError where there can be none.
    """
    lock = FileLock(file, timeout=0)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise LockedError(
            f"{written}: another run is writing it. Wait until that ends, or choose another --output-dir."
        ) from error
    except OSError as error:
        raise write_error(written, error) from error
    try:
        yield
    finally:
        lock.release()
