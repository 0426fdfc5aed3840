"""Assigns requests to slots. Imports no torch and opens no file.

    requests ─► prepared ──► prefill batch ─► staged ─► slots ────────────────────────► answers
                (threads)    (full?)          (on its   [0: 3 ✓][1: 7 …][2: free][3: 5 …]
                                              way to    each decode step adds one token to every running answer;
                                              the GPU)  a slot whose answer ended takes the next request

The device computes while this code runs: the output of a step is read only after the next step was submitted. A prefill
batch is submitted as soon as enough slots are free; a partial batch, only when no more requests will arrive.

After an out-of-memory error, here or in another engine of the same run, the runner reduces its capacity and the
requests in flight start again.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

from yanshou.engines.base import Answer, Completion, Failure, FinishReason, OutOfMemoryError, Request, oom_failure
from yanshou.engines.continuous.protocols import NO_TOKEN, Host, PendingOutput, PreparedT, Runner, StagedT
from yanshou.engines.continuous.repetition import is_repeating
from yanshou.errors import GroupError

logger = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

MAX_PENDING_STEPS = 2  # steps and prefills submitted before the output of the first one is read
PREFETCH_FACTOR = 4  # requests prepared ahead per thread; about 2 MB each


@dataclass(slots=True)
class Counters:
    """What the schedulers of one engine have done so far."""

    prefill_batches: int = 0
    steps: int = 0
    completions: int = 0
    decoded_tokens: int = 0  # in completed answers
    data_wait_s: float = 0.0  # time in which the device was idle because no request was prepared


@dataclass(slots=True)
class RunningRequest(Generic[PreparedT]):
    """A request in a slot, with the answer so far."""

    request: Request
    prepared: PreparedT
    tokens: list[int] = field(default_factory=list)
    logprobs: tuple[float, ...] = ()


@dataclass(slots=True)
class PendingBatch(Generic[PreparedT]):
    """Requests that will be prefilled together."""

    requests: list[Request] = field(default_factory=list)
    prepared: list[PreparedT] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.requests)


Admitted = list[tuple[int, RunningRequest[PreparedT]]]  # with their slots


class ContinuousScheduler(Generic[PreparedT, StagedT]):
    """Keeps the slots of a runner busy. At most `max_in_flight` requests are in slots; None: as many as slots."""

    def __init__(
        self,
        host: Host[PreparedT],
        runner: Runner[PreparedT, StagedT],
        threads: int,
        max_in_flight: int | None = None,
        counters: Counters | None = None,
    ) -> None:
        self.host, self.runner, self.threads, self.max_in_flight = host, runner, threads, max_in_flight
        self.counters = counters or Counters()
        self.stopped = False
        self._run: _Run[PreparedT, StagedT] | None = None

    def stop(self) -> None:
        """No more requests go to the device; those in slots are finished. Permanent."""
        self.stopped = True

    @property
    def running(self) -> int:
        """Requests in slots."""
        return self._run.running if self._run else 0

    @property
    def waiting(self) -> int:
        """Requests that were read and are not in slots yet."""
        return self._run.waiting if self._run else 0

    def run(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """Answers every request once, in order of completion; ends early after `stop`."""
        prepare = ThreadPoolExecutor(self.threads, thread_name_prefix="prepare")
        stage = ThreadPoolExecutor(1, thread_name_prefix="stage")
        try:
            self._run = _Run(self, iter(requests), prepare, stage)
            yield from self._run.answers()
        finally:
            self._run = None
            prepare.shutdown(cancel_futures=True)
            stage.shutdown(cancel_futures=True)


class _Run(Generic[PreparedT, StagedT]):
    """One `run` of the scheduler: everything in flight."""

    def __init__(
        self,
        scheduler: ContinuousScheduler[PreparedT, StagedT],
        source: Iterator[Request],
        preparing: ThreadPoolExecutor,
        staging: ThreadPoolExecutor,
    ) -> None:
        self._scheduler, self._host, self._runner = scheduler, scheduler.host, scheduler.runner
        self._counters, self._stop_tokens = scheduler.counters, scheduler.host.stop_tokens
        self._source, self._preparing, self._staging = source, preparing, staging
        self._exhausted = False  # the source has no more requests
        self._prefetched: deque[tuple[Request, Future[PreparedT]]] = deque()
        self._batch: PendingBatch[PreparedT] = PendingBatch()  # being filled
        self._staged: tuple[PendingBatch[PreparedT], Future[StagedT]] | None = None
        self._in_flight: deque[tuple[PendingOutput, Admitted[PreparedT] | None]] = deque()  # None: a decode step
        self._free_all_slots()

    def _free_all_slots(self) -> None:
        self._running: dict[int, RunningRequest[PreparedT]] = {}
        self._occupied: set[int] = set()  # running slots, and those whose first token is still being computed
        self._free: list[int] = list(range(self._max_in_flight))[::-1]

    @property
    def _max_in_flight(self) -> int:
        return min(self._runner.slots, self._scheduler.max_in_flight or self._runner.slots)

    @property
    def running(self) -> int:
        return len(self._occupied)

    @property
    def waiting(self) -> int:
        return len(self._prefetched) + len(self._batch) + (len(self._staged[0]) if self._staged else 0)

    def answers(self) -> Iterator[Answer]:
        while True:
            try:
                if self._runner.outdated and not self._stopped:
                    yield from self._restart_after_oom()
                yield from self._fill_batch()
                if self._can_admit:
                    self._admit()
                    yield from self._fill_batch()  # the next batch is copied while this one is computed
                if self._occupied:
                    self._in_flight.append((self._runner.step(), None))
                    self._counters.steps += 1
                elif not self._in_flight and (self._stopped or not self._has_more):
                    return
                yield from self._collect_outputs(MAX_PENDING_STEPS if self._occupied else 0)
            except OutOfMemoryError:
                yield from self._restart_after_oom()

    @property
    def _stopped(self) -> bool:
        return self._scheduler.stopped

    @property
    def _has_more(self) -> bool:
        """Whether there are requests that are not in slots yet."""
        return bool(self._staged or self._batch or self._prefetched) or not self._exhausted

    @property
    def _can_admit(self) -> bool:
        """Whether a staged batch can start. A batch still being copied is waited for only if the device is idle."""
        if self._stopped or self._staged is None or len(self._staged[0]) > len(self._free):
            return False
        return self._idle or self._staged[1].done()

    @property
    def _idle(self) -> bool:
        return not self._occupied and not self._in_flight

    def _await(self, future: Future[ResultT]) -> ResultT:
        """The future's result. The time counts as waiting for data if the device is idle."""
        began, idle = time.monotonic(), self._idle
        try:
            return future.result()
        finally:
            if idle:
                self._counters.data_wait_s += time.monotonic() - began

    # ---- requests on their way to the device ----

    def _fill_batch(self) -> Iterator[Failure]:
        """Reads ahead and fills the next batch with prepared requests; waits for them only if the device is idle."""
        while not self._stopped:
            self._prefetch()
            if self._staged is not None:
                return
            if not self._prefetched:
                self._submit_batch()
                return
            request, future = self._prefetched[0]
            if not future.done() and not self._idle:
                return
            try:
                prepared = self._await(future)
            except GroupError as error:
                self._prefetched.popleft()
                yield Failure(request.id, error)
                continue
            if not self._add_to_batch(request, prepared):
                return

    def _prefetch(self) -> None:
        missing = PREFETCH_FACTOR * self._scheduler.threads - len(self._prefetched)
        if self._exhausted or missing <= 0:
            return
        requests = list(islice(self._source, missing))
        self._exhausted = len(requests) < missing
        self._prefetched.extend((request, self._preparing.submit(self._host.prepare, request)) for request in requests)

    def _add_to_batch(self, request: Request, prepared: PreparedT) -> bool:
        """Moves the next prefetched request to the batch. False if it has to wait."""
        if not self._runner.fits_slot(prepared):
            if self._batch:
                self._submit_batch()
            if self._staged or self._occupied or self._in_flight:
                return False
            self._runner.resize_for(prepared)
            self._free_all_slots()
        batch = self._batch.prepared
        if batch and (len(batch) >= self._max_in_flight or not self._runner.can_join(batch, prepared)):
            self._submit_batch()
            return False
        self._prefetched.popleft()
        self._batch.requests.append(request)
        batch.append(prepared)
        return True

    def _submit_batch(self) -> None:
        """Sends the batch on its way to the device, unless another one is still on its way."""
        if self._batch and self._staged is None:
            self._staged = (self._batch, self._staging.submit(self._runner.stage, self._batch.prepared))
            self._batch = PendingBatch()

    # ---- on the device ----

    def _admit(self) -> None:
        """Starts the staged batch in free slots."""
        assert self._staged
        batch, future = self._staged
        staged = self._await(future)
        slots = [self._free.pop() for _ in batch.requests]
        admitted = [
            (slot, RunningRequest(request, self._host.without_pixels(prepared)))
            for slot, request, prepared in zip(slots, batch.requests, batch.prepared, strict=True)
        ]
        self._occupied.update(slots)
        self._in_flight.append((self._runner.admit(staged, slots), admitted))
        self._staged = None
        self._counters.prefill_batches += 1
        logger.debug("prefill batch of %d requests; %d slots occupied", len(slots), len(self._occupied))

    def _collect_outputs(self, max_pending: int) -> Iterator[Completion]:
        """Reads outputs until at most `max_pending` are left in flight."""
        while len(self._in_flight) > max_pending:
            pending, admitted = self._in_flight[0]
            output = pending.get()
            self._in_flight.popleft()
            if admitted is None:
                tokens = ((slot, output.tokens[slot]) for slot in list(self._running))
            else:
                self._running.update(admitted)
                tokens = ((slot, token) for (slot, _), token in zip(admitted, output.tokens, strict=True))
                for (_, running), logprobs in zip(admitted, output.logprobs, strict=False):
                    running.logprobs = logprobs
            for slot, token in tokens:
                if token != NO_TOKEN and (completion := self._append_token(slot, token)):
                    yield completion

    def _append_token(self, slot: int, token: int) -> Completion | None:
        """Adds a token to a slot's answer. Returns the completion if the answer ends."""
        running = self._running[slot]
        running.tokens.append(token)
        reason: FinishReason
        if token in self._stop_tokens:
            reason = "stop"
        elif len(running.tokens) >= running.prepared.max_new_tokens:
            reason = "length"
        elif is_repeating(running.tokens):
            reason = "repetition"
            self._runner.release(slot)
        else:
            return None
        del self._running[slot]
        self._occupied.remove(slot)
        self._free.append(slot)
        self._counters.completions += 1
        self._counters.decoded_tokens += len(running.tokens)
        return self._host.completion(running.prepared, running.tokens, reason, running.logprobs)

    # ---- out of memory ----

    def _restart_after_oom(self) -> Iterator[Failure]:
        """Shrinks the runner and restarts all requests that were on the device or on their way, in request order."""
        prefilling = [running for _, admitted in self._in_flight for _, running in admitted or ()]
        restarted = [running.request for running in (*self._running.values(), *prefilling)]
        restarted += [
            request
            for batch in ((self._staged[0] if self._staged else PendingBatch()), self._batch)
            for request in batch.requests
        ]
        if self._staged:
            wait([self._staged[1]])  # nothing may be staged for a capacity that is given up
        self._in_flight.clear()
        self._staged, self._batch = None, PendingBatch()
        if not self._runner.shrink():
            failed = restarted.pop(0) if restarted else self._prefetched.popleft()[0]
            yield Failure(failed.id, oom_failure(failed))
        self._free_all_slots()
        logger.info("out of memory: restarting %d requests", len(restarted))
        for request in sorted(restarted, key=lambda request: request.id, reverse=True):
            self._prefetched.appendleft((request, self._preparing.submit(self._host.prepare, request)))
