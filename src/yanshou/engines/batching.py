"""Batch-by-batch scheduling: which requests go to the model together. Imports no torch and opens no file.

    requests   1 2 3 4 5 6 7 8 9 …        in the caller's order, whatever group they belong to
                     │ prepared by threads, at most PREFETCH_BATCHES ahead
    batch      [3 4 5 6]                  full as long as there are requests
    answers    3 ✓  4 ✓  5 ✗  6 ✓         yielded as soon as the batch is done

A batch that does not fit in memory is retried in halves, down to one request. The smaller size stays for
RECOVERY_BATCHES batches and is then doubled again, so that a short lack of memory does not slow down the whole run.
"""

import logging
import os
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, Generic, TypeVar

from yanshou.engines.base import Answer, Completion, Failure, OutOfMemoryError, Request, RunPlan, oom_failure
from yanshou.errors import GroupError

logger = logging.getLogger(__name__)

PREFETCH_BATCHES = 2  # batches prepared while the model runs one
RECOVERY_BATCHES = 16  # batches without out-of-memory before a halved size is doubled again
MAX_THREADS = 16  # that prepare photos; decoding and resizing a photo takes about 50 ms of one core

PreparedT = TypeVar("PreparedT")


class Scheduler(Generic[PreparedT]):
    """Runs requests through `prepare` (one request, in threads) and `complete` (one batch, the caller's thread)."""

    def __init__(
        self,
        prepare: Callable[[Request], PreparedT],
        complete: Callable[[Sequence[PreparedT]], Sequence[Completion]],
        batch_size: int,
        threads: int,
    ) -> None:
        self._prepare, self._complete = prepare, complete
        self.batch_size, self._threads = batch_size, threads
        self._limit = batch_size  # current batch size; below batch_size after out-of-memory
        self._batches_since_oom = 0  # batches since the limit last changed
        self._stopped = False
        self.data_wait_s = 0.0  # time in which the model waited for a prepared request
        self.out_of_memory = 0  # number of batches that did not fit

    def stop(self) -> None:
        """Starts no further batch, in this and in later runs."""
        self._stopped = True

    def run(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """Answers every request once; ends early after `stop`. Completions in order, failures as soon as known."""
        source = iter(requests)
        ahead: deque[tuple[Request, Future[PreparedT]]] = deque()
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="prepare")
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
        batched: int = 0,
    ) -> None:
        """Reads on until PREFETCH_BATCHES and the current batch, which holds `batched` requests, are under way."""
        missing = (PREFETCH_BATCHES + 1) * self._limit - len(ahead) - batched
        ahead.extend((request, pool.submit(self._prepare, request)) for request in islice(source, max(0, missing)))

    def _await(self, future: Future[PreparedT]) -> PreparedT:
        started = time.monotonic()
        try:
            return future.result()
        finally:
            self.data_wait_s += time.monotonic() - started

    def _answer(self, batch: Sequence[tuple[Request, PreparedT]]) -> Iterator[Answer]:
        started = time.monotonic()
        try:
            answers = self._complete([prepared for _, prepared in batch])
        except OutOfMemoryError:
            self.out_of_memory += 1
            yield from self._retry_in_halves(batch)
            return
        assert [answer.id for answer in answers] == [request.id for request, _ in batch]
        logger.debug("batch of %d: %.3f s", len(batch), time.monotonic() - started)
        self._grow_back()
        yield from answers

    def _retry_in_halves(self, batch: Sequence[tuple[Request, PreparedT]]) -> Iterator[Answer]:
        if len(batch) == 1:
            yield Failure(batch[0][0].id, oom_failure(batch[0][0]))
            return
        half = len(batch) // 2
        self._limit, self._batches_since_oom = max(1, min(self._limit, half)), 0
        logger.info("out of memory with a batch of %d: retrying with %d", len(batch), half)
        yield from self._answer(batch[:half])
        yield from self._answer(batch[half:])

    def _grow_back(self) -> None:
        self._batches_since_oom += 1
        if self._limit < self.batch_size and self._batches_since_oom >= RECOVERY_BATCHES:
            self._limit, self._batches_since_oom = min(self.batch_size, self._limit * 2), 0
            logger.info("no out-of-memory in %d batches: batch size %d again", RECOVERY_BATCHES, self._limit)


def num_threads() -> int:
    """The number of threads that prepare photos."""
    return min(MAX_THREADS, os.cpu_count() or 1)


class BatchedEngine(ABC, Generic[PreparedT]):
    """Base class of the transformers and the scripted engine: an `Engine` from `prepare` and `complete`."""

    worker_deaths = 0  # it has no workers

    def __init__(self, batch_size: int) -> None:
        self.scheduler: Scheduler[PreparedT] = Scheduler(self.prepare, self.complete, batch_size, num_threads())

    @property
    def data_wait_s(self) -> float:
        return self.scheduler.data_wait_s

    @property
    def out_of_memory(self) -> int:
        return self.scheduler.out_of_memory

    @abstractmethod
    def prepare(self, request: Request) -> PreparedT:
        """All work that needs no accelerator. Runs in threads; a GroupError becomes the request's Failure."""

    @abstractmethod
    def complete(self, batch: Sequence[PreparedT]) -> Sequence[Completion]:
        """One completion per request, in order. Raises OutOfMemoryError if the batch does not fit the memory."""

    @abstractmethod
    def identity(self) -> dict[str, Any]: ...

    @abstractmethod
    def environment(self) -> dict[str, Any]: ...

    def prepare_run(self, run: RunPlan) -> None:
        """Nothing to plan: each batch takes the memory it needs."""

    @property
    def in_flight(self) -> int:
        return (PREFETCH_BATCHES + 1) * self.scheduler.batch_size

    def load(self) -> None:
        """Nothing to load, unless a subclass says otherwise."""

    def reduce_capacity(self, out_of_memory: int) -> None:
        """Nothing to reduce: a batch that does not fit is halved where that happens, and for a while only."""

    def take_warnings(self) -> list[str]:
        return []

    def generate(self, requests: Iterable[Request]) -> Iterator[Answer]:
        return self.scheduler.run(requests)

    def stop(self) -> None:
        self.scheduler.stop()
