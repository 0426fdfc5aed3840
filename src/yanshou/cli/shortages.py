"""What the machine has too little of: threads, processes, memory. Any line may meet it, so it is caught once, here."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from yanshou.errors import RunError

NO_THREAD = "can't start new thread"  # Python's message, of a RuntimeError without a type of its own


@contextmanager
def shortages() -> Iterator[None]:
    """Raises RunError for a thread or a process that cannot be started, and for memory that cannot be allocated."""
    try:
        yield
    except MemoryError as error:
        raise RunError(
            "this process can allocate no more memory. Free some, raise its limit (ulimit -v, or that of the "
            "container), or lower --batch-size."
        ) from error
    except RuntimeError as error:
        if NO_THREAD not in str(error):
            raise
        raise _no_more_threads() from error
    except BlockingIOError as error:  # of a fork
        if error.errno != errno.EAGAIN:
            raise
        raise _no_more_threads() from error


def _no_more_threads() -> RunError:
    limit, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    shown = "unlimited" if limit == resource.RLIM_INFINITY else limit
    return RunError(
        f"the system lets this user start no more threads and processes (ulimit -u: {shown}). End other programs, or "
        "raise that limit or the container's (pids.max). What is already written is kept."
    )
