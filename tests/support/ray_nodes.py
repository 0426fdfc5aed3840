"""Nodes of a Ray cluster on this machine, each started as `ray start` does it, in a process group of its own."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

START_S = 60.0


@dataclass
class Nodes:
    """A head, and what joined it. `environment` is that of processes that may join, too."""

    port: int
    environment: dict[str, str]
    folder: Path
    groups: list[int] = field(default_factory=list)  # process groups

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, *options: str, **environment: str) -> None:
        """Starts a node and waits until it is there."""
        name = str(len(self.groups))
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", *options]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, f"--temp-dir={self.folder / name}", "--disable-usage-stats"], stdout=log, stderr=log,
                env=self.environment | environment, start_new_session=True, cwd="/",
            )  # fmt: skip
        self.groups.append(process.pid)
        process.returncode = 0  # it outlives this object
        _wait_for(self.folder / f"{name}.log", "Ray runtime started")

    def kill(self) -> None:
        for group in self.groups:
            os.killpg(group, signal.SIGKILL)


@contextmanager
def head() -> Iterator[Nodes]:
    """A cluster of one node; `start` adds others. All end with the context."""
    folder = Path(tempfile.mkdtemp(prefix="ray-nodes-", dir="/tmp"))
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    nodes = Nodes(_free_port(), os.environ | token, folder)
    try:
        nodes.start("--head", f"--port={nodes.port}", "--include-dashboard=false")
        yield nodes
    finally:
        nodes.kill()
        time.sleep(1)
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _wait_for(log: Path, words: str) -> None:
    began = time.monotonic()
    while words not in (text := log.read_text(encoding="utf-8", errors="replace")):
        assert time.monotonic() - began < START_S, text[-2_000:]
        time.sleep(0.2)
