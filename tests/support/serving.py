"""`transformers serve` with the demo checkpoint on this machine's CPU, in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

START_S = 120  # seconds; a busy machine takes ten times what an idle one takes
# A program that ends itself when the process that started it ends, then becomes the server.
PROGRAM = """
import sys
from yanshou.watchdog import end_with_parent
end_with_parent(sys.stdin.read)
from transformers.cli.transformers import main
sys.argv = ["transformers", *sys.argv[1:]]
main()
"""


class Server:
    """One server. It keeps its port over restarts, and ends with the process that made it, even if that is killed."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder, self.log, self.port = folder, log, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def model(self) -> str:
        """The name of its model: exactly the folder that it was started with."""
        return str(self.folder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Returns when it answers."""
        command = [
            sys.executable, "-c", PROGRAM, "serve", "--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1",
            "--port", str(self.port), self.model,
        ]  # fmt: skip
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + START_S
        while not self._healthy():
            assert self._process.poll() is None, self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.1)

    def kill(self) -> None:
        """As a machine that fails: no answer is finished."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process.stdin.close()
            self._process = None

    def pause(self) -> None:
        """It keeps its connections and answers nothing, until `wake`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as reply:
                return int(reply.status) == 200
        except (urllib.error.URLError, OSError):
            return False


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
