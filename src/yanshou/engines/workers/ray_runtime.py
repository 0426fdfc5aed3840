"""Ray itself: a private one on this host, or a cluster that is joined. Nothing else imports the package.

A private Ray listens on the loopback only and wants a token that nobody else knows: whoever reaches a port of Ray runs
code. It keeps its sockets and log files in a temporary folder, which is removed at the end.
"""

import logging
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from yanshou.errors import RunError, UsageError
from yanshou.requirements import how_to_install

__all__ = ["RayRuntime", "ray"]

JOIN_TIMEOUT = "RAY_gcs_server_request_timeout_seconds"  # Ray searches this host so long for a part of the cluster
os.environ.setdefault(JOIN_TIMEOUT, "20")  # it is read by the import, and 60 without it
try:
    import ray
    from ray._private import ray_constants, utils
    from ray._private import worker as ray_worker
    from ray.exceptions import AuthenticationError
except ImportError as missing:
    raise UsageError(f"--workers needs Ray: {how_to_install('ray')}") from missing

del os.environ[JOIN_TIMEOUT]  # the processes of a private Ray keep Ray's own

PREFIX = "yanshou-ray-"  # of the folders of private Rays
LOCK = "lock"  # a file in it, locked as long as its driver lives …
YOUNG_S = 2.0  # … and from a moment after it was made
ROOT_LENGTH = 24  # of the temporary folder's path: those of Ray's sockets are 75 longer, and end at 107
CONNECT_S = 5.0
CONNECT_TRIES = 5  # of Ray, a second apart
OBJECT_STORE_BYTES = 100 * 2**20  # requests and answers are small
SYSTEM = {
    # It kills workers where the whole host has used 95 % of its memory, whoever used it. The kernel does better: it
    # kills where memory is really at its end, and Ray offers it the workers first.
    "memory_monitor_refresh_ms": 0,
}

logger = logging.getLogger(__name__)


class RayRuntime:
    """Ray, from here to `close`. Ray's processes end with the thread that made it, whatever ends it."""

    def __init__(self, address: str | None) -> None:
        self.folder: Path | None = None  # of a private Ray
        self._lock: FileLock | None = None
        self.died = False  # a worker died: its log files are kept
        _check_process()
        ray_worker.print_to_stdstream = _log
        with _replaced(utils, "set_sigterm_handler", lambda handler: None):  # the command line has its own
            if address is None:
                self._start()
            else:
                _join(address)

    @property
    def logs(self) -> str:
        """Where the output of the processes is, on their hosts."""
        return str(self.folder or "/tmp/ray") + "/session_latest/logs"

    def close(self) -> None:
        """Leaves the cluster, or ends the private Ray. May be called again."""
        ray.shutdown()
        if self.folder and self._lock:
            self._lock.release()
            (self.folder / LOCK).unlink(missing_ok=True)
            if self.died:
                logger.info("the log files of the workers are in %s", self.logs)
            else:
                _remove(self.folder)

    def _start(self) -> None:
        root = Path(tempfile.gettempdir())
        root = root if len(str(root)) <= ROOT_LENGTH else Path("/tmp")
        remove_abandoned(root)
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        self._lock = FileLock(self.folder / LOCK)
        self._lock.acquire()
        os.environ.pop("RAY_AUTH_MODE", None)  # where it is not set, a new Ray wants a token
        os.environ["RAY_AUTH_TOKEN"] = TOKEN
        try:
            with _replaced(ray_constants, "ENABLE_RAY_CLUSTER", False):  # then all processes listen on the loopback
                ray.init(
                    address="local", include_dashboard=False, num_cpus=1, object_store_memory=OBJECT_STORE_BYTES,
                    log_to_driver=False, logging_level=logging.CRITICAL, _temp_dir=str(self.folder),
                    _system_config=SYSTEM,
                )  # fmt: skip
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            self.died = True
            self.close()
            reason = " ".join(str(error).split())[:300]
            raise RunError(f"Ray does not start on this host: {reason}. Its log files are in {self.logs}.") from error


def _check_process() -> None:
    """Raises UsageError where Ray cannot start or be joined whatever the address: it would end what is there."""
    if ray.is_initialized():
        raise UsageError(
            "workers need a Ray of their own, and this process has one already. End it first: `engine.close()` of the "
            "other engine with workers, or `ray.shutdown()`."
        )
    try:
        Path.cwd()
    except OSError as error:
        raise UsageError(
            f"workers start in the current folder, which cannot be read ({error.strerror}). Change to another one."
        ) from error


TOKEN = secrets.token_hex(32)  # one per process: Ray reads it once


def remove_abandoned(root: Path) -> None:
    """Removes what the private Rays of killed drivers left. A folder that was kept has no lock file."""
    for lock in root.glob(f"{PREFIX}*/{LOCK}"):
        try:
            if time.time() - lock.stat().st_mtime < YOUNG_S:
                continue
            with FileLock(lock, timeout=0):
                shutil.rmtree(lock.parent, ignore_errors=True)
        except (Timeout, OSError):  # its driver lives, or it is another user's
            continue


def _remove(folder: Path) -> None:
    """Ray's agents end last, and make their folder again."""
    for _ in range(5):
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.2)
        if not folder.exists():
            return


def _join(address: str) -> None:
    """Raises RunError in one line, after seconds, whatever is wrong with the address."""
    if address != "auto":
        _reach(address)
    try:
        with _replaced(ray_constants, "NUM_REDIS_GET_RETRIES", CONNECT_TRIES), _no_stderr():
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ConnectionError, RuntimeError, ValueError, AuthenticationError) as error:
        raise RunError(f"--ray-address {address}: {_refusal(error)}") from error


def _reach(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise UsageError(f"--ray-address {address}: expected HOST:PORT of the cluster's head, as `ray start` shows it.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RunError(
            f"--ray-address {address}: cannot be reached ({reason}). Start the cluster with `ray start --head`, and "
            "give the address that it shows."
        ) from error


def _refusal(error: BaseException) -> str:
    """Why the cluster cannot be joined, and what to do."""
    text = " ".join(str(error.__cause__ or error).split())
    if "ersion mismatch" in text:
        return f"{text.rstrip('.')}. Install the same versions of Ray and Python on all hosts."
    if "No node info found" in text:
        return "this host is no part of the cluster. Run `ray start --address=…` on it, or this command on another one."
    if isinstance(error, AuthenticationError) or "uthentication" in text:
        return (
            "the cluster wants its token. Set RAY_AUTH_MODE=token, and copy ~/.ray/auth_token from its head or set "
            "RAY_AUTH_TOKEN as there."
        )
    if "Could not find any running Ray" in text:
        return "no Ray runs on this host. Start one with `ray start`, or give HOST:PORT of the cluster's head."
    if "Failed to connect to GCS" in text:
        return "no head of a Ray cluster answers there. Give the address that `ray start --head` showed."
    return f"cannot be joined: {text}"


def _log(data: dict[str, Any], ignore_prefix: bool) -> None:
    """What Ray would print on the terminal, about dead workers for example: the first line of each message."""
    for message in data["lines"]:
        logger.info("ray: %s", message.partition("\n")[0])


@contextmanager
def _replaced(module: Any, name: str, value: object) -> Iterator[None]:
    """A constant or a function of Ray, replaced by another one."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Ray's C++ part prints every try to connect before its log is set up."""
    terminal, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(nowhere)
