"""What a server or the way to it can do wrong, and what a run makes of it."""

import hashlib
import threading
from functools import partial
from pathlib import Path

import pytest
from support.endpoint_runs import LocalRun, failed_groups, files_text, summaries, through_server
from support.faulty_proxy import CHAT, Proxy, Received, always, seeded
from support.lines import SHIELD
from support.serving import Server

from yanshou.engines.endpoint import engine
from yanshou.engines.endpoint.address import KEY
from yanshou.engines.endpoint.gate import Patience
from yanshou.storage.jsonl import read_lines

pytestmark = pytest.mark.endpoint

SECRET = "sk-endpoint-secret-7f3a"
SHARES = {
    "429": 0.1, "500": 0.08, "503": 0.05, "slow": 0.05, "cut": 0.08, "reset": 0.06, "refuse": 0.05
}  # fmt: skip


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, SECRET)


def test_faults_lose_and_change_nothing(server: Server, photos: Path, local: LocalRun, tmp_path: Path) -> None:
    with Proxy(server.port, seeded(0, SHARES)) as proxy:
        ran = through_server(proxy.url, server.model, photos, tmp_path, "--concurrency", "8")
    assert (ran.exit_code, summaries(tmp_path)) == (0, local.lines), ran.output
    assert sum(proxy.counts[fault] for fault in SHARES) > 5, proxy.counts


def test_a_server_that_is_away_is_waited_for(
    server: Server, photos: Path, local: LocalRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "Patience", partial(Patience, retries=2, probe_s=0.3, longest_pause_s=1.0))

    def away_at_the_fifth(received: Received) -> str:
        if received.number == 5:
            threading.Thread(target=proxy.refuse).start()
            threading.Timer(4, proxy.listen).start()
        return "pass"

    with Proxy(server.port, away_at_the_fifth) as proxy:
        ran = through_server(proxy.url, server.model, photos, tmp_path, "--concurrency", "4")
    assert (ran.exit_code, summaries(tmp_path)) == (0, local.lines), ran.output


def test_a_server_that_stays_away_ends_the_run_in_one_line_and_fails_no_group(
    server: Server, photos: Path, local: LocalRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "Patience", partial(Patience, retries=1, probe_s=0.3, away_s=1.5))

    def gone_at_the_twelfth(received: Received) -> str:
        if received.number == 12:
            threading.Thread(target=proxy.refuse).start()
        return "pass"

    with Proxy(server.port, gone_at_the_twelfth) as proxy:
        ran = through_server(proxy.url, server.model, photos, tmp_path, "--concurrency", "2", "--quiet")
        assert (ran.exit_code, len(ran.stderr.splitlines())) == (1, 1), ran.output
        assert proxy.url in ran.stderr
        assert failed_groups(tmp_path) == []
        written = summaries(tmp_path)
        assert written == local.lines[: len(written)]
        proxy.plan = always("pass")
        proxy.listen()
        assert through_server(proxy.url, server.model, photos, tmp_path).exit_code == 0
    assert 0 < len(written) < len(local.lines)
    assert summaries(tmp_path) == local.lines


def test_a_server_that_hangs_ends_the_run_in_one_line_and_one_that_wakes_is_waited_for(
    server: Server, photos: Path, local: LocalRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "Patience", partial(Patience, silent_s=1.5, page_s=1.0, away_s=3.0))

    def pausing(received: Received) -> str:
        if received.number in (8, 20):
            server.pause()
        if received.number == 20:
            threading.Timer(3.0, server.wake).start()
        return "pass"

    with Proxy(server.port, pausing) as proxy:
        ran = through_server(proxy.url, server.model, photos, tmp_path, "--concurrency", "2", "--quiet")
        server.wake()
        assert (ran.exit_code, len(ran.stderr.splitlines())) == (1, 1), ran.output
        assert "no answer for 3 s" in ran.stderr
        assert failed_groups(tmp_path) == []
        ran = through_server(proxy.url, server.model, photos, tmp_path, "--concurrency", "2")
    assert (ran.exit_code, summaries(tmp_path)) == (0, local.lines), ran.output


