"""Work in a process of its own."""

import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FORK = multiprocessing.get_context("fork")


def unmeasured() -> dict[str, str]:
    """The environment of a process that does not measure its coverage: measuring imports modules and writes files."""
    return {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}


def in_child(work: Callable[[], Any]) -> Any:
    """What `work` returns in a forked process, whose limits it may change."""
    receiving, sending = FORK.Pipe(duplex=False)
    child = FORK.Process(target=lambda: sending.send(work()))
    child.start()
    sending.close()
    with receiving:
        result = receiving.recv()
    child.join()
    return result


CHANGES = {"open", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink"}  # Python's audit events


def killed_before_each_change(folder: Path, work: Callable[[], Any]) -> Iterator[int]:
    """Runs `work` in forked processes: each is killed one step later, before it opens, renames or removes a file.

    Only files below `folder` count. Yields the number of steps that were done, after each kill; the caller looks at
    what is on the disk, and puts it back. Ends with the process that ran to its end.
    """
    for done in itertools.count():
        child = FORK.Process(target=_killed_before, args=(done, folder, work))
        child.start()
        child.join()
        if child.exitcode == 0:
            return
        assert child.exitcode == -signal.SIGKILL, child.exitcode
        yield done


def _killed_before(step: int, folder: Path, work: Callable[[], Any]) -> None:
    steps = itertools.count()

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES and str(arguments[0]).startswith(str(folder)) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    work()
