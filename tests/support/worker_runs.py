"""`yanshou summarize --workers` in a process of its own, and the processes below it: found, stopped, killed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.processes import unmeasured
from yanshou.storage.strict_json import parse

POISON = Path(__file__).parent / "poison"  # a sitecustomize.py
WORKER_TITLE = "ray::Host"  # the process title of an actor
TIMESTAMP = re.compile(rb'"timestamp": ?"[^"]*"')
ENDED_BY_DEATHS = "times without an answer"  # three deaths without an answer in between: a random killer may do it


@dataclass(frozen=True)
class Process:
    """A process of this machine. A later one may get the same number, but began at another time."""

    pid: int
    began: str
    parent: int = field(compare=False)
    state: str = field(compare=False)
    title: str = field(compare=False)

    @property
    def alive(self) -> bool:
        now = _process(self.pid)
        return now == self and now.state != "Z"

    @property
    def age_s(self) -> float:
        uptime = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
        return uptime - int(self.began) / os.sysconf("SC_CLK_TCK")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> bool:
        """Whether it still lived."""
        if self.alive:
            os.kill(self.pid, number)
            return True
        return False


def _process(pid: int) -> Process | None:
    try:
        state, parent, *rest = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it has ended
        return None
    return Process(pid, rest[17], int(parent), state, title)


def descendants(pid: int) -> Iterator[Process]:
    """The processes below this one, from the top."""
    children: dict[int, list[Process]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (process := _process(int(entry.name))):
            children[process.parent].append(process)
    above = [pid]
    while above:
        below = children[above.pop()]
        yield from below
        above += [process.pid for process in below]


class WorkerRun:
    """A driver, started at once. Its output goes to a file beside its output folder."""

    def __init__(self, arguments: Sequence[str], out: Path, tmp: Path, poison: Sequence[str] = ()) -> None:
        self.out, self.tmp, self.log = out, tmp, out.parent / f"{out.name}.log"
        environment = {**unmeasured(), "TMPDIR": str(tmp), "OMP_NUM_THREADS": "1"}
        if poison:
            path = os.pathsep.join([str(POISON), *filter(None, [os.environ.get("PYTHONPATH")])])
            environment |= {"PYTHONPATH": path, "YANSHOU_POISON": ":".join(poison)}
        with self.log.open("ab") as log:
            self.driver = subprocess.Popen(
                [sys.executable, "-m", "yanshou", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=environment, start_new_session=True,
            )  # fmt: skip
        self.seen: set[Process] = set()

    @property
    def running(self) -> bool:
        return self.driver.poll() is None

    def workers(self) -> list[Process]:
        """The workers that live now."""
        below = list(descendants(self.driver.pid))
        self.seen |= set(below)
        return [process for process in below if process.title.startswith(WORKER_TITLE) and process.state not in "ZT"]

    def wait(self, timeout_s: float = 600.0) -> int:
        """The exit status."""
        deadline = time.monotonic() + timeout_s
        while self.running:
            self.workers()
            assert time.monotonic() < deadline, f"the driver hangs: {self.tail()}"
            time.sleep(0.05)
        return self.driver.returncode

    def tail(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-2_000:]

    def gone_after(self, timeout_s: float = 60.0) -> float:
        """Seconds until no worker and no raylet is left. Ray's agents outlive a killed driver by minutes."""
        began = time.monotonic()
        while alive := [process for process in self.seen if process.alive and not _is_agent(process)]:
            assert time.monotonic() - began < timeout_s, f"left behind: {alive}"
            time.sleep(0.05)
        return time.monotonic() - began

    def end(self) -> None:
        """Ends everything, whatever has happened."""
        self.workers()
        self.driver.kill()
        self.driver.wait()
        for process in self.seen:
            process.kill()


def _is_agent(process: Process) -> bool:
    """Whether it is ray::DashboardAgent or ray::RuntimeEnvAgent, or a script that takes one of these titles."""
    now = _process(process.pid)
    return now is not None and any("agent" in word.lower() for word in now.title.split(" ")[:3])


def lines(path: Path) -> list[bytes]:
    """The lines on disk, timestamps aside. A killed driver may have left a part of one, which a resume cuts off."""
    data = path.read_bytes() if path.exists() else b""
    return [TIMESTAMP.sub(b"", line) for line in data.split(b"\n")[:-1]]


def failed(path: Path) -> set[tuple[str, str]]:
    """Group id and step of every line of an errors file."""
    data = path.read_bytes() if path.exists() else b""
    faults = [parse(line) for line in data.splitlines()]
    return {(fault["group_id"], fault["step"]) for fault in faults}
