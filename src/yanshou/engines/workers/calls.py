"""The calls of workers that are under way: what they gave, and who has been silent for too long."""

import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from yanshou.engines.workers.seat import Died, Seat

TICK_S = 1.0  # between two looks at who is silent
START_S = 1_800.0  # for a process to start, to read the fingerprint of its checkpoint, and to plan
NO_START_S = 600.0  # after which the place is asked why a worker does not start


@dataclass(frozen=True, slots=True)
class Result:
    """What a call gave."""

    seat: Seat
    method: str
    future: Future[Any]
    run: int  # in which it was called


class Calls:
    """All calls of a crew. Their results come through one queue. `wake` is for any thread and for signal handlers.

    `timeout_s`: for an exchange.
    """

    def __init__(self, timeout_s: float) -> None:
        self.run = 0  # number of the run to which new calls belong
        self._timeout_s = timeout_s
        self._results: SimpleQueue[Result | None] = SimpleQueue()
        self._clock = self._looked = 0.0  # seconds in which this process waited for results: a suspended one does not

    def call(self, seat: Seat, method: str, *arguments: object) -> None:
        assert method not in seat.calls, "one at a time"
        if method != "exchange":
            self.heard(seat)
        seat.calls.add(method)
        future = seat.handle.call(method, *arguments)
        run = self.run
        future.add_done_callback(lambda done: self._results.put(Result(seat, method, done, run)))

    def heard(self, seat: Seat) -> None:
        """The worker gave a sign of life, or was asked for the first one."""
        seat.heard = self._clock

    def wake(self) -> None:
        """Ends the wait for a result."""
        self._results.put(None)

    def next_result(self) -> Result | None:
        """None: it is time to look who is silent, or `wake` was called."""
        if self._clock - self._looked >= TICK_S:
            return None
        began = time.monotonic()
        try:
            result = self._results.get(timeout=TICK_S)
        except Empty:
            return None
        finally:
            self._clock += min(time.monotonic() - began, TICK_S)
        if result:
            result.seat.calls.discard(result.method)
        return result

    def silent(self, seats: Iterable[Seat]) -> Died | None:
        """Who has been silent for too long. A worker that starts is given more time."""
        self._looked = self._clock
        for seat in seats:
            silent_s = self._clock - seat.heard
            if "exchange" in seat.calls and silent_s > self._timeout_s:
                return Died(seat, f"no answer for --worker-timeout, {self._timeout_s:g} s")
            if seat.calls - {"exchange"} and silent_s > START_S:
                return Died(seat, f"it did not start within {START_S:g} s")
        return None

    def overdue(self, seats: Iterable[Seat]) -> list[Seat]:
        """Those that should have started."""
        return [seat for seat in seats if not seat.facts and self._clock - seat.heard >= NO_START_S]
