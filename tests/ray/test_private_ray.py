"""Promises about the private Ray of a run: it listens on the loopback, prints nothing, and leaves nothing behind."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.lines import SHIELD
from support.worker_runs import WorkerRun, descendants, lines

pytestmark = pytest.mark.ray

GROUPS = 24
LISTENS = "0A"  # a state in /proc/net/tcp
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F"}  # 127.0.0.1 in IPv4 and IPv6, as they are there


@pytest.fixture
def start(
    photo_tree: Callable[..., Path], script: Callable[..., Path], tmp_path: Path
) -> Iterator[Callable[[], WorkerRun]]:
    """Starts the same run again and again, in its own temporary folder, which is `tmp` of each."""
    photos = photo_tree({f"{SHIELD}/审核通过/QC-{number}": 2 for number in range(GROUPS)})
    slow, tmp = script(delay_s=0.4), Path(tempfile.mkdtemp(prefix="yr-", dir="/tmp"))
    runs: list[WorkerRun] = []

    def run() -> WorkerRun:
        arguments = [
            "summarize", "--input-dir", str(photos), "--output-dir", str(tmp_path / "out"), "--mission", SHIELD,
            "--engine", "scripted", "--checkpoint", str(slow), "--device", "cpu", "--workers", "2", "--batch-size", "2",
        ]  # fmt: skip
        runs.append(WorkerRun(arguments, tmp_path / "out", tmp))
        return runs[-1]

    yield run
    for one in runs:
        one.end()
    shutil.rmtree(tmp)


def wait_for_lines(run: WorkerRun, number: int) -> None:
    began = time.monotonic()
    while len(lines(run.out / f"{SHIELD}_stage_a.jsonl")) < number:
        run.workers()
        assert run.running, run.tail()
        assert time.monotonic() - began < 90, run.tail()
        time.sleep(0.1)


def listening(pids: set[int]) -> Iterator[str]:
    """The local addresses, in hexadecimal, on which processes wait for connections."""
    inodes = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            inodes.add(str(descriptor.readlink()).removeprefix("socket:[").rstrip("]"))
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            if state == LISTENS and rest[5] in inodes:
                yield local.partition(":")[0]


def test_ctrl_c_ends_the_run_after_its_batch_and_kills_no_worker(start: Callable[[], WorkerRun]) -> None:
    run = start()
    wait_for_lines(run, 4)
    addresses = list(listening({run.driver.pid, *(process.pid for process in descendants(run.driver.pid))}))
    assert len(addresses) >= 5  # of gcs_server, raylet, driver and workers
    assert set(addresses) <= LOOPBACK
    os.killpg(run.driver.pid, signal.SIGINT)  # as a terminal does
    assert run.wait() == 130
    assert "died" not in run.tail()
    assert "ray" not in run.tail().lower().replace(str(run.out).lower(), "")
    assert run.gone_after() < 5
    assert list(run.tmp.iterdir()) == []
    resumed = start()
    assert resumed.wait() == 0
    assert len(lines(run.out / f"{SHIELD}_stage_a.jsonl")) == GROUPS


def test_what_a_killed_driver_leaves_is_gone_after_a_minute_and_its_folder_after_the_next_run(
    start: Callable[[], WorkerRun],
) -> None:
    run = start()
    wait_for_lines(run, 4)
    run.driver.kill()
    run.driver.wait()
    assert run.gone_after() < 60
    assert len(list(run.tmp.iterdir())) == 1
    assert start().wait() == 0
    assert list(run.tmp.iterdir()) == []
