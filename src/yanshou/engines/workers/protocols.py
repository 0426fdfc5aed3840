"""What the driver needs: a place that runs workers, and workers that are called and killed."""

from concurrent.futures import Future
from typing import Any, Protocol


class WorkerLostError(Exception):
    """The worker died or cannot be reached. Its message says what is known about the cause."""


class WorkerHandle(Protocol):
    """A `worker.Worker` in another process."""

    def call(self, method: str, *arguments: object) -> Future[Any]:
        """Calls a method of the worker. The future raises what the method raised, or WorkerLostError."""
        ...

    def kill(self) -> None:
        """Ends the process at once, also one that hangs. Calls of a killed worker raise WorkerLostError."""
        ...


class Place(Protocol):
    """Where workers run: this host, or a cluster."""

    @property
    def workers(self) -> int:
        """How many workers a run has."""
        ...

    @property
    def logs(self) -> str:
        """Where the workers' log files are, on their hosts."""
        ...

    def start_worker(self) -> WorkerHandle:
        """A new worker. Returns at once; its first call waits until the process has started."""
        ...

    def shortage(self) -> str:
        """Why a new worker cannot start now, such as no free GPU; "" where nothing speaks against it."""
        ...

    def environment(self) -> dict[str, Any]:
        """What run.json records about the place: the version of Ray, the number of hosts."""
        ...

    def close(self) -> None:
        """Ends all workers, and Ray where this process started it."""
        ...
