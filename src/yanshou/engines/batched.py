"""An engine that answers batch by batch: it says how to prepare one request and how to complete a batch of them.

The scheduler does the rest: preparing ahead in threads, batches across groups, halving when the memory is short.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic

from yanshou.engines.base import Completion, Failure, Request, Run
from yanshou.engines.batching import PreparedT, Scheduler

MOST_WORKERS = 16  # threads that decode and resize; a photo costs some 50 ms of one core


def workers() -> int:
    """Threads that prepare photos."""
    return min(MOST_WORKERS, os.cpu_count() or 1)


class BatchedEngine(ABC, Generic[PreparedT]):
    """Base of the transformers and the scripted engine."""

    def __init__(self, batch_size: int) -> None:
        self.scheduler: Scheduler[PreparedT] = Scheduler(self.prepare, self.complete, batch_size, workers())

    @property
    def waited_s(self) -> float:
        return self.scheduler.waited_s

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

    def ready(self, run: Run) -> None:
        """Batch by batch there is nothing to plan."""

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
        return self.scheduler.run(requests)

    def stop(self) -> None:
        self.scheduler.stop()
