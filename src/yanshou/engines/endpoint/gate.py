"""A gate in front of a server. It is closed while the server is away: nothing is sent then, and nothing fails.

    call ── no connection, or silence ── the gate closes ── one request probes ─┬─ the server answers: the gate opens,
                                                                                │  and calls are tried again
                                                                                └─ it is away too long: the run ends

Knows no SDK. Everything here runs in one event loop.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from yanshou.engines.endpoint.refusals import BUSY
from yanshou.errors import GenerationError, RunError

ReplyT = TypeVar("ReplyT")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, in seconds."""

    retries: int = 5  # of the SDK, 0.5 to 8 s apart
    request_s: float = 300.0  # for one try
    photo_s: float = 900.0  # for all tries of one request
    page_s: float = 10.0  # for one try of a page: /models, which probes ask for, or /version
    silent_s: float = 120.0  # without any answer, then it is probed
    away_s: float = 120.0  # without an answer to a probe, then the run ends
    busy_s: float = 300.0  # in which the server answers 429 (too many requests) to all, then the run ends
    probe_s: float = 1.0  # between the first two probes; each pause is twice the one before
    longest_pause_s: float = 10.0
    rounds: int = 3  # how often one request may find the server away


class StoppedError(Exception):
    """The engine was stopped before the request was answered."""


class BusyError(Exception):
    """The server has too many requests."""


class AwayError(Exception):
    """There is no server just now. `failure`: what the request fails with if that stays so for this request alone."""

    def __init__(self, cause: str, failure: GenerationError) -> None:
        super().__init__(cause)
        self.failure = failure


class Gate:
    """Whether the server is there. `probe` asks it for a page, and raises `AwayError` where it is not."""

    def __init__(
        self, base_url: str, patience: Patience, probe: Callable[[], Awaitable[object]], stopped: Callable[[], bool]
    ) -> None:
        self._base_url, self._patience, self._probe, self._stopped = base_url, patience, probe, stopped
        self._probing, self._open = asyncio.Lock(), asyncio.Event()
        self._open.set()
        self._returns = 0  # how often the server came back
        self._answered = self._heard = time.monotonic()  # when it last answered a request, and said anything

    async def passed(self) -> None:
        """Waits until the gate is open."""
        await self._open.wait()

    def heard(self) -> None:
        """The server said something."""
        self._heard = time.monotonic()

    def answered(self) -> None:
        """The server answered a request."""
        self._answered = self._heard = time.monotonic()

    def check_stopped(self) -> None:
        """Raises StoppedError after the engine's `stop`."""
        if self._stopped():
            raise StoppedError

    async def patiently(self, call: Callable[[], Awaitable[ReplyT]]) -> ReplyT:
        """The result of the call, which is tried again when the server is back, or less busy."""
        rounds = 0
        while True:
            returns = self._returns
            try:
                return await call()
            except BusyError as error:
                await self._ease(error)
            except AwayError as error:
                await self._hold(returns, error)
                rounds += 1
                if rounds >= self._patience.rounds:
                    raise error.failure from None

    async def unless_silent(self, call: Coroutine[Any, Any, ReplyT]) -> ReplyT:
        """The result of the call, which continues while the server is probed. Raises RunError, StoppedError.

        A server that hangs keeps its connections: without probes, nothing would be known of it for `photo_s`.
        """
        work = asyncio.ensure_future(call)
        work.add_done_callback(lambda done: done.cancelled() or done.exception())  # else an event loop logs it
        try:
            while not (await asyncio.wait([work], timeout=self._patience.silent_s))[0]:
                if time.monotonic() - self._heard >= self._patience.silent_s:
                    await self._hold(self._returns, TimeoutError(f"it is silent for {self._patience.silent_s:g} s"))
            return work.result()
        finally:
            work.cancel()

    async def _ease(self, busy: BusyError) -> None:
        """Waits for a server that has too many requests. Raises RunError where it answers none of them."""
        if time.monotonic() - self._answered > self._patience.busy_s:
            raise RunError(
                f"{self._base_url} has answered {BUSY} to every request for {self._patience.busy_s:g} s: {busy}. "
                "Lower --concurrency or wait, and run the same command again: it resumes."
            )
        await self._sleep(self._patience.longest_pause_s)

    async def _hold(self, returns: int, away: Exception) -> None:
        """Returns when the server is there. One request probes, the others wait. Raises RunError, StoppedError."""
        async with self._probing:
            if self._returns != returns:
                return
            self._open.clear()
            logger.warning("%s: no answer (%s), waiting", self._base_url, away)
            try:
                await self._until_it_is_back(away)
                self._returns += 1
            finally:
                self._open.set()

    async def _until_it_is_back(self, away: Exception) -> None:
        pause, began = self._patience.probe_s, time.monotonic()
        while time.monotonic() - began < self._patience.away_s:
            await self._sleep(pause)
            if self._heard > began:  # a request that was under way
                return
            pause = min(2 * pause, self._patience.longest_pause_s)
            try:
                await self._probe()
            except AwayError as error:
                away = error
            else:
                return
        raise RunError(
            f"{self._base_url}: no answer for {self._patience.away_s:g} s ({away}). Start the server, and run "
            "the same command again: it resumes."
        )

    async def _sleep(self, seconds: float) -> None:
        """Sleeps, but not beyond a stop."""
        for _ in range(max(1, round(seconds / 0.2))):
            self.check_stopped()
            await asyncio.sleep(min(seconds, 0.2))
