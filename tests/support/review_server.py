"""The real server of `yanshou review` over a store: as a process that tests kill, and in a thread of this process.

    server = ReviewServer(store, tmp_path)       keeps its port over restarts
    server.start()                               returns when it answers; start(wait=False) at once
    server.kill()                                SIGKILL
    server.clock.move(400)                       leases end: its clock of leases is 400 s ahead

    with served(store) as page:                  an open Store of this process
        page.url, page.port

A first process imports everything once and forks each server, so that a start takes a fraction of a second. Run as a
program, this file is that process: it takes one line per start on stdin, and prints the process id of the server. It
ends, with the server, when stdin ends.
"""

import ctypes
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from importlib import import_module
from pathlib import Path
from typing import Any, Self

sys.path.append(str(Path(__file__).parents[1]))  # where this file is the program

from support.processes import unmeasured

START_S = 60.0  # seconds; a busy machine is slow, not wrong
MODULES = ("web.app", "web.serve", "store.store")  # imported before the first start
PR_SET_PDEATHSIG = 1  # of Linux: the signal that a process gets when its parent ends


class MovableClock:
    """Seconds since 1970, and more by what `move` says. Processes with the same file share it."""

    def __init__(self, file: Path) -> None:
        if not file.exists():
            file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._offset = mmap.mmap(opened.fileno(), 8)
        self._wall = time.time

    def __call__(self) -> float:
        return self._wall() + self.offset

    @property
    def offset(self) -> float:
        return float(struct.unpack("d", self._offset[:])[0])

    def move(self, seconds: float) -> None:
        """Moves the clock forwards, or backwards."""
        self._offset[:] = struct.pack("d", self.offset + seconds)


class ReviewServer:
    """A server in a process of its own. It ends with the process that made it."""

    def __init__(self, store: Path, folder: Path, *, wall_clock: bool = False, **options: Any) -> None:
        """`folder`: for its log and clock. `options`: of `create_app`.

        `wall_clock`: `clock` moves the wall clock of the server, and
        the clock of leases is its own.
        """
        self.store, self.port = store, free_port()
        self.log, clock = folder / "server.log", folder / "clock"
        self.clock = MovableClock(clock)
        given = {
            "store": str(store),
            "port": self.port,
            "clock": str(clock),
            "wall_clock": wall_clock,
            "options": options,
        }
        command = [sys.executable, __file__, json.dumps(given)]
        with self.log.open("ab") as log:
            self._maker = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=unmeasured()
            )
        self.pid = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True) -> None:
        """Starts the server. `wait`: until it answers."""
        self.pid = self._ask("start")
        deadline = time.monotonic() + START_S
        while wait and not answers(self.port):
            assert time.monotonic() < deadline, self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
            time.sleep(0.002)

    def kill(self) -> None:
        """As a machine that fails. Returns when the process is gone; it may have ended by itself."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        assert self._ask("wait") == self.pid

    def close(self) -> None:
        """Ends both processes."""
        self._maker.communicate()

    def _ask(self, what: str) -> int:
        """The process id that the maker answers."""
        assert self._maker.stdin
        assert self._maker.stdout
        self._maker.stdin.write(f"{what}\n".encode())
        self._maker.stdin.flush()
        reply = self._maker.stdout.readline()
        assert reply, self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        return int(reply)

    def __enter__(self) -> "ReviewServer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Served:
    """A server in a thread."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def served(store: Any, *, connection: Any = None, **options: Any) -> Iterator[Served]:
    """A server for an open `Store`, in a thread of this process. `options`: of `create_app`.

    `connection`: a subclass of `PatientConnection` with other deadlines.
    """
    bound, run, stop = _server(store, 0, options, connection)
    thread = threading.Thread(target=run, name="review server")
    thread.start()
    try:
        port = bound.getsockname()[1]
        deadline = time.monotonic() + START_S
        while not answers(port):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        yield Served(port)
    finally:
        stop()
        thread.join()
        bound.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody accepts connections."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def _server(
    store: Any, port: int, options: dict[str, Any], connection: Any = None
) -> tuple[socket.socket, Callable[[], None], Callable[[], None]]:
    """Its socket, and functions that run and stop it."""
    from yanshou.missions import load_missions
    from yanshou.review.web.addresses import listen
    from yanshou.review.web.app import create_app
    from yanshou.review.web.connections import PatientConnection
    from yanshou.review.web.serve import PageServer

    bound, address = listen("127.0.0.1", port)
    given = {"hosts": address.names(), "lang": "zh", "network": False, "tell": _tell, **options}
    server = PageServer(create_app(store, load_missions(), **given), bound, connection or PatientConnection)
    return bound, server.serve_until_stopped, server.stop


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# ---- the process that makes servers ----


def _serve(given: dict[str, Any]) -> None:
    from yanshou.review.store.store import Store

    clock = MovableClock(Path(given["clock"]))
    if given["wall_clock"]:
        _set_wall_clock(clock)
    with Store.open(Path(given["store"]), clock=None if given["wall_clock"] else clock) as store:
        _, run, _ = _server(store, given["port"], given["options"])
        run()


def _set_wall_clock(clock: MovableClock) -> None:
    """Every time that this process reads from now on is the clock's."""
    from yanshou.review.store import sessions

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(clock(), tz)

    time.time = clock
    sessions.datetime = Moved  # type: ignore[misc]


def _make(given: dict[str, Any]) -> None:
    for name in MODULES:
        import_module(f"yanshou.review.{name}")
    child = 0
    for line in sys.stdin:
        if line == "start\n":
            child = os.fork()
            if child == 0:
                _end_with_parent()
                _serve(given)
                os._exit(0)
        else:
            os.waitpid(child, 0)
        print(child, flush=True)
    if child:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _make(json.loads(sys.argv[1]))
