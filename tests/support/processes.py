"""Work in a process of its own."""

import multiprocessing
import os
from collections.abc import Callable
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
