"""Workers in threads of this process, for a `WorkersEngine`: real workers, and deaths on order."""

import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from yanshou.engines.workers.protocols import WorkerHandle, WorkerLostError
from yanshou.engines.workers.worker import Worker
from yanshou.settings import EngineSettings, WorkerSettings


class ThreadWorker:
    """A `WorkerHandle`. `change`: what its calls give in place of what the worker returned."""

    def __init__(self, settings: EngineSettings, change: Callable[[Any], Any] = lambda result: result) -> None:
        self._settings, self._change = settings, change
        self._making, self._worker = threading.Lock(), None
        self._pending: set[Future[Any]] = set()
        self.dead = False
        self.hears = True  # False: calls never return, as those of a process under SIGSTOP

    def call(self, method: str, *arguments: object) -> Future[Any]:
        result: Future[Any] = Future()
        self._pending.add(result)
        sent = pickle.dumps(arguments)
        threading.Thread(target=self._run, args=(result, method, sent), daemon=True).start()
        return result

    def kill(self) -> None:
        self.dead = True
        for result in list(self._pending):
            self._finish(result, WorkerLostError("killed"))

    def _run(self, result: "Future[Any]", method: str, sent: bytes) -> None:
        if not self.hears:
            return
        try:
            with self._making:
                self._worker = self._worker or Worker(self._settings)
            returned = self._change(getattr(self._worker, method)(*pickle.loads(sent)))
        except Exception as error:  # noqa: BLE001 - whatever it is, it travels
            returned = error
        if self.hears:
            self._finish(result, WorkerLostError("killed") if self.dead else pickle.loads(pickle.dumps(returned)))

    def _finish(self, result: "Future[Any]", value: Any) -> None:
        try:
            self._pending.remove(result)
        except KeyError:
            return  # it was killed meanwhile
        if isinstance(value, Exception):
            result.set_exception(value)
        else:
            result.set_result(value)


@dataclass
class ThreadPlace:
    """A `Place`. `change`: by the number of a start, from 0, what that worker's calls give."""

    settings: EngineSettings
    workers: int = 2
    change: Callable[[int, Any], Any] = lambda number, result: result
    short: str = ""
    logs: str = "/tmp/logs"
    started: list[ThreadWorker] = field(default_factory=list)
    closed: bool = False

    def start_worker(self) -> WorkerHandle:
        number = len(self.started)
        inner = self.settings.model_copy(update={"workers": WorkerSettings()})
        self.started.append(ThreadWorker(inner, lambda result: self.change(number, result)))
        return self.started[-1]

    @property
    def alive(self) -> list[ThreadWorker]:
        return [worker for worker in self.started if not worker.dead]

    def shortage(self) -> str:
        return self.short

    def environment(self) -> dict[str, Any]:
        return {"ray": "none", "hosts": 1}

    def close(self) -> None:
        self.closed = True
        for worker in self.alive:
            worker.kill()
