"""A process that kills itself at the n-th change of a file: SIGKILL, just before the change."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from support.processes import in_child
from yanshou.storage import appender

CHANGES = {"os.rename", "os.remove", "os.truncate", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "shutil.move"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def killed_at_change(number: int, work: Callable[[], Any]) -> bool:
    """Whether `work`, in a process of its own, came to its n-th change (from 1); otherwise it ended.

    A change is a file opened for writing, renamed, removed or cut, a folder made, an fsync, and each half of an append.
    """
    return _killed(lambda: _kill_at(number), work)


def count_changes(work: Callable[[], Any]) -> int:
    """How many changes of files `work` makes, in a process of its own."""

    def counted() -> int:
        changes = _kill_at(0)
        work()
        return changes()

    return int(in_child(counted))


def killed_after(seconds: float, work: Callable[[], Any]) -> bool:
    """Whether `work` still ran after this time."""
    return _killed(lambda: signal.setitimer(signal.ITIMER_REAL, seconds) and None, work)


def random_times(longest_s: float, seed: int) -> Iterator[float]:
    """Seconds, without end."""
    rng = random.Random(seed)
    while True:
        yield rng.uniform(0.001, longest_s)


def _killed(prepare: Callable[[], Any], work: Callable[[], Any]) -> bool:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            prepare()
            work()
            status = 0
        finally:
            os._exit(status)
    began = time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        assert time.monotonic() - began < 60, "the process hangs"
        time.sleep(0.002)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _kill_at(number: int) -> Callable[[], int]:
    """Kills this process at its change of that number. Returns what says how many there were so far."""
    changes = 0

    def change() -> None:
        nonlocal changes
        changes += 1
        if changes == number:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)

    def audit(event: str, args: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(args[2], int) and args[2] & WRITING
        if writes or event in CHANGES:
            change()

    fsync, write = os.fsync, appender.Appender._write

    def counted_fsync(descriptor: int) -> None:
        change()
        fsync(descriptor)

    def halved_write(self: appender.Appender, data: bytes) -> None:
        change()
        if changes + 1 == number:  # the next change is the other half
            os.write(self._file.fileno(), data[: len(data) // 2])
        change()
        write(self, data)

    os.fsync = counted_fsync
    appender.Appender._write = halved_write  # type: ignore[method-assign]
    sys.addaudithook(audit)
    return lambda: changes
