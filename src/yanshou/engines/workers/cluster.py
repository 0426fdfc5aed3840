"""Ray: starts a private one on this host or joins a cluster, and makes workers in it. Nothing else imports Ray.

A worker is an actor without restarts and retries: Ray says that it died, and the driver decides what that means.
"""

import os
import pickle
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from yanshou.engines.workers.protocols import WorkerHandle, WorkerLostError
from yanshou.errors import RunError, UsageError
from yanshou.settings import EngineSettings
from yanshou.version import __version__

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
except ImportError as missing:
    raise UsageError("--workers needs Ray: pip install 'yanshou[ray]'") from missing

CALLS = 4  # of one worker at the same time: an exchange, a plan, its facts, a stop
OBJECT_STORE_BYTES = 100 * 2**20  # requests and answers are small


class Cluster:
    """A `Place`: the workers of one run. Starts or joins Ray; `close` ends what was started."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings, options = settings, settings.workers
        self._folder = Path(tempfile.mkdtemp(prefix="yanshou-"))
        with _handlers_kept():
            ray.init(**self._private() if options.ray_address is None else {"address": options.ray_address})
        gpus = int(ray.cluster_resources().get("GPU", 0))
        self._gpu = int(gpus > 0 and settings.device != "cpu")
        self.workers = self._count(gpus)
        self._handles: list[RayWorker] = []

    def start_worker(self) -> WorkerHandle:
        """A new worker, which lives until it is killed or the run ends."""
        options = {
            "num_cpus": 0, "num_gpus": self._gpu, "max_concurrency": CALLS, "max_restarts": 0, "max_task_retries": 0,
        }  # fmt: skip
        threads = None if self._gpu else max(1, (os.cpu_count() or 1) // self.workers)
        arguments = pickle.dumps((self._settings, threads))
        handle = RayWorker(ray.remote(_actor_class()).options(**options).remote(__version__, arguments))
        self._handles.append(handle)
        return handle

    def shortage(self) -> str:
        """Why a new worker cannot start now; "" where nothing speaks against it."""
        if not self._gpu or ray.available_resources().get("GPU", 0) >= 1:
            return ""
        return f"no free GPU: all {int(ray.cluster_resources().get('GPU', 0))} are in use"

    def environment(self) -> dict[str, Any]:
        return {"ray": ray.__version__, "hosts": sum(node["Alive"] for node in ray.nodes())}

    def close(self) -> None:
        """Ends all workers, and Ray where it was started here."""
        for handle in self._handles:
            handle.kill()
        ray.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _private(self) -> dict[str, Any]:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        return {
            "address": "local", "include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR",
            "num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES, "_temp_dir": str(self._folder),
        }  # fmt: skip

    def _count(self, gpus: int) -> int:
        wanted = self._settings.workers.workers
        if wanted == "all" and not self._gpu:
            raise UsageError("--workers all is one worker for every GPU, and no GPU is used. Give a number.")
        if self._gpu and isinstance(wanted, int) and wanted > gpus:
            raise UsageError(f"--workers {wanted}: there are only {gpus} GPUs. Give {gpus} or fewer, or --device cpu.")
        return gpus if wanted == "all" else int(wanted or 1)


class RayWorker:
    """A `WorkerHandle`: an actor."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def call(self, method: str, *arguments: object) -> Future[Any]:
        """Calls a method. The future raises what the method raised, or WorkerLostError."""
        result: Future[Any] = Future()
        called = self._actor.call.remote(method, *arguments).future()
        called.add_done_callback(lambda done: _pass_on(done, result))
        return result

    def kill(self) -> None:
        """Ends the process at once, also one that hangs."""
        ray.kill(self._actor)


def _actor_class() -> type:
    """A class that travels by its code: a host without yanshou, or with another version of it, can say so."""

    class Host:
        """Makes its `worker.Worker` in the first call: Ray would keep only the text of an error in `__init__`."""

        def __init__(self, version: str, arguments: bytes) -> None:
            from threading import Lock

            self._version, self._arguments = version, arguments
            self._making, self._worker = Lock(), None

        def call(self, method: str, *arguments: object) -> Any:
            with self._making:
                if self._worker is None:
                    self._worker = self._make()
            return getattr(self._worker, method)(*arguments)

        def _make(self) -> Any:
            import pickle

            from yanshou.version import __version__ as here

            if here != self._version:
                raise ImportError(f"yanshou {here} is installed there, and {self._version} here", name="yanshou")
            from yanshou.engines.workers.worker import Worker

            return Worker(*pickle.loads(self._arguments))

    return Host


def _pass_on(done: Future[Any], result: Future[Any]) -> None:
    if error := done.exception():
        result.set_exception(_translated(error))
    else:
        result.set_result(done.result())


def _translated(error: BaseException) -> BaseException:
    """What the worker raised, or WorkerLostError where Ray raised an error of its own."""
    if isinstance(error, RayTaskError):
        cause: BaseException = error.cause
        if isinstance(cause, ImportError) and (cause.name or "").partition(".")[0] == "yanshou":
            return RunError(f"{error.ip}: {cause}. Install yanshou {__version__} there.")
        return cause
    return WorkerLostError(str(error).splitlines()[-1]) if isinstance(error, RayError) else error


@contextmanager
def _handlers_kept() -> Iterator[None]:
    """`ray.init` replaces the handler of SIGTERM."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if main}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
