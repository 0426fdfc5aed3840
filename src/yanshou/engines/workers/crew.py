"""The workers of a run: started, compared, planned, watched and replaced.

    start ─ facts ─ all alike? ─ plan ─ smallest capacity ─ plan with that ─► ready ─ exchange ─ exchange ─ …
      ▲                                                                         │
      └────────────── died, broken, or silent for too long ◄────────────────────┘

A seat has one worker at a time. Results of its calls come through one queue; only `wait` reads it.
"""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from yanshou.engines.base import Completion, Request, RunPlan
from yanshou.engines.workers import calls
from yanshou.engines.workers.agreement import check_alike
from yanshou.engines.workers.calls import Calls
from yanshou.engines.workers.losses import Losses
from yanshou.engines.workers.messages import BrokenWorkerError, Follows, Reply, WorkerFacts, WorkerPlan
from yanshou.engines.workers.protocols import Place, WorkerLostError
from yanshou.engines.workers.seat import Died, Exchanged, Seat
from yanshou.engines.workers.shared_plan import SharedPlan
from yanshou.errors import RunError, YanshouError
from yanshou.settings import WorkerSettings

logger = logging.getLogger(__name__)


class Crew:
    """All workers. One thread calls its methods; `stop` is for any thread and for signal handlers."""

    def __init__(self, place: Place, settings: WorkerSettings) -> None:
        self.place, self._settings = place, settings
        self.seats: list[Seat] = []
        self.stopped = False
        self.out_of_memory = 0  # out-of-memory errors of the worker that had most
        self._started = False
        self._facts: WorkerFacts | None = None  # of the first worker; the others are like it
        self._refusal: YanshouError | None = None  # why these workers can do no run
        self._calls = Calls(settings.worker_timeout)
        self._plan: SharedPlan | None = None  # of the current run
        self._losses = Losses(place)

    # ---- start and plan ----

    def start(self) -> WorkerFacts:
        """Starts all workers where that has not happened, and compares them. Returns what they have in common."""
        if self._refusal:
            raise self._refusal
        if not self._started:
            self._started = True
            for number in range(self.place.workers):
                self._start(Seat(number, self.place.start_worker()))
        self._wait_until(lambda seat: seat.facts is not None and not seat.calls - {"exchange"})
        for seat in self.seats:
            seat.late = seat.late and seat.facts is None
        assert self._facts
        return self._facts

    def prepare(self, run: RunPlan) -> None:
        """Plans the run on all workers, with the smallest of their capacities. Ends what they still do."""
        self._calls.run += 1
        self.start()
        self._plan = SharedPlan(run, self.out_of_memory)
        for seat in self._present:
            self._let_plan(seat, self._plan)
        self._wait_until(lambda seat: seat.plan is not None)
        self._plan.settle(seat.plan for seat in self.seats if seat.plan)
        for seat in self.seats:
            self._impose(seat, self._plan)
        self._wait_until(lambda seat: seat.plan is not None and not seat.calls)

    def load(self) -> None:
        """Lets all workers load their checkpoint."""
        self.start()
        for seat in self._present:
            self._calls.call(seat, "load")
        self._wait_until(lambda seat: seat.facts is not None and not seat.calls)

    def _wait_until(self, condition: Callable[[Seat], bool]) -> None:
        """Waits until all seats fulfil the condition, save for late ones; replaces workers that die meanwhile."""
        while not all(map(condition, self._awaited())):
            happened = self.wait()
            if isinstance(happened, Died):
                self.replace(happened)
            if self.stopped:
                self._dismiss_loading()

    def _awaited(self) -> list[Seat]:
        seats = self._seats_or_error()
        return [seat for seat in seats if seat.facts or not seat.late] or seats

    def _dismiss_loading(self) -> None:
        """After `stop`, workers that still start or load are not waited for."""
        for seat in [seat for seat in self.seats if not seat.facts or seat.reply.loading or "load" in seat.calls]:
            seat.handle.kill()
            self.seats.remove(seat)

    def _seats_or_error(self) -> list[Seat]:
        """Raises KeyboardInterrupt where `stop` came before the first worker was ready."""
        if not self.seats and self.stopped:
            raise KeyboardInterrupt
        if not self.seats:
            raise self._losses.all_died()
        return self.seats

    def _start(self, seat: Seat) -> None:
        self.seats.append(seat)
        self._calls.call(seat, "facts")

    def _arrived(self, seat: Seat, arrival: Future[WorkerFacts]) -> None:
        """A new worker is there. During a run it catches up with the others."""
        try:
            facts = arrival.result()
            self._facts = self._facts or facts
            check_alike(self._facts, facts, self._settings.mixed_workers)
        except YanshouError as error:
            self._refusal = error
            raise
        logger.info("worker %d: process %d on %s, %s", seat.number, facts.pid, facts.host, facts.device)
        seat.facts = facts
        if self._plan:
            self._let_plan(seat, self._plan)

    @property
    def _present(self) -> list[Seat]:
        return [seat for seat in self.seats if seat.facts]

    def _let_plan(self, seat: Seat, plan: SharedPlan) -> None:
        seat.plan, seat.imposed = None, False
        self._calls.call(seat, "plan", plan.run, plan.out_of_memory)

    def _impose(self, seat: Seat, plan: SharedPlan) -> None:
        """Lets the worker plan once more where its own plan is another than that of the others."""
        if run := plan.again(seat):
            seat.plan, seat.imposed = None, True
            self._calls.call(seat, "plan", run, plan.out_of_memory)

    def _planned(self, seat: Seat, own: WorkerPlan) -> None:
        assert self._plan
        seat.plan = own
        self._impose(seat, self._plan)
        if seat.late and seat.plan and self._plan.settled:
            self._calls.call(seat, "load")  # meanwhile the others answer what it would keep waiting

    def environment(self) -> dict[str, Any]:
        """That of the first worker, as a run without workers records it, and how many and where they are."""
        plan = next(seat.plan for seat in self.seats if seat.plan)
        devices = {seat.facts.device for seat in self.seats if seat.facts}
        mixed = {"devices": sorted(devices)} if len(devices) > 1 else {}
        return {**plan.environment, "workers": self.place.workers, **self.place.environment(), **mixed}

    # ---- calls and results ----

    @property
    def free(self) -> list[Seat]:
        """The workers that are ready for an exchange."""
        return [seat for seat in self.seats if seat.plan and not seat.calls]

    @property
    def exchanging(self) -> bool:
        return any("exchange" in seat.calls for seat in self.seats)

    def exchange(self, seat: Seat, requests: tuple[Request, ...], idle: bool, follows: Follows) -> None:
        """`idle`: until now it had nothing to do, so that it did not have to be heard."""
        if idle:
            self._calls.heard(seat)
        self._calls.call(seat, "exchange", requests, self.out_of_memory, follows)

    def stop(self) -> None:
        self.stopped = True
        self._calls.wake()

    def stop_workers(self) -> None:
        """After `stop`: tells each worker once."""
        for seat in self.seats:
            if not seat.told_to_stop:
                seat.told_to_stop = True
                seat.handle.call("stop")

    def wait(self) -> Exchanged | Died | None:
        """Waits for one result, or for a moment. Raises what a worker raised: a YanshouError, or a bug."""
        result = self._calls.next_result()
        if result is None:
            return self._look()
        seat = result.seat
        if seat not in self.seats:
            return None  # its worker was replaced
        error = result.future.exception()
        if isinstance(error, (WorkerLostError, BrokenWorkerError)):
            return Died(seat, str(error))
        if result.method == "facts":
            self._arrived(seat, result.future)
        elif error and result.run != self._calls.run:  # several workers may have the error that ended an earlier run
            logger.info("worker %d, in an earlier run: %s", seat.number, error)
        else:
            return self._returned(seat, result.method, result.future.result())
        return None

    def _returned(self, seat: Seat, method: str, value: Any) -> Exchanged | None:
        if method == "exchange":
            return self._replied(seat, value)
        if method == "plan":
            self._planned(seat, value)
        return None

    def _replied(self, seat: Seat, reply: Reply) -> Exchanged:
        seat.reply = reply
        if any(isinstance(answer, Completion) for answer in reply.answers):  # a failure may need no GPU
            seat.deaths.clear()
        if reply.answers or reply.loading:
            self._calls.heard(seat)
        self.out_of_memory = max(self.out_of_memory, reply.out_of_memory)
        return Exchanged(seat, reply)

    # ---- death ----

    def replace(self, death: Died, over_one_request: bool = False, done: bool = False) -> None:
        """Makes a new worker, unless the run was stopped. Raises RunError where the last seat's died too often.

        `done`: no request waits for it; the next mission will.
        """
        seat = death.seat
        logger.info("worker %d died: %s", seat.number, death.cause)
        seat.handle.kill()
        self._losses.died(death)
        seat.count_death(over_one_request)
        self.seats.remove(seat)
        if self.stopped:
            return
        if done or not seat.worn_out:
            self._start(Seat(seat.number, self.place.start_worker(), late=True, deaths=seat.deaths))
        elif left := self._seats_or_error():
            self._losses.given_up(death.cause, len(left))

    def take_warnings(self) -> list[str]:
        """What the user must know: how many died, and which were given up."""
        return self._losses.take_warnings(others=bool(self.seats))

    @property
    def deaths(self) -> int:
        return self._losses.deaths

    def _look(self) -> Died | None:
        """Looks who is silent, and who has not started."""
        if died := self._calls.silent(self.seats):
            return died
        self._check_shortage()
        return None

    def _check_shortage(self) -> None:
        """Goes on without workers that cannot start. Raises RunError where there are no others."""
        overdue = self._calls.overdue(self.seats)
        if not overdue or (all(seat.late for seat in overdue) and self._present):
            return
        if not (shortage := self.place.shortage()):
            return
        if not self._present:
            raise RunError(f"no worker is left, and none has started for {calls.NO_START_S:g} s: {shortage}")
        self._losses.short(len(self._present), shortage)
        for seat in overdue:
            seat.late = True

    @property
    def data_wait_s(self) -> float:
        """The mean over the workers."""
        return (self._losses.data_wait_s + sum(seat.reply.data_wait_s for seat in self.seats)) / self.place.workers
