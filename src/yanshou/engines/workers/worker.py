"""A worker: one engine in a process of its own. Calls bring requests and fetch answers; the engine has its own thread.

    exchange ─► feed ─► engine.generate (its thread, as long as requests come) ─► answers ─► this or a later exchange

Plain Python: it knows nothing of Ray, which calls its methods from several threads.
"""

import logging
import os
import platform
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from yanshou.engines import load_engine
from yanshou.engines.base import Answer, Failure, Request, RunPlan, closing_answers
from yanshou.engines.workers.feed import Feed
from yanshou.engines.workers.messages import BrokenWorkerError, Follows, Reply, WorkerFacts, WorkerPlan
from yanshou.errors import CheckpointError, UsageError
from yanshou.settings import EngineSettings, WorkerSettings
from yanshou.version import __version__

QUIET_S = 2.0  # an exchange without an answer returns after this time
MIN_LINGER_S = 0.02  # an exchange waits so long for more answers after the first one …
MAX_LINGER_S = 0.25  # … and so long while many requests are queued
PACKAGES = ("torch", "triton", "transformers")  # whose versions an answer may depend on

logger = logging.getLogger(__name__)


@contextmanager
def _refusals_name_the_place() -> Iterator[None]:
    """A refusal names this host and its GPU: another GPU or folder, or less free memory, may be here than elsewhere."""
    try:
        yield
    except (UsageError, CheckpointError) as error:
        gpu = os.environ.get("CUDA_VISIBLE_DEVICES")  # Ray's; the engine of each worker calls its own cuda:0
        place = socket.gethostname() + (f", GPU {gpu}" if gpu else "")
        raise type(error)(f"the worker on {place}: {error}") from error


@contextmanager
def _broken_devices() -> Iterator[None]:
    """Raises BrokenWorkerError in place of an error after which nothing can be computed on the GPU any more."""
    try:
        yield
    except Exception as error:  # whatever a library raises; all but a broken device is raised again
        if "torch" in sys.modules:  # only where the engine has imported it: many engines need none
            from yanshou.engines.device import is_device_broken

            if is_device_broken(error):
                raise BrokenWorkerError(f"{type(error).__name__}: {error}") from error
        raise


class Worker:
    """One engine, its thread and its requests. `threads`: of torch on a CPU; None: torch's own choice."""

    def __init__(self, settings: EngineSettings, threads: int | None = None) -> None:
        with _refusals_name_the_place():
            self._engine = load_engine(settings.model_copy(update={"workers": WorkerSettings()}))
        if threads and (torch := sys.modules.get("torch")):  # an engine that runs no model does not import it
            torch.set_num_threads(threads)
        self._changed = threading.Condition()  # guards all that follows
        self._feed = Feed(self._changed)
        self._photos: dict[int, Path | None] = {}  # of the requests without an answer, by id
        self._answers: list[tuple[Answer, Path | None]] = []
        self._error: Exception | None = None
        self._loaded = self._stopped = False
        self._loading = threading.Lock()
        threading.Thread(target=self._work, name="engine", daemon=True).start()

    @_broken_devices()
    def facts(self) -> WorkerFacts:
        """Who it is. Reads the checkpoint's files for their fingerprint, but loads nothing. Raises CheckpointError."""
        device = self._engine.environment().get("device", "cpu")
        return WorkerFacts(socket.gethostname(), os.getpid(), device, versions(), self._engine.identity())

    @_broken_devices()
    def plan(self, run: RunPlan, out_of_memory: int = 0) -> WorkerPlan:
        """Prepares a run. Requests of an earlier run are dropped; those that the engine holds already are finished.

        `out_of_memory`: as in `exchange`, of the runs before.
        """
        self._feed.clear()
        self._feed.wait_until_idle()
        with self._changed:
            self._photos.clear()
            self._answers.clear()
            self._error = None
        self._follow(out_of_memory)
        self._engine.prepare_run(run)
        return WorkerPlan(self._engine.environment(), self._engine.in_flight)

    @_broken_devices()
    def load(self) -> None:
        """Loads what the first request would otherwise wait for."""
        with self._loading:
            if not self._loaded:
                with _refusals_name_the_place():
                    self._engine.load()
                self._loaded = True

    def exchange(self, requests: tuple[Request, ...], out_of_memory: int, follows: Follows = "maybe more") -> Reply:
        """Takes requests, and returns answers to these or to earlier ones. One call at a time.

        `follows`: what comes after them. Where more comes now, it returns at once.
        `out_of_memory`: of the worker that had most; this one plans as if it were its own. Raises what ended
        `generate`: a YanshouError, a bug, or BrokenWorkerError.
        """
        self._follow(out_of_memory)
        self._take_in(requests, follows)
        with self._changed:
            if follows != "more now":
                self._wait()
            answered, self._answers = self._answers, []
            error, self._error = self._error, None
            loading, stopped = not self._loaded, self._stopped and self._feed.idle
        if error:
            raise error
        return Reply(
            tuple(answer for answer, _ in answered), frozenset(_unseen(answered)), loading=loading, stopped=stopped,
            data_wait_s=self._engine.data_wait_s, out_of_memory=self._engine.out_of_memory,
        )  # fmt: skip

    def stop(self) -> None:
        """Ends `generate` after the current batch. The other requests stay unanswered."""
        self._stopped = True
        self._engine.stop()
        self._feed.clear()

    # ---- the calls ----

    def _follow(self, out_of_memory: int) -> None:
        if out_of_memory > self._engine.out_of_memory:
            self._engine.reduce_capacity(out_of_memory)

    def _take_in(self, requests: Iterable[Request], follows: Follows) -> None:
        """As one step: what comes between a look at `_stopped` and the feed's clearing would never be answered."""
        with self._changed:
            if self._stopped:
                return
            for request in requests:
                self._photos[request.id] = request.photo if isinstance(request.photo, Path) else None
            self._feed.add(requests, follows)

    def _wait(self) -> None:
        """Returns when there is something to reply: many answers, an end, or nothing for QUIET_S."""
        if self._changed.wait_for(lambda: self._answers or self._is_over(), QUIET_S):
            self._changed.wait_for(self._is_over, MIN_LINGER_S)
            self._changed.wait_for(self._is_enough, MAX_LINGER_S)

    def _is_over(self) -> bool:
        """Nothing more will come before the next call."""
        return self._error is not None or not self._photos or (self._stopped and self._feed.idle)

    def _is_enough(self) -> bool:
        """Half of what was queued is read: time to ask for more, or the engine would wait for requests."""
        return self._is_over() or len(self._answers) >= len(self._feed)

    # ---- the engine's thread ----

    def _work(self) -> None:
        for requests in self._feed.iterators():
            try:
                self._generate(requests)
            except Exception as error:  # it is the driver's: the next call raises it there
                logger.exception("the engine ended with an error")
                self._fail(error)

    @_broken_devices()
    def _generate(self, requests: Iterator[Request]) -> None:
        self.load()
        with closing_answers(self._engine, requests) as answers:
            for answer in answers:
                with self._changed:
                    self._answers.append((answer, self._photos.pop(answer.id)))
                    self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._feed.clear()
            self._error = error
            self._photos.clear()
            self._changed.notify_all()


def versions() -> dict[str, str]:
    """What is installed here."""
    found = {"yanshou": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _unseen(answered: Iterable[tuple[Answer, Path | None]]) -> Iterator[int]:
    """The requests that failed because this host does not have their photo."""
    for answer, photo in answered:
        if isinstance(answer, Failure) and photo is not None and not _exists(photo):
            yield answer.id


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return True
