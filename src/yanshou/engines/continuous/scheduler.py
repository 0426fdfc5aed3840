"""Which photo is where. Knows no torch and no file.

    requests ─► prepared ─► pack ─► staged ─► slots ────────────────────────► answers
               (threads)   (full?)  (on its   [0: 3 ✓][1: 7 …][2: free][3: 5 …]
                                     way to    one decode step moves every open slot on by a token;
                                     the GPU)  a slot whose answer ended takes the next photo

The device works while this code thinks: what a launch wrote is read only when the next one is already under way. A pack
goes to the device as soon as as many slots are free; a pack that is not full goes only when no more photos will come.

Out of memory: the runner makes itself smaller, and the photos in flight begin again.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, NamedTuple, Protocol, TypeVar

from yanshou.engines.base import Completion, Failure, FinishReason, OutOfMemoryError, Request, oom_failure
from yanshou.engines.continuous.repetition import repeats
from yanshou.errors import GroupError

LAG = 2  # launches under way before the first one's tokens are read
AHEAD = 4  # photos prepared ahead, times the worker threads; some 2 MB each
NOTHING = -1  # what a launch writes for a slot that is not at work

PreparedT = TypeVar("PreparedT")
StagedT = TypeVar("StagedT")
ResultT = TypeVar("ResultT")


class StepOutput(NamedTuple):
    """What a launch wrote."""

    tokens: Sequence[int]  # a step: one a slot, or NOTHING; an admission: the first one of each of its photos
    logprobs: Sequence[tuple[float, ...]] = ()  # an admission: of each of its requests' choices


PendingOutput = Callable[[], StepOutput]  # waits for the launch


class Runner(Protocol[PreparedT, StagedT]):
    """The device. Launches are in order; each gives a ticket for what it wrote."""

    @property
    def slots(self) -> int:
        """Answers at once."""
        ...

    def limit(self, prepared: PreparedT) -> int:
        """Tokens of its answer at most."""
        ...

    def ends(self, token: int) -> bool:
        """Whether the token ends an answer."""
        ...

    def holds(self, prepared: PreparedT) -> bool:
        """Whether a slot is long enough for it."""
        ...

    def make_room(self, prepared: PreparedT) -> None:
        """Slots that hold it, all of them empty. Nothing is under way when this is called."""
        ...

    def fits(self, pack: Sequence[PreparedT], prepared: PreparedT) -> bool:
        """Whether it can go with the others in one launch. One alone always can."""
        ...

    def stage(self, pack: Sequence[PreparedT]) -> StagedT:
        """Brings a pack to the device. Runs in a thread of its own."""
        ...

    def admit(self, staged: StagedT, slots: Sequence[int]) -> PendingOutput:
        """Vision, prefill and first token of a pack."""
        ...

    def step(self) -> PendingOutput:
        """One token for every slot at work."""
        ...

    def end(self, slot: int) -> None:
        """The slot's answer is over although the device does not know it."""
        ...

    def shrink(self) -> bool:
        """After out-of-memory: fewer slots, smaller packs, all empty. False if it was as small as can be."""
        ...

    def kept(self, prepared: PreparedT) -> PreparedT:
        """What `complete` needs of it: all that is kept once its launch is under way."""
        ...

    def complete(
        self, prepared: PreparedT, tokens: Sequence[int], reason: FinishReason, logprobs: tuple[float, ...]
    ) -> Completion: ...


@dataclass(slots=True)
class Open(Generic[PreparedT]):
    """An answer being written."""

    request: Request
    prepared: PreparedT
    limit: int
    tokens: list[int] = field(default_factory=list)
    logprobs: tuple[float, ...] = ()


@dataclass(slots=True)
class PendingBatch(Generic[PreparedT]):
    """Photos that go to the device together."""

    requests: list[Request] = field(default_factory=list)
    prepared: list[PreparedT] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.requests)


