"""`yanshou.engines.endpoint.background`: coroutines from any thread, also where an event loop runs."""

import asyncio
import subprocess
import sys
import threading

import pytest

from yanshou.engines.endpoint.background import Background

NEVER_CLOSED = """
from yanshou.engines.endpoint.background import Background

def numbers():
    with Background("test") as background:
        try:
            yield 1
        finally:
            if background.running:
                background.cancel()

generator = numbers()
next(generator)
"""


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def fail() -> None:
    raise KeyError("x")


def test_results_and_errors_come_to_the_caller_even_inside_a_loop() -> None:
    async def notebook() -> int:
        with Background("test") as background:
            with pytest.raises(KeyError):
                background.run(fail())
            return background.run(double(21))

    assert asyncio.run(notebook()) == 42


def test_what_is_cancelled_ends_and_the_thread_too() -> None:
    with Background("test-background") as background:
        sleeping = background.start(asyncio.sleep(60))
        background.run(double(1))
        background.cancel()
        assert sleeping.cancelled()
    assert "test-background" not in [thread.name for thread in threading.enumerate()]


def test_a_generator_that_is_never_closed_does_not_keep_a_process_alive() -> None:
    subprocess.run([sys.executable, "-c", NEVER_CLOSED], check=True, timeout=60)
