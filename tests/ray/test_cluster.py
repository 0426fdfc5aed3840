"""Promises of workers in processes of their own: what they raise arrives, and a dead one is reported at once."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.worker_runs import descendants

from yanshou.engines.base import Request, RunPlan
from yanshou.engines.workers.protocols import WorkerHandle, WorkerLostError
from yanshou.errors import CheckpointError, RunError, UsageError
from yanshou.schema.prompt import Prompt

pytestmark = pytest.mark.ray

PROMPT = Prompt("system", "user")


def requests(count: int) -> tuple[Request, ...]:
    return tuple(Request(number, PROMPT, Path(f"{number}.jpg")) for number in range(count))


def result(handle: WorkerHandle, method: str, *arguments: object) -> Any:
    return handle.call(method, *arguments).result(timeout=60)


def until_lost(handle: WorkerHandle) -> None:
    """Ray notices the end of a raylet after five heartbeats."""
    while result(handle, "facts"):
        time.sleep(0.5)


def test_two_workers_answer_and_a_killed_one_is_lost(cluster: Callable[..., Any], script: Callable[..., Path]) -> None:
    place = cluster(script(decode=False, delay_s=0.1))
    before = signal.getsignal(signal.SIGTERM)
    first, second = place.start_worker(), place.start_worker()
    for handle in (first, second):
        plan = result(handle, "plan", RunPlan(PROMPT, photos=True, earlier=()))
        assert plan.in_flight == 24
        assert len(result(handle, "exchange", requests(8), 0).answers) == 8
    outstanding = first.call("exchange", requests(1000), 0)
    os.kill(result(first, "facts").pid, signal.SIGKILL)
    began = time.monotonic()
    for call in (outstanding, first.call("facts")):
        with pytest.raises(WorkerLostError):
            call.result(timeout=60)
    assert time.monotonic() - began < 5
    assert len(result(second, "exchange", requests(8), 0).answers) == 8
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_error_of_a_worker_arrives_as_itself(cluster: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text("{")
    with pytest.raises(CheckpointError, match="not JSON"):
        result(cluster(tmp_path / "script.json").start_worker(), "facts")


def test_a_second_one_is_refused_and_a_closed_one_starts_no_other_ray(
    cluster: Callable[..., Any], script: Callable[..., Path]
) -> None:
    place = cluster(script(decode=False))
    handle = place.start_worker()
    with pytest.raises(UsageError, match=r"this process has one already.*engine\.close\(\)"):
        cluster(script())
    assert result(handle, "facts").device == "cpu"
    place.close()
    for act in (place.start_worker, lambda: handle.call("facts")):
        with pytest.raises(RunError, match="the engine is closed"):
            act()


def test_no_worker_is_started_where_the_ray_of_this_host_has_died(
    cluster: Callable[..., Any], script: Callable[..., Path]
) -> None:
    place = cluster(script(decode=False))
    handle = place.start_worker()
    result(handle, "facts")
    (raylet,) = (process for process in descendants(os.getpid()) if process.title.split(" ")[0].endswith("/raylet"))
    raylet.kill()
    with pytest.raises(WorkerLostError, match="the Ray on the host of this command is gone"):
        until_lost(handle)
    with pytest.raises(RunError, match=r"the Ray on this host has died.*/logs"):
        place.start_worker()
