"""An engine that is many: it deals requests to workers, and yields their answers.

    requests ─► ledger ─► exchange ─► worker 0 ─┐
                  ▲      exchange ─► worker 1 ─┼─► answers
                  └── what a dead one held ◄────┘

One exchange per worker is under way. It brings requests, and its reply brings answers.
"""

import weakref
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from yanshou.engines.base import Answer, Request, RunPlan
from yanshou.engines.workers.crew import Crew
from yanshou.engines.workers.ledger import Ledger
from yanshou.engines.workers.messages import Follows
from yanshou.engines.workers.protocols import Place
from yanshou.engines.workers.seat import Died, Exchanged, Seat
from yanshou.errors import InputError
from yanshou.settings import EngineSettings

RAY = "yanshou.engines.workers.cluster:Cluster"
SPAN = 4  # × all windows: how far requests are read beyond the oldest one without an answer
FIRST = 128  # requests for a worker that has none: it begins with these while the driver reads the others


class WorkersEngine:
    """An `Engine` whose requests other processes answer. `place`: where they run; None: Ray, as the settings say."""

    def __init__(self, settings: EngineSettings, place: Place | None = None) -> None:
        place = place or _ray(settings)
        self.close = weakref.finalize(self, place.close)  # at the latest when this process ends
        self._crew = Crew(place, settings.workers)
        self._run: RunPlan | None = None
        self._prepared = False  # the workers have planned the run, and nothing is under way
        self._next_number = 0  # of the next request

    def prepare_run(self, run: RunPlan) -> None:
        """Plans the run on every worker, with the smallest of their capacities."""
        self._run = run
        self._crew.prepare(run)
        self._prepared = True

    def load(self) -> None:
        self._crew.load()

    def reduce_capacity(self, out_of_memory: int) -> None:
        """Each worker gets the number with its next exchange."""
        self._crew.out_of_memory = max(self._crew.out_of_memory, out_of_memory)

    def identity(self) -> dict[str, Any]:
        return dict(self._crew.start().identity)

    def environment(self) -> dict[str, Any]:
        """That of the first worker, as a run without workers records it, and how many and where they are."""
        return self._crew.environment()

    @property
    def in_flight(self) -> int:
        return sum(seat.window for seat in self._crew.seats if seat.plan)

    @property
    def data_wait_s(self) -> float:
        """The mean over the workers."""
        return self._crew.data_wait_s

    @property
    def out_of_memory(self) -> int:
        """Of the worker that had most; the others follow it."""
        return self._crew.out_of_memory

    @property
    def worker_deaths(self) -> int:
        return self._crew.deaths

    def take_warnings(self) -> list[str]:
        return self._crew.take_warnings()

    def stop(self) -> None:
        self._crew.stop()

    # ---- requests and answers ----

    def generate(self, requests: Iterable[Request]) -> Iterator[Answer]:
        source = iter(requests)
        first = next(source, None)
        if first is None or self._crew.stopped:
            return
        # An earlier call was not read to its end, the caller planned nothing, or all workers that had planned are dead.
        if not self._prepared or not self.in_flight:
            self.prepare_run(self._run or RunPlan(first.prompt, first.photo is not None, ()))
        ledger = Ledger(chain([first], source), self._next_number, SPAN * self.in_flight)
        self._prepared = False
        try:
            yield from self._answers(ledger)
            self._prepared = ledger.done
        finally:
            self._next_number = ledger.next_number

    def _answers(self, ledger: Ledger) -> Iterator[Answer]:
        while True:
            self._exchange(ledger)
            if ledger.done or (self._crew.stopped and not self._crew.exchanging):
                return
            happened = self._crew.wait()
            if isinstance(happened, Exchanged):
                yield from self._read(happened, ledger)
            elif isinstance(happened, Died):
                yield from self._bury(happened, ledger)

    def _exchange(self, ledger: Ledger) -> None:
        """Starts an exchange with every worker that has none under way, and has or gets something to do."""
        free = self._crew.free
        dealt: dict[int, list[Request]] = {}
        if self._crew.stopped:
            self._crew.stop_workers()
        else:
            dealt = ledger.deal({seat.number: _room(seat, ledger.held(seat.number)) for seat in free})
        for seat in free:
            requests, held = dealt.get(seat.number, []), ledger.held(seat.number)
            idle = held == len(requests)
            if held:
                self._crew.exchange(seat, tuple(requests), idle, _follows(seat, held, idle, ledger))

    def _read(self, exchanged: Exchanged, ledger: Ledger) -> Iterator[Answer]:
        seat, reply = exchanged.seat, exchanged.reply
        assert seat.facts
        for number in reply.unseen:
            _check_seen(ledger.request(number), seat.facts.host)
        yield from ledger.answered(seat.number, reply.answers)
        if reply.stopped or (self._crew.stopped and reply.loading):  # nothing more is worth waiting for
            ledger.given_back(seat.number)

    def _bury(self, death: Died, ledger: Ledger) -> Iterator[Answer]:
        failure = ledger.died(death.seat.number, death.cause)
        if failure:
            yield failure
        self._crew.replace(death, over_one_request=failure is not None, done=ledger.done)


def _room(seat: Seat, held: int) -> int:
    """How many requests the worker may hold after the next exchange."""
    return seat.window if held else min(FIRST, seat.window)


def _follows(seat: Seat, held: int, idle: bool, ledger: Ledger) -> Follows:
    """What the worker will get after this exchange."""
    if ledger.all_dealt:
        return "nothing"
    return "more now" if idle and held == FIRST < seat.window else "maybe more"


def _ray(settings: EngineSettings) -> Place:
    """Imported only here: Ray is an extra, and takes a second."""
    place: Place = resolve_name(RAY)(settings)
    return place


def _check_seen(request: Request | None, host: str) -> None:
    """Raises InputError where the photo exists on this host only: then most others do, too."""
    if request and isinstance(request.photo, Path) and request.photo.exists():
        raise InputError(
            f"{request.photo.absolute()} is on this host, but not on {host}, where a worker runs. Give every host the "
            "photos under the same path, or leave --ray-address out."
        )
