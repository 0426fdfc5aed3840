"""Client and server are killed, and the run resumes."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.endpoint_runs import LocalRun, server_arguments, summaries, through_server
from support.faulty_proxy import Proxy
from support.lines import SHIELD
from support.serving import Server

pytestmark = pytest.mark.endpoint


def test_a_killed_client_resumes(server: Server, photos: Path, local: LocalRun, tmp_path: Path) -> None:
    with _running(server.url, server.model, photos, tmp_path, "--concurrency", "2") as process:
        _wait_for_lines(2, tmp_path, process)
    assert summaries(tmp_path) == local.lines[: _lines(tmp_path)]
    ran = through_server(server.url, server.model, photos, tmp_path)
    assert (ran.exit_code, summaries(tmp_path)) == (0, local.lines), ran.output


def test_an_interrupted_client_ends_soon_and_resumes(
    server: Server, photos: Path, local: LocalRun, tmp_path: Path
) -> None:
    with _running(server.url, server.model, photos, tmp_path, "--concurrency", "2") as process:
        _wait_for_lines(1, tmp_path, process)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (130, False), err
    assert time.monotonic() - began < 15
    ran = through_server(server.url, server.model, photos, tmp_path)
    assert (ran.exit_code, summaries(tmp_path)) == (0, local.lines), ran.output


def test_a_killed_server_is_waited_for(server: Server, photos: Path, local: LocalRun, tmp_path: Path) -> None:
    with _running(server.url, server.model, photos, tmp_path, "--concurrency", "4") as process:
        _wait_for_lines(2, tmp_path, process)
        server.kill()
        server.start()
        _, err = process.communicate(timeout=120)
    assert (process.returncode, summaries(tmp_path)) == (0, local.lines), err


def test_a_resume_with_another_model_is_refused(server: Server, photos: Path, local: LocalRun, tmp_path: Path) -> None:
    with Proxy(server.port, model=server.model) as proxy:
        assert through_server(proxy.url, "first", photos, tmp_path, "--limit", "1").exit_code == 0
        ran = through_server(proxy.url, "second", photos, tmp_path, "--quiet")
        assert (ran.exit_code, summaries(tmp_path)) == (1, local.lines[:1])
        assert "first" in ran.stderr
        assert "second" in ran.stderr
        assert through_server(proxy.url, "first", photos, tmp_path).exit_code == 0
    assert summaries(tmp_path) == local.lines


@contextmanager
def _running(url: str, model: str, photos: Path, out: Path, *more: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "yanshou.cli", *server_arguments(url, model, photos, out, *more)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as process:
        try:
            yield process
        finally:
            process.kill()


def _lines(out: Path) -> int:
    path = out / f"{SHIELD}_stage_a.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _wait_for_lines(count: int, out: Path, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120  # a busy machine takes long to start a process
    while _lines(out) < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
