"""The workers of a run as Ray actors: on this host, or on the hosts of a cluster.

An actor has no restarts and no retries: Ray says that it died, and the driver decides what that means.
"""

import logging
import os
import pickle
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from yanshou.engines.workers.protocols import WorkerHandle, WorkerLostError
from yanshou.engines.workers.ray_runtime import RayRuntime, ray
from yanshou.errors import RunError, UsageError
from yanshou.settings import EngineSettings
from yanshou.version import __version__

CALLS = 4  # of one worker at the same time: an exchange, a plan, its facts, a stop
CAUSES = {  # words of Ray's message → what they mean
    "running low on memory": "Ray ended it because its host had almost no memory left",
    "node has died": "its host is gone, or the Ray on it",
    "node was terminated": "its host is gone, or the Ray on it",
    "node has crashed": "the Ray on the host of this command is gone",
    "killed by `ray.kill`": "this run ended it",
    "SIGTERM": "its process received SIGTERM",
    "End of file": "its process was killed or crashed",
    "is unavailable": "its host cannot be reached",
}

logger = logging.getLogger(__name__)


class Cluster:
    """A `Place`: the workers of one run. Starts or joins Ray; `close` ends what was started.

    Ray's processes end with the thread that makes the object.
    """

    def __init__(self, settings: EngineSettings) -> None:
        options = settings.workers
        if options.workers == "all" and settings.device == "cpu":
            raise UsageError("--workers all is one worker for every GPU. On a CPU give a number.")
        self._runtime = RayRuntime(options.ray_address)
        try:
            gpus = int(ray.cluster_resources().get("GPU", 0))
            self._gpu = settings.device != "cpu" and gpus > 0
            self.workers = _count(settings, gpus)
        except BaseException:
            self._runtime.close()
            raise
        self._settings = settings.model_copy(update={"device": "cuda" if self._gpu else "cpu"})
        self._handles: list[RayWorker] = []
        self._closing = False

    def start_worker(self) -> WorkerHandle:
        """A new worker, which lives until it is killed or the run ends."""
        _check_open()
        self._check_host()
        actor = ray.remote(_actor_class()).options(
            num_cpus=0, num_gpus=int(self._gpu), max_concurrency=CALLS, max_restarts=0, max_task_retries=0
        )
        arguments = pickle.dumps((self._settings, self._threads()))
        handle = RayWorker(actor.remote(__version__, str(Path.cwd()), arguments), self._lost)
        self._handles.append(handle)
        return handle

    def shortage(self) -> str:
        """Why a new worker cannot start now; "" where nothing speaks against it."""
        if all(handle.started for handle in self._handles):
            return ""
        if self._gpu and ray.available_resources().get("GPU", 0) < 1:
            return f"no free GPU: all {int(ray.cluster_resources().get('GPU', 0))} are in use"
        return f"the process of a worker does not start. raylet.out and the logs of workers in {self.logs} say why"

    @property
    def logs(self) -> str:
        """Where the output of the workers is, on their hosts."""
        return self._runtime.logs

    def environment(self) -> dict[str, Any]:
        """The version of Ray, and the number of hosts."""
        hosts = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
        return {"ray": ray.__version__, "hosts": len(hosts)}

    def close(self) -> None:
        """Ends all workers, and Ray where it was started here. May be called again."""
        self._closing = True
        if ray.is_initialized():
            for handle in self._handles:
                ray.kill(handle.actor)
        self._runtime.close()

    def _check_host(self) -> None:
        """Raises RunError where the Ray on this host has died: a new worker would wait for it without end."""
        here = ray.get_runtime_context().get_node_id()
        if not any(node["Alive"] for node in ray.nodes() if node["NodeID"] == here):
            raise RunError(
                f"the Ray on this host has died, and the workers with it. Its log files: {self.logs}. Look at the "
                "host's free memory, then run the same command again to resume."
            )

    def _threads(self) -> int | None:
        """Threads of torch in one worker: its share of the CPUs, unless the user says how many."""
        if "OMP_NUM_THREADS" in os.environ:
            return None
        private = self._runtime.folder is not None
        cpus = (os.cpu_count() or 1) if private else int(ray.cluster_resources().get("CPU", 1))
        return max(1, cpus // self.workers)

    def _lost(self) -> None:
        self._runtime.died |= not self._closing


class RayWorker:
    """A `WorkerHandle`: an actor. `lost` is called when it died or was killed before the end of the run."""

    def __init__(self, actor: Any, lost: Callable[[], None]) -> None:
        self.actor, self._lost = actor, lost
        self._ready: Future[Any] = actor.__ray_ready__.remote().future()

    @property
    def started(self) -> bool:
        """Whether its process has started, or will never do so. Ray tries again and again where one crashes before."""
        return self._ready.done()

    def call(self, method: str, *arguments: object) -> Future[Any]:
        """Calls a method. The future raises what the method raised, or WorkerLostError."""
        _check_open()
        result: Future[Any] = Future()
        called = self.actor.call.remote(method, *arguments).future()
        called.add_done_callback(lambda done: self._pass_on(done, result))
        return result

    def kill(self) -> None:
        """Ends the process at once, also one that hangs."""
        self._lost()
        ray.kill(self.actor)

    def _pass_on(self, done: Future[Any], result: Future[Any]) -> None:
        error = done.exception()
        if error is None:
            result.set_result(done.result())
            return
        translated = _translated(error)
        if isinstance(translated, WorkerLostError):
            logger.info("a worker is lost: %s", " ".join(str(error).split())[:1_000])
            self._lost()
        result.set_exception(translated)


def _check_open() -> None:
    """Raises RunError after `close`: a call would let Ray start by itself, open to the network."""
    if not ray.is_initialized():
        raise RunError("the engine is closed. Load a new one.")


def _count(settings: EngineSettings, gpus: int) -> int:
    """The number of workers. Raises UsageError where there are too few GPUs."""
    wanted = settings.workers.workers
    if settings.device == "cuda" and not gpus:
        raise UsageError("--device cuda: Ray finds no GPU. Leave it out, or give --device cpu.")
    if wanted == "all" and not gpus:
        raise UsageError("--workers all is one worker for every GPU, and there is none. Give a number.")
    if settings.device != "cpu" and gpus and isinstance(wanted, int) and wanted > gpus:
        raise UsageError(f"--workers {wanted}: each has one GPU, and there are {gpus}. Give {gpus} or fewer.")
    return gpus if wanted == "all" else int(wanted or 1)


def _actor_class() -> type:
    """A class that travels by its code: a host without yanshou, or with another version of it, can say so."""

    class Host:
        """Makes its `worker.Worker` in the first call: Ray would keep only the text of an error in `__init__`."""

        def __init__(self, version: str, folder: str, arguments: bytes) -> None:
            from threading import Lock

            self._version, self._folder, self._arguments = version, folder, arguments
            self._making, self._worker = Lock(), None

        def call(self, method: str, *arguments: object) -> Any:
            with self._making:
                if self._worker is None:
                    self._worker = self._make()
            return getattr(self._worker, method)(*arguments)

        def _make(self) -> Any:
            import os
            import pickle
            import socket
            from contextlib import suppress

            try:
                from yanshou.version import __version__ as here
            except ImportError:
                here = "none"
            if here != self._version:
                raise ImportError(f"{socket.gethostname()} has yanshou {here}", name="yanshou")
            with suppress(OSError):  # relative paths mean the same as on the driver, where this host has its folder
                os.chdir(self._folder)
            from yanshou.engines.workers.worker import Worker

            return Worker(*pickle.loads(self._arguments))

    return Host


def _translated(error: BaseException) -> BaseException:
    """What the worker raised, or WorkerLostError where Ray raised an error of its own."""
    if isinstance(error, ray.exceptions.RayTaskError):
        return _raised(error.cause, str(error))
    if isinstance(error, ray.exceptions.RayError):
        text = " ".join(str(error).split())
        return WorkerLostError(next((cause for words, cause in CAUSES.items() if words in text), text[:300]))
    return error


def _raised(error: BaseException, traceback: str) -> BaseException:
    """What a method raised, with its traceback on the worker."""
    if isinstance(error, ImportError) and error.name == "yanshou":
        return RunError(f"{error}, and a worker needs {__version__}, the driver's. Install it there.")
    error.add_note(traceback)
    return error
