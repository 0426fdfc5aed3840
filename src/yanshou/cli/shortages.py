"""What the machine has too little of: threads, memory, open files. Any line may meet it, so it is caught once, here."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from yanshou.errors import RunError

# Messages of errors whose type says nothing: Python's own, of the dynamic linker, of torch's allocator.
NO_THREAD = "can't start new thread"
NO_MEMORY = ("failed to map segment from shared object", "cannot allocate memory", "can't allocate memory")


@contextmanager
def shortages() -> Iterator[None]:
    """Raises RunError where a thread cannot be started, memory cannot be allocated, or a file cannot be opened."""
    try:
        yield
    except (MemoryError, ImportError, OSError, RuntimeError) as error:
        if message := _shortage(error):
            raise RunError(message) from error
        raise


def _shortage(error: Exception) -> str:
    """What the error says is short, and what to do; "" for any other error."""
    number, text = getattr(error, "errno", None), str(error)
    if NO_THREAD in text or number == errno.EAGAIN:  # EAGAIN: of a fork
        return (
            f"the system lets this user start no more threads and processes (ulimit -u: {_limit('NPROC')}). End other "
            "programs, or raise that limit or the container's (pids.max). What is already written is kept."
        )
    if isinstance(error, MemoryError) or number == errno.ENOMEM or any(words in text.lower() for words in NO_MEMORY):
        return (
            "this process can allocate no more memory. Free some, raise its limit (ulimit -v, or that of the "
            "container), or lower --batch-size. What is already written is kept."
        )
    if number in (errno.EMFILE, errno.ENFILE):
        return (
            f"this process can open no more files (ulimit -n: {_limit('NOFILE')}). Raise that limit. What is already "
            "written is kept."
        )
    return ""


def _limit(name: str) -> str:
    soft, _ = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
    return "unlimited" if soft == resource.RLIM_INFINITY else str(soft)
