"""Lines for the terminal, each at most once a minute: pages try again every few seconds until a fault has ended."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

from yanshou.text import printable

AGAIN_S: Final = 60.0
MOST: Final = 1000  # lines that are remembered


class Notices:
    """Any thread may tell something. `tell` gets one printable line at a time."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._told: dict[str, float] = {}  # line → when
        self._lock = Lock()

    def __call__(self, what: object) -> None:
        """Prints it, unless it was printed a moment ago."""
        line, now = printable(what), self._clock()
        with self._lock:
            if now - self._told.get(line, -AGAIN_S) < AGAIN_S:
                return
            if len(self._told) >= MOST:
                self._told.clear()
            self._told[line] = now
            self._tell(line)