class ContinuousScheduler(Generic[PreparedT, StagedT]):
    """Keeps the slots of a runner at work."""

    def __init__(
        self,
        prepare: Callable[[Request], PreparedT],
        runner: Runner[PreparedT, StagedT],
        workers: int,
        most: int | None = None,
    ) -> None:
        self._prepare, self._runner, self._workers = prepare, runner, workers
        self._most = most  # photos in flight at once; None: as many as there are slots
        self._stopped = False
        self.data_wait_s = 0.0  # time in which the device had nothing to do because no photo was there yet

    def stop(self) -> None:
        """No photo goes to the device any more; those that are there are finished. For good."""
        self._stopped = True

    def run(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
        """Answers every request once, in the order in which they are done; ends early after `stop`."""
        prepare = ThreadPoolExecutor(self._workers, thread_name_prefix="prepare")
        stage = ThreadPoolExecutor(1, thread_name_prefix="stage")
        try:
            yield from _Run(self, iter(requests), prepare, stage).answers()
        finally:
            prepare.shutdown(cancel_futures=True)
            stage.shutdown(cancel_futures=True)


class _Run(Generic[PreparedT, StagedT]):
    """One `run` of the scheduler: everything that is under way."""

    def __init__(
        self,
        scheduler: ContinuousScheduler[PreparedT, StagedT],
        source: Iterator[Request],
        preparing: ThreadPoolExecutor,
        staging: ThreadPoolExecutor,
    ) -> None:
        self._scheduler, self._runner = scheduler, scheduler._runner
        self._source, self._preparing, self._staging = source, preparing, staging
        self._exhausted = False  # the source has no more requests
        self._ahead: deque[tuple[Request, Future[PreparedT]]] = deque()
        self._pack: PendingBatch[PreparedT] = PendingBatch()  # being filled
        self._staged: tuple[PendingBatch[PreparedT], Future[StagedT]] | None = None
        self._flying: deque[tuple[PendingOutput, list[tuple[int, Open[PreparedT]]] | None]] = deque()  # None: a step
        self._begin()

    def _begin(self) -> None:
        """Every slot is free."""
        self._open: dict[int, Open[PreparedT]] = {}
        self._taken: set[int] = set()  # slots of open answers and of those whose first token is on its way
        self._free: list[int] = list(range(self._at_once))[::-1]

    @property
    def _at_once(self) -> int:
        return min(self._runner.slots, self._scheduler._most or self._runner.slots)

    def answers(self) -> Iterator[Completion | Failure]:
        while True:
            try:
                yield from self._gather()
                if self._arrived:
                    self._admit()
                    yield from self._gather()  # the next pack comes to the device while this one is at work
                if self._taken:
                    self._flying.append((self._runner.step(), None))
                elif not self._flying and (self._stopped or not self._waiting):
                    return
                yield from self._settle(LAG if self._taken else 0)
            except OutOfMemoryError:
                yield from self._begin_again()

    @property
    def _stopped(self) -> bool:
        return self._scheduler._stopped

    @property
    def _waiting(self) -> bool:
        """Whether there are requests that are not on the device yet."""
        return bool(self._staged or self._pack or self._ahead) or not self._exhausted

    @property
    def _arrived(self) -> bool:
        """Whether a pack can begin. One that is still on its way is waited for only if nothing else is to do."""
        if self._stopped or self._staged is None or len(self._staged[0]) > len(self._free):
            return False
        return self._idle or self._staged[1].done()

    @property
    def _idle(self) -> bool:
        return not self._taken and not self._flying

    def _await(self, future: Future[ResultT]) -> ResultT:
        """Its result. Time counts as waiting if the device has nothing to do."""
        began, idle = time.monotonic(), self._idle
        try:
            return future.result()
        finally:
            if idle:
                self._scheduler.data_wait_s += time.monotonic() - began

    # ---- photos on their way to the device ----

    def _gather(self) -> Iterator[Failure]:
        """Reads ahead and fills the next pack with what is prepared; waits for photos only if nothing else is to do."""
        while not self._stopped:
            self._read()
            if self._staged is not None:
                return
            if not self._ahead:
                self._close()
                return
            request, future = self._ahead[0]
            if not future.done() and not self._idle:
                return
            try:
                prepared = self._await(future)
            except GroupError as error:
                self._ahead.popleft()
                yield Failure(request.id, error)
                continue
            if not self._take(request, prepared):
                return

    def _read(self) -> None:
        room = AHEAD * self._scheduler._workers - len(self._ahead)
        if self._exhausted or room <= 0:
            return
        new = list(islice(self._source, room))
        self._exhausted = len(new) < room
        self._ahead.extend((request, self._preparing.submit(self._scheduler._prepare, request)) for request in new)

    def _take(self, request: Request, prepared: PreparedT) -> bool:
        """Puts the next photo into the pack. False if it has to wait for something."""
        if not self._runner.holds(prepared):
            if self._pack:
                self._close()
            if self._staged or self._taken or self._flying:
                return False
            self._runner.make_room(prepared)
            self._begin()
        if self._pack and (len(self._pack) >= self._at_once or not self._runner.fits(self._pack.prepared, prepared)):
            self._close()
            return False
        self._ahead.popleft()
        self._pack.requests.append(request)
        self._pack.prepared.append(prepared)
        return True

    def _close(self) -> None:
        """The pack is as full as it gets: on its way."""
        if self._pack and self._staged is None:
            self._staged = (self._pack, self._staging.submit(self._runner.stage, self._pack.prepared))
            self._pack = PendingBatch()

    # ---- launches ----

    def _admit(self) -> None:
        assert self._staged
        pack, future = self._staged
        staged = self._await(future)
        slots = [self._free.pop() for _ in pack.requests]
        opened = [
            (slot, Open(request, self._runner.kept(prepared), self._runner.limit(prepared)))
            for slot, request, prepared in zip(slots, pack.requests, pack.prepared, strict=True)
        ]
        self._taken.update(slots)
        self._flying.append((self._runner.admit(staged, slots), opened))
        self._staged = None

    def _settle(self, lag: int) -> Iterator[Completion]:
        """Reads what all but the last launches wrote."""
        while len(self._flying) > lag:
            ticket, opened = self._flying[0]
            written = ticket()
            self._flying.popleft()
            if opened is None:
                tokens = ((slot, written.tokens[slot]) for slot in list(self._open))
            else:
                self._open.update(opened)
                tokens = ((slot, token) for (slot, _), token in zip(opened, written.tokens, strict=True))
                for (_, answer), logprobs in zip(opened, written.logprobs, strict=False):
                    answer.logprobs = logprobs
            for slot, token in tokens:
                if token != NOTHING and (completion := self._write(slot, token)):
                    yield completion

    def _write(self, slot: int, token: int) -> Completion | None:
        """One more token of a slot's answer; the answer, if it ends it."""
        answer = self._open[slot]
        answer.tokens.append(token)
        reason: FinishReason
        if self._runner.ends(token):
            reason = "stop"
        elif len(answer.tokens) >= answer.limit:
            reason = "length"
        elif repeats(answer.tokens):
            reason = "loop"
            self._runner.end(slot)
        else:
            return None
        del self._open[slot]
        self._taken.remove(slot)
        self._free.append(slot)
        return self._runner.complete(answer.prepared, answer.tokens, reason, answer.logprobs)

    # ---- out of memory ----

    def _begin_again(self) -> Iterator[Failure]:
        """With a smaller runner, all that was on the device or on its way there, in the order of the requests."""
        launched = [answer for _, opened in self._flying for _, answer in opened or ()]
        again = [answer.request for answer in (*self._open.values(), *launched)]
        again += [
            request
            for pack in ((self._staged[0] if self._staged else PendingBatch()), self._pack)
            for request in pack.requests
        ]
        if self._staged:
            wait([self._staged[1]])  # the runner changes: nothing may still be made for the old one
        self._flying.clear()
        self._staged, self._pack = None, PendingBatch()
        if not self._runner.shrink():
            hopeless = again.pop(0) if again else self._ahead.popleft()[0]
            yield Failure(hopeless.id, oom_failure())
        self._begin()
        for request in sorted(again, key=lambda request: request.id, reverse=True):
            self._ahead.appendleft((request, self._preparing.submit(self._scheduler._prepare, request)))
