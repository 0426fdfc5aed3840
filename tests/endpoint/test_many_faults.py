"""Many photos at once through a proxy that makes faults: each gets its own answer, once."""

import hashlib
from urllib.parse import urlsplit

import pytest
from PIL import Image
from support.chat_server import MODEL, Body, Response, chat_server, completion, photo
from support.faulty_proxy import Proxy, seeded
from support.photos import noise

from yanshou.engines import Completion, Prompt, Request
from yanshou.engines.base import RunPlan
from yanshou.engines.endpoint.engine import EndpointEngine
from yanshou.engines.endpoint.gate import Patience
from yanshou.engines.endpoint.picture import resized
from yanshou.settings import EndpointSettings, EngineSettings, PhotoSettings

pytestmark = pytest.mark.endpoint

PROMPT, PHOTO = Prompt("系统", "用户"), PhotoSettings(max_pixels=65_536)
SHARES = {"429": 0.1, "500": 0.1, "503": 0.05, "529": 0.03, "cut": 0.1, "reset": 0.1, "refuse": 0.01}


def name(picture: Image.Image | None) -> str:
    assert picture is not None
    return hashlib.sha256(picture.tobytes()).hexdigest()


def echo(body: Body) -> Response:
    """The server says which picture it got."""
    return completion(name(photo(body)))


def test_every_photo_gets_its_own_answer_once() -> None:
    photos = [noise(number, 64, 96) for number in range(100)]
    with chat_server(echo) as server, Proxy(urlsplit(server.url).port or 0, seeded(7, SHARES)) as proxy:
        endpoint = EndpointSettings(endpoint=proxy.url, model=MODEL, concurrency=32)
        engine = EndpointEngine(EngineSettings(server=endpoint, photo=PHOTO), Patience(probe_s=0.2))
        engine.prepare_run(RunPlan(PROMPT, True, []))
        requests = (Request(number, PROMPT, picture) for number, picture in enumerate(photos))
        answers = list(engine.generate(requests))
    assert [answer for answer in answers if not isinstance(answer, Completion)] == []
    texts = {answer.id: answer.text for answer in answers if isinstance(answer, Completion)}
    assert texts == {number: name(resized(picture, PHOTO)) for number, picture in enumerate(photos)}
    assert len(answers) == len(photos)
    assert all(proxy.counts[fault] for fault in SHARES if fault not in ("529", "refuse")), proxy.counts
