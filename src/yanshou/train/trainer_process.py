"""ms-swift in a process of its own: started, followed through its log, and ended.

An interrupt is passed on once; after KILL_AFTER_S the process group is killed. A trainer whose launcher is killed ends
with it (plugin.py).

With NPROC_PER_NODE=2 in the environment swift starts torchrun, which starts two trainers in sessions of their own. No
signal to the group reaches these, but all have the same standard input, a socket. Where it ends, they end; where no
process holds its other end any more, all have ended.
"""

import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from yanshou.errors import RunError
from yanshou.storage.atomic import write_errors
from yanshou.storage.lock import Lock
from yanshou.text import excerpt
from yanshou.train.command import environment
from yanshou.train.curves import CurveReader
from yanshou.train.folder import TrainFolder, step_of
from yanshou.train.progress_view import TrainView

POLL_S = 0.5  # between two looks at the trainer
KILL_AFTER_S = 10.0  # from an interrupt to the kill
ENDED_AFTER_S = 30.0  # from the kill to the end of the last process, at most
RANK = re.compile(r"^\[rank\d+\]: ")  # of several trainers, in front of each line of an error
KILLED = re.compile(r"Root Cause .*?rank +: (\d+) .*?: Signal \d+ \((\w+)\) received", re.DOTALL)  # torchrun's report
DEADLY = {signal.SIGABRT, signal.SIGBUS, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM}
ADVICE = {  # part of an error that does not say what to change → what to change
    "remaining_argv": "swift does not know these arguments, which were given after --",
    "EADDRINUSE": "another training on this host has this port; set MASTER_PORT to another one, such as 29501",
    "smaller than total_eval_batch_size": "--val-file needs at least as many groups as there are processes",
    "Unsupported nproc_per_node": "NPROC_PER_NODE is the number of processes, such as 2",
    "invalid device ordinal": "NPROC_PER_NODE may be at most the number of GPUs",
    "support bf16/gpu": "torch sees no GPU, as `yanshou doctor` shows; --device cpu trains without one",
    "iostream error": "the disk of the output folder may be full",
    "PytorchStreamWriter failed": "the disk of the output folder may be full",
    "SIGKILL": "as the kernel does where memory runs out: dmesg shows it",
}

logger = logging.getLogger(__name__)


class TrainerProcess:
    """Runs `swift`, one command at a time."""

    def __init__(
        self,
        folder: TrainFolder,
        lock: Lock,
        *,
        cpu: bool,
        view: TrainView,
        interrupted: Callable[[], bool],
        mission_files: Sequence[Path] = (),
    ) -> None:
        self._folder, self._lock = folder, lock
        self._cpu, self._view, self._interrupted = cpu, view, interrupted
        self._mission_files = mission_files
        self._curves = CurveReader(folder.logging)

    def run(self, args: list[str]) -> bool:
        """Runs `swift` with these arguments to its end; False where it was interrupted.

        Raises RunError, with the trainer's own error, where it fails; OutputError where its log cannot be written;
        LockedError where another training took the lock, because somebody deleted the lock file.
        """
        logger.info("swift %s", " ".join(args))
        self._clear_cache()
        with write_errors(self._folder.log):
            log = self._folder.log.open("ab")
        with log:
            begin = log.tell()
            process, held = self._start(args, log)
            self._view.begin()
            try:
                self._follow(process)
            finally:
                self._view.end()
                _kill(process, held)
                self._clear_cache()
        interrupted = self._interrupted()
        if not interrupted and process.returncode != 0:
            raise RunError(self._failure(begin, process.returncode))
        return not interrupted

    def _start(self, args: list[str], log: BinaryIO) -> "tuple[subprocess.Popen[bytes], socket.socket]":
        """The process, and the launcher's end of its standard input."""
        held, stdin = socket.socketpair()
        with stdin:
            process = subprocess.Popen(
                [sys.executable, "-m", "swift.cli.main", *args], cwd=self._folder.root, stdin=stdin.fileno(),
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env=environment(os.environ, self._cpu, self._folder.cache, self._mission_files),
            )  # fmt: skip
        return process, held

    def _clear_cache(self) -> None:
        """ms-swift takes rows from its cache if the file has the same name and time, whatever it holds by now."""
        with write_errors(self._folder.cache):
            if self._folder.cache.exists():
                shutil.rmtree(self._folder.cache)

    def _follow(self, process: "subprocess.Popen[bytes]") -> None:
        while process.poll() is None:
            if self._interrupted():
                _signal(process, signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(KILL_AFTER_S)
                return
            self._lock.check()
            self._view.update(self._curves.read())
            time.sleep(POLL_S)
        self._view.update(self._curves.read())

    def _failure(self, begin: int, status: int) -> str:
        newest = self._folder.newest()
        resume = f" The same command resumes from step {step_of(newest)}." if newest else ""
        reason = _reason(self._folder.log, begin, status)
        advice = next((f" ({advice})" for part, advice in ADVICE.items() if part in reason), "")
        return f"the trainer ended with status {status}: {reason}{advice}. See {self._folder.log}.{resume}"


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Sends the signal to the trainer and to all processes that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _kill(process: "subprocess.Popen[bytes]", held: socket.socket) -> None:
    """Ends what is left of the trainer, and waits for it; does nothing where all of it has ended."""
    with held:
        _signal(process, signal.SIGKILL)
        with suppress(OSError):  # TimeoutError, or the other end is closed already
            held.shutdown(socket.SHUT_WR)
            held.settimeout(ENDED_AFTER_S)
            held.recv(1)  # returns when the last process that has the other end has ended
        process.wait()


def _reason(log: Path, begin: int, status: int) -> str:
    """The signal that ended a trainer, else its last error, else its last line, of what it wrote after `begin`."""
    with log.open("rb") as file:
        file.seek(begin)
        text = file.read().decode("utf-8", errors="replace")
    lines = [RANK.sub("", line).strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if _is_error(line)]
    if killed := list(KILLED.finditer(text)):  # the errors of the others follow from it
        return "its process {} was ended by {}".format(*killed[-1].groups())
    if number := _signal_in(status):
        return f"it was ended by {number.name}" + (f" after {excerpt(errors[-1], 300)}" if errors else "")
    if lines:
        return excerpt((errors or lines)[-1], 300)
    return f"it wrote nothing ({shutil.disk_usage(log.parent).free / 2**30:.1f} GiB free there)"


def _signal_in(status: int) -> signal.Signals | None:
    """The signal that ended swift (-9), or the trainer that swift started (256 - 9), if one did."""
    number = -status if status < 0 else 256 - status
    return signal.Signals(number) if number in DEADLY else None


def _is_error(line: str) -> bool:
    """`ValueError: …`, `torch.OutOfMemoryError: …`, `EOFError`"""
    name, colon, _ = line.partition(": ")
    return bool(colon or " " not in name) and name.rpartition(".")[2].endswith(("Error", "error"))
