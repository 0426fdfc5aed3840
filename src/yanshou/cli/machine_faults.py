"""What the machine has too little of (threads, memory, open files), and a GPU that fails.

Any line may meet it, so it is caught once, here.
"""

import errno
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from yanshou.errors import RunError

# Messages of errors whose type says nothing: Python's own, of the dynamic linker, of torch's allocator.
NO_THREAD = "can't start new thread"
NO_MEMORY = ("failed to map segment from shared object", "cannot allocate memory", "can't allocate memory")
# Errors of CUDA that a mistake in a kernel or in a call causes: their traceback says where it is.
BUGS_ON_GPUS = ("illegal memory access", "illegal instruction", "misaligned address", "device-side assert", "invalid ")


@contextmanager
def machine_faults() -> Iterator[None]:
    """Raises RunError where a thread, memory or a file cannot be had from the system, or a GPU fails."""
    try:
        yield
    except (MemoryError, ImportError, OSError, RuntimeError) as error:
        if message := _shortage(error) or _gpu_failure(error):
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


def _gpu_failure(error: Exception) -> str:
    """What CUDA says of a GPU that is busy or broken, and what to do; "" for any other error."""
    if "torch" not in sys.modules:
        return ""
    from yanshou.engines.device import is_device_broken

    reason = str(error).partition("\n")[0]
    if not is_device_broken(error) or any(words in reason for words in BUGS_ON_GPUS):
        return ""
    return (
        f"the GPU fails: {reason}. nvidia-smi shows who uses it and whether it is healthy, dmesg the driver's errors "
        "(Xid). What is already written is kept, and the same command resumes."
    )


def _limit(name: str) -> str:
    soft, _ = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
    return "unlimited" if soft == resource.RLIM_INFINITY else str(soft)
