"""An event loop in a thread of its own, so that an engine works where another loop runs: in a notebook."""

import asyncio
import atexit
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

ResultT = TypeVar("ResultT")


class Background:
    """Runs coroutines until its context ends, or the interpreter.

    A generator that was never closed ends in the interpreter's last garbage collection. Daemon threads are frozen by
    then, and to wait for one would last forever.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        atexit.register(self.end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        atexit.unregister(self.end)
        self.end()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        """Stops the loop, once."""
        if self.running:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def start(self, work: Coroutine[Any, Any, ResultT]) -> Future[ResultT]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """The result of the work. Raises what it raises."""
        return self.start(work).result()

    def cancel(self) -> None:
        """Cancels what is not finished."""
        self.run(_cancel_others())


async def _cancel_others() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
