"""`yanshou.engines.endpoint`: a run against a small server that speaks the protocol."""

from collections.abc import Callable
from typing import Any

import pytest
from support.chat_server import MODEL, ChatServer, Response, chat_server
from support.photos import noise

from yanshou.engines import Prompt, Request
from yanshou.engines.base import Answer, Completion, RunPlan
from yanshou.engines.endpoint.client import Patience
from yanshou.engines.endpoint.engine import EndpointEngine
from yanshou.settings import EndpointSettings, EngineSettings

pytestmark = pytest.mark.endpoint

PROMPT = Prompt("系统", "用户")
QUICK = Patience(retries=1, away_s=2.0, probe_s=0.1, longest_pause_s=0.3)

Engine = Callable[..., EndpointEngine]


def engine_for(server: ChatServer, photos: bool = True, patience: Patience = QUICK, **options: Any) -> EndpointEngine:
    """An engine that has met the server."""
    endpoint = EndpointSettings(endpoint=server.url, model=MODEL, concurrency=options.pop("concurrency", 4))
    engine = EndpointEngine(EngineSettings(server=endpoint, **options), patience)
    engine.prepare_run(RunPlan(PROMPT, photos, []))
    return engine


def requests(count: int) -> list[Request]:
    return [Request(number, PROMPT, noise(number, 64, 96), f"photo {number}") for number in range(count)]


def ask(engine: EndpointEngine, count: int = 8) -> dict[int, Answer]:
    return {answer.id: answer for answer in engine.generate(requests(count))}


def test_every_request_is_answered_once_and_no_more_than_the_concurrency_at_a_time() -> None:
    with chat_server() as server:
        answers = ask(engine_for(server), 30)
    assert answers == {number: Completion(number, "无关图片×1", "stop", tokens=5) for number in range(30)}
    assert len(server.photos_asked) == 30
    assert server.most <= 4


@pytest.mark.parametrize("version", [(0, None), (500, b"no"), (200, b"no JSON"), (200, {"version": 3})])
def test_a_server_that_does_not_say_its_version_is_used(version: Response) -> None:
    """transformers serve answers 500 about its models, and then ends the connection that the next request uses."""
    with chat_server(models=(500, b"Internal Server Error"), version=version) as server:
        engine = engine_for(server)
        assert len(ask(engine, 3)) == 3
        assert "server_version" not in engine.environment()