@pytest.mark.parametrize("status", ["401", "404"])
@pytest.mark.parametrize("first", [0, 8])
def test_a_refused_key_or_model_ends_the_run_in_one_line(
    server: Server, photos: Path, tmp_path: Path, status: str, first: int
) -> None:
    with Proxy(server.port, lambda received: status if received.number >= first else "pass") as proxy:
        ran = through_server(proxy.url, server.model, photos, tmp_path, "--quiet", "--concurrency", "3")
    assert (ran.exit_code, len(ran.stderr.splitlines())) == (1, 1), ran.output
    assert status in ran.stderr
    assert failed_groups(tmp_path) == []


def test_another_model_than_the_servers_ends_the_run(server: Server, photos: Path, tmp_path: Path) -> None:
    ran = through_server(server.url, "Qwen/Qwen3-VL-4B-Instruct", photos, tmp_path, "--quiet")
    assert (ran.exit_code, len(ran.stderr.splitlines())) == (1, 1), ran.output
    assert failed_groups(tmp_path) == []


@pytest.mark.parametrize("fault", ["400", "500"])
def test_a_photo_that_the_server_refuses_fails_only_its_group(
    server: Server, photos: Path, local: LocalRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(engine, "Patience", partial(Patience, retries=1))
    refused: list[str] = []

    def one_photo(received: Received) -> str:
        """The same photo at every try: the fourth that comes."""
        if received.path != CHAT:
            return "pass"
        digest = hashlib.sha256(received.body).hexdigest()
        if len(seen := {one.body for one in proxy.received if one.path == CHAT}) == 4 and not refused:
            refused.append(digest)
        assert seen
        return fault if digest in refused else "pass"

    with Proxy(server.port, one_photo) as proxy:
        ran = through_server(proxy.url, server.model, photos, tmp_path, "--limit", "2", "--concurrency", "1")
    assert ran.exit_code == 3, ran.output
    ((_, fault_line),) = read_lines(tmp_path / f"{SHIELD}_stage_a.errors.jsonl")
    assert fault_line["step"] == "generate"
    assert len(summaries(tmp_path)) == 1
    assert through_server(server.url, server.model, photos, tmp_path, "--limit", "2").exit_code == 0


def test_the_key_goes_to_the_server_and_nowhere_else(server: Server, photos: Path, tmp_path: Path) -> None:
    with Proxy(server.port) as stranger:
        with Proxy(server.port, lambda received: "redirect" if received.number == 6 else "pass", stranger.url) as proxy:
            ran = through_server(proxy.url, server.model, photos, tmp_path, "-vv", "--concurrency", "2")
        assert (ran.exit_code, proxy.counts["redirect"]) == (1, 1), ran.output
        assert stranger.received == []  # neither key nor photo
    assert {received.headers.get("authorization") for received in proxy.received} == {f"Bearer {SECRET}"}
    assert SECRET not in ran.output
    assert SECRET.encode() not in files_text(tmp_path)


@pytest.mark.parametrize("fault", ["401", "cut"])
def test_user_and_password_appear_nowhere(
    server: Server, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.delenv(KEY)
    monkeypatch.setattr(engine, "Patience", partial(Patience, retries=1, away_s=2.0))
    with Proxy(server.port, lambda received: fault if received.number > 6 else "pass") as proxy:
        url = proxy.url.replace("http://", "http://someone:pass%20word-91@")
        ran = through_server(url, server.model, photos, tmp_path, "-vv", "--concurrency", "2")
    assert ran.exit_code in (1, 3)
    everything = ran.output.encode() + files_text(tmp_path)
    for secret in ("someone", "pass word-91", "pass%20word-91"):
        assert secret.encode() not in everything
    assert proxy.received[-1].headers["authorization"].startswith("Basic ")
