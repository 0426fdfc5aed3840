"""Which photos go to the model together. Knows no torch and no file.

    requests   1 2 3 4 5 6 7 8 9 …        in the caller's order, whatever group they belong to
                     │ prepared ahead by worker threads, at most AHEAD batches
    batch      [3 4 5 6]                  always full, as long as there are requests
    answers    3 ✓  4 ✓  5 ✗  6 ✓         each yielded as soon as its batch is done

A batch that does not fit the memory is halved and tried again, down to one photo; the smaller size stays for a while
and then grows back, so that one crowded moment does not slow the rest of the run.
"""

import os
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Generic, TypeVar

from yanshou.engines.base import Completion, Failure, OutOfMemoryError, Request, RunPlan, oom_failure
from yanshou.errors import GroupError

AHEAD = 2  # batches prepared beside the one in hand
RECOVERY = 16  # batches without trouble before a halved size is doubled again

PreparedT = TypeVar("PreparedT")


class Scheduler(Generic[PreparedT]):
    """Runs requests through `prepare` (worker threads, one request) and `complete` (this thread, one batch)."""

    def __init__(
        self,
        prepare: Callable[[Request], PreparedT],
        complete: Callable[[Sequence[PreparedT]], Sequence[Completion]],
        batch_size: int,
        workers: int,
    ) -> None:
        self._prepare, self._complete = prepare, complete
        self._batch_size, self._workers = batch_size, workers
        self._limit = batch_size  # photos a batch now; below batch_size after an out-of-memory
        self._batches_since_oom = 0  # batches since the limit last changed
        self._stopped = False
        self.data_wait_s = 0.0  # time in which no photo was ready
        self.out_of_memory = 0  # times

    def stop(self) -> None:
        """No batch is begun any more. For good: a stopped scheduler stays so."""
        self._stopped = True

    def run(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
        """Answers every request once; ends early after `stop`. In order, but for a failure: it is told at once."""
        source = iter(requests)
        ahead: deque[tuple[Request, Future[PreparedT]]] = deque()
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="prepare")
        try:
            while not self._stopped:
                self._fill(ahead, source, pool)
                if not ahead:
                    return
                batch: list[tuple[Request, PreparedT]] = []
                while ahead and len(batch) < self._limit:
                    request, future = ahead.popleft()
                    try:
                        batch.append((request, self._await(future)))
                    except GroupError as error:
                        yield Failure(request.id, error)
                        self._fill(ahead, source, pool, len(batch))
                if batch and not self._stopped:
                    yield from self._answer(batch)
        finally:
            pool.shutdown(cancel_futures=True)

    def _fill(
        self,
        ahead: deque[tuple[Request, Future[PreparedT]]],
        source: Iterator[Request],
        pool: ThreadPoolExecutor,
        in_hand: int = 0,
    ) -> None:
        room = (AHEAD + 1) * self._limit - len(ahead) - in_hand
        ahead.extend((request, pool.submit(self._prepare, request)) for request in islice(source, max(0, room)))

    def _await(self, future: Future[PreparedT]) -> PreparedT:
        began = time.monotonic()
        try:
            return future.result()
        finally:
            self.data_wait_s += time.monotonic() - began

    def _answer(self, batch: Sequence[tuple[Request, PreparedT]]) -> Iterator[Completion | Failure]:
        try:
            answers = self._complete([prepared for _, prepared in batch])
        except OutOfMemoryError:
            self.out_of_memory += 1
            yield from self._in_halves(batch)
            return
        assert [answer.id for answer in answers] == [request.id for request, _ in batch]
        self._grow_back()
        yield from answers

    def _in_halves(self, batch: Sequence[tuple[Request, PreparedT]]) -> Iterator[Completion | Failure]:
        if len(batch) == 1:
            yield Failure(batch[0][0].id, oom_failure())
            return
        half = len(batch) // 2
        self._limit, self._batches_since_oom = max(1, min(self._limit, half)), 0
        yield from self._answer(batch[:half])
        yield from self._answer(batch[half:])

    def _grow_back(self) -> None:
        self._batches_since_oom += 1
        if self._limit < self._batch_size and self._batches_since_oom >= RECOVERY:
            self._limit, self._batches_since_oom = min(self._batch_size, self._limit * 2), 0


MOST_WORKERS = 16  # threads that decode and resize; a photo costs some 50 ms of one core


def workers() -> int:
    """Threads that prepare photos."""
    return min(MOST_WORKERS, os.cpu_count() or 1)


class BatchedEngine(ABC, Generic[PreparedT]):
    """Base of the transformers and the scripted engine."""

    def __init__(self, batch_size: int) -> None:
        self.scheduler: Scheduler[PreparedT] = Scheduler(self.prepare, self.complete, batch_size, workers())

    @property
    def data_wait_s(self) -> float:
        return self.scheduler.data_wait_s

    @property
    def out_of_memory(self) -> int:
        return self.scheduler.out_of_memory

    @abstractmethod
    def prepare(self, request: Request) -> PreparedT:
        """Everything that needs no accelerator. Runs in worker threads; a GroupError becomes the request's Failure."""

    @abstractmethod
    def complete(self, batch: Sequence[PreparedT]) -> Sequence[Completion]:
        """One completion each, in order. Raises scheduler.OutOfMemoryError where the batch is too large."""

    @abstractmethod
    def identity(self) -> dict[str, Any]: ...

    @abstractmethod
    def environment(self) -> dict[str, Any]: ...

    def prepare_run(self, run: RunPlan) -> None:
        """Batch by batch there is nothing to plan."""

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
        return self.scheduler.run(requests)

    def stop(self) -> None:
        self.scheduler.stop()
