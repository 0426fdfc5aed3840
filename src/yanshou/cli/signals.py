"""Ctrl-C, SIGTERM, and the SIGHUP of a closed terminal.

    while a command starts, or does work that a kill cannot harm:    the first one ends the process
    while a run appends lines (`interruptible`):                     the first one ends the run after its current batch,
                                                                     the second one at once, the third one the process

However it ends, the status is 130 and the last line is `interrupted`. This module is imported before everything that
takes time.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130  # the exit status
SHOW_CURSOR, CLEAR_LINE = b"\x1b[?25h", b"\r\x1b[K"  # a progress bar hides the cursor

Handler = Callable[[int, FrameType | None], None]


def exit_on_signals(status: int = INTERRUPTED, message: str = "interrupted") -> None:
    """Every signal ends this process at once with this status, with one line (none where it is empty) and no traceback.

    An exception would not do: libraries that are being imported swallow it or print it, and at the end of a process
    nothing is left that would catch it.
    """

    def end(number: int, frame: FrameType | None) -> None:
        try:
            os.write(2, _line(message))
        except OSError:  # the terminal is gone
            pass
        finally:
            os._exit(status)

    _handle_with(end)


@contextmanager
def interruptible(stop: Callable[[], None]) -> Iterator[None]:
    """Calls `stop` at the first signal and raises KeyboardInterrupt at the second. For the main thread only."""

    def first(number: int, frame: FrameType | None) -> None:
        _handle_with(second)
        stop()

    def second(number: int, frame: FrameType | None) -> None:
        exit_on_signals()
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in SIGNALS}
    _handle_with(first)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _handle_with(handler: Handler) -> None:
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup lets a run outlive its shell
            signal.signal(number, handler)


def _line(message: str) -> bytes:
    before = SHOW_CURSOR + CLEAR_LINE if os.isatty(2) else b""
    return before + f"{message}\n".encode() if message else b""
