"""Key and password reach the server and nothing else: no file, message, log or exception, and no other host."""

import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import MODEL, ChatServer, Response, chat_server, completion, failed
from support.lines import SHIELD

from yanshou.engines import Prompt
from yanshou.engines.base import RunPlan
from yanshou.engines.endpoint.engine import EndpointEngine
from yanshou.engines.endpoint.gate import Patience
from yanshou.errors import YanshouError
from yanshou.settings import EndpointSettings, EngineSettings

pytestmark = pytest.mark.endpoint

KEY, PASSWORD = "sk-0a1b2c3d4e5f", "p4ssw0rd-xyz"
BASIC = "aW5zcGVjdG9yOnA0c3N3MHJkLXh5eg=="  # inspector:p4ssw0rd-xyz
SECRETS = (KEY, PASSWORD, BASIC)
FOREIGN = {"OPENAI_API_KEY": "sk-of-another", "OPENAI_ADMIN_KEY": "sk-of-an-admin", "OPENAI_ORG_ID": "org-of-another"}
QUICK = Patience(retries=1, away_s=0.5, probe_s=0.1)

Echo = Callable[[Any], Response]


def echo(status: int, way: str) -> Echo:
    """A server that repeats what it was sent."""
    return lambda _: failed(status, f"you sent {KEY}" if way == "key" else f"you sent {PASSWORD}, Basic {BASIC}")


def with_password(server: ChatServer) -> str:
    return server.url.replace("http://", f"http://inspector:{PASSWORD}@")


def command(endpoint: str, root: Path, out: Path, *more: str, key: str = "") -> "subprocess.CompletedProcess[str]":
    """`yanshou summarize` in a process of its own, with every log shown."""
    arguments = ["summarize", "--endpoint", endpoint, "--model", MODEL, "--input-dir", root, "--output-dir", out]
    environment = {**os.environ, "YANSHOU_ENDPOINT_KEY": key, **FOREIGN, "OPENAI_LOG": "debug"}
    return subprocess.run(
        [sys.executable, "-m", "yanshou.cli", *map(str, arguments), "--mission", SHIELD, "-vv", *more],
        capture_output=True, encoding="utf-8", env=environment, timeout=100, check=False,
    )  # fmt: skip


def files(folder: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("way", ["key", "password"])
def test_a_run_shows_and_writes_no_secret(photo_tree: Callable[..., Path], tmp_path: Path, way: str) -> None:
    root, answers = photo_tree({f"{SHIELD}/审核通过/QC-{number}": 1 for number in range(3)}), [completion()] * 3
    with chat_server(lambda body: answers.pop() if answers else echo(400, way)(body)) as server:
        endpoint = server.url if way == "key" else with_password(server)
        ended = command(endpoint, root, tmp_path / "out", key=KEY if way == "key" else "")
    assert ended.returncode == 3, ended.stderr
    assert {header["authorization"] for header in server.headers} == {
        f"Bearer {KEY}" if way == "key" else f"Basic {BASIC}"
    }
    sent = " ".join(value for header in server.headers for value in header.values())
    assert [name for name, value in FOREIGN.items() if value in sent] == []  # they are for another server
    written = files(tmp_path / "out")
    assert "you sent …" in written + ended.stderr
    assert server.url in written
    for secret in SECRETS:
        assert secret not in written
        assert secret not in ended.stdout + ended.stderr


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 500, 503])  # 200: a page that is no chat completion
@pytest.mark.parametrize("way", ["key", "password"])
def test_no_exception_and_no_log_holds_a_secret(
    status: int, way: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("YANSHOU_ENDPOINT_KEY", KEY if way == "key" else "")
    caplog.set_level(logging.DEBUG)
    with chat_server(echo(status, way)) as server:
        endpoint = EndpointSettings(endpoint=server.url if way == "key" else with_password(server), model=MODEL)
        engine = EndpointEngine(EngineSettings(server=endpoint), QUICK)
        with pytest.raises(YanshouError) as caught:
            engine.prepare_run(RunPlan(Prompt("系统", "用户"), True, []))
    told = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(vars(engine))
    for secret in SECRETS:
        assert secret not in told


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YANSHOU_ENDPOINT_KEY", KEY)
    with chat_server() as other, chat_server(lambda _: (status, {"location": f"{other.url}/?k={KEY}"})) as server:
        engine = EndpointEngine(EngineSettings(server=EndpointSettings(endpoint=server.url, model=MODEL)), QUICK)
        with pytest.raises(YanshouError) as caught:
            engine.prepare_run(RunPlan(Prompt("系统", "用户"), True, []))
    assert other.headers == []
    assert f"It redirects to {other.url}/, and no key is sent there." in str(caught.value)


def test_no_proxy_of_the_environment_stands_before_a_server_on_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with chat_server() as stranger, chat_server() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, stranger.url.removesuffix("/v1"))
        engine = EndpointEngine(EngineSettings(server=EndpointSettings(endpoint=server.url, model=MODEL)), QUICK)
        engine.prepare_run(RunPlan(Prompt("系统", "用户"), True, []))
    assert (len(server.asked), stranger.headers) == (1, [])
