"""Client and server are killed, and the run resumes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.endpoint_runs import LocalRun, server_arguments, summaries, through_server
from support.faulty_proxy import Heard, Proxy
from support.lines import SHIELD
from support.serving import Server
from support.stage_a_runs import until

pytestmark = pytest.mark.endpoint


def test_a_killed_client_resumes(server: Server, photos: Path, local: LocalRun, tmp_path: Path) -> None:
    for lines in (1, 3):
        process = _start(server.url, server.model, photos, tmp_path, "--concurrency", "2")
        until(lambda lines=lines: _lines(tmp_path) >= lines, process)
        process.kill()
        process.communicate()
        assert summaries(tmp_path) == local.lines[: _lines(tmp_path)]
    ran = through_server(server.url, server.model, photos, tmp_path)
    assert (ran.exit_code, summaries(tmp_path)) == (0, local.lines), ran.output


def test_an_interrupted_client_ends_soon_and_resumes(
    server: Server, photos: Path, local: LocalRun, tmp_path: Path
) -> None:
    process = _start(server.url, server.model, photos, tmp_path, "--concurrency", "2")
    until(lambda: _lines(tmp_path) >= 1, process)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (130, False), err
    assert time.monotonic() - began < 15
    ran = through_server(server.url, server.model, photos, tmp_path)
    assert (ran.exit_code, summaries(tmp_path)) == (0, local.lines), ran.output


def test_a_killed_server_is_waited_for(server: Server, photos: Path, local: LocalRun, tmp_path: Path) -> None:
    process = _start(server.url, server.model, photos, tmp_path, "--concurrency", "4")
    until(lambda: _lines(tmp_path) >= 2, process)
    server.kill()
    server.start()
    _, err = process.communicate(timeout=120)
    assert (process.returncode, summaries(tmp_path)) == (0, local.lines), err


def test_a_resume_with_another_model_is_refused(server: Server, photos: Path, tmp_path: Path) -> None:
    assert through_server(server.url, server.model, photos, tmp_path, "--limit", "1").exit_code == 0

    def renamed(heard: Heard) -> str:
        return "pass"

    with Proxy(server.port, renamed) as proxy:
        other = f"{server.model}/"
        ran = through_server(proxy.url, other, photos, tmp_path, "--quiet")
    assert (ran.exit_code, len(ran.stderr.splitlines())) == (1, 1), ran.output
    assert len(summaries(tmp_path)) == 1


def _start(url: str, model: str, photos: Path, out: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "yanshou.cli", *server_arguments(url, model, photos, out, *more)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


def _lines(out: Path) -> int:
    path = out / f"{SHIELD}_stage_a.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0
