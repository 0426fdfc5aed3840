"""`yanshou.engines.endpoint`: runs against a small server that speaks the protocol, well or badly."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.chat_server import MODEL, Body, ChatServer, Response, chat_server, completion, failed, is_trial, photo
from support.photos import noise

from yanshou.engines import Prompt, Request
from yanshou.engines.base import Answer, Completion, Failure, RunPlan
from yanshou.engines.endpoint.doubt import LIMIT
from yanshou.engines.endpoint.engine import EndpointEngine
from yanshou.engines.endpoint.gate import Patience
from yanshou.errors import GenerationError, PhotoError, RunError
from yanshou.settings import EndpointSettings, EngineSettings, SamplingSettings
from yanshou.stage_a.api import infer_batch

pytestmark = pytest.mark.endpoint

PROMPT = Prompt("系统", "用户")
QUICK = Patience(retries=1, away_s=1.5, probe_s=0.1, longest_pause_s=0.3)


def new_engine(server: ChatServer, patience: Patience = QUICK, concurrency: int = 4, **options: Any) -> EndpointEngine:
    endpoint = EndpointSettings(endpoint=server.url, model=MODEL, concurrency=concurrency)
    return EndpointEngine(EngineSettings(server=endpoint, **options), patience)


def ready(server: ChatServer, photos: bool = True, **options: Any) -> EndpointEngine:
    """An engine that has met the server."""
    engine = new_engine(server, **options)
    engine.prepare_run(RunPlan(PROMPT, photos, []))
    return engine


def requests(count: int) -> list[Request]:
    """Photos whose first pixel tells their number."""
    return [Request(number, PROMPT, noise(number, 64, 96), f"photo {number}") for number in range(count)]


def ask(engine: EndpointEngine, count: int = 8) -> dict[int, Answer]:
    answers = list(engine.generate(requests(count)))
    assert len({answer.id for answer in answers}) == len(answers)
    return {answer.id: answer for answer in answers}


def errors(answers: dict[int, Answer]) -> dict[int, str]:
    return {number: str(one.error) for number, one in answers.items() if isinstance(one, Failure)}


def after_trial(*responses: Response) -> Any:
    """An answer function: the trial and all photos beyond the given ones succeed."""
    left = list(responses)
    return lambda body: completion() if is_trial(body) or not left else left.pop(0)


def until_the_run_ends(engine: EndpointEngine, then: Callable[[], None]) -> tuple[list[Answer], str]:
    """The answers to many requests and the error that ends them; after ten answers `then` is called."""
    answers: list[Answer] = []
    try:
        for answer in engine.generate(requests(200)):
            answers.append(answer)
            if len(answers) == 10:
                then()
    except RunError as error:
        return answers, str(error)
    raise AssertionError("the run did not end")


# ---- answers


def test_every_request_is_answered_once_and_no_more_than_the_concurrency_at_a_time() -> None:
    with chat_server(lambda _: time.sleep(0.01) or completion()) as server:
        answers = ask(ready(server), 30)
    assert answers == {number: Completion(number, "无关图片×1", "stop", tokens=5) for number in range(30)}
    assert len(server.photos_asked) == 30
    assert 2 <= server.most <= 4


def test_requests_are_read_ahead_by_a_bounded_number_only() -> None:
    read = []
    with chat_server() as server:
        engine = ready(server)
        answers = engine.generate(read.append(one.id) or one for one in requests(60))
        next(answers)
        assert len(read) <= engine.in_flight + 1
        answers.close()


def test_no_request_is_read_far_beyond_one_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer is waited for, and those behind it are held for the order of lines."""
    monkeypatch.setattr("yanshou.engines.endpoint.engine.SPAN", 2)
    held, one_of_four, read = threading.Event(), threading.Semaphore(1), []

    def answer(body: Body) -> Response:
        if one_of_four.acquire(blocking=False):
            held.wait(20)
        return completion()

    with chat_server() as server:
        engine = ready(server)
        server.answer = answer
        answers = engine.generate(read.append(one.id) or one for one in requests(100))
        first = [next(answers) for _ in range(2 * engine.in_flight - 1)]
        assert len(read) < 2 * engine.in_flight + 4
        held.set()
        assert len([*first, *answers]) == 100


def test_the_request_holds_our_system_message_then_photo_then_text() -> None:
    with chat_server() as server:
        ask(ready(server), 1)
        (body,) = server.photos_asked
    system, user = body["messages"]
    assert system == {"role": "system", "content": "系统"}
    assert [part["type"] for part in user["content"]] == ["image_url", "text"]
    assert user["content"][1]["text"] == "用户"
    assert {name: body[name] for name in body if name != "messages"} == {
        "model": MODEL, "max_tokens": 256, "temperature": 0.0,
    }  # fmt: skip
    assert photo(body).size == (224, 320)


def test_a_photo_has_its_own_seed_where_tokens_are_drawn() -> None:
    sampling = SamplingSettings(temperature=0.7, top_p=0.9, repetition_penalty=1.05)
    with chat_server() as server:
        ask(ready(server, sampling=sampling), 3)
        ask(ready(server, sampling=sampling), 3)
        bodies = server.photos_asked
    assert {body["top_p"] for body in bodies} == {0.9}
    assert {body["repetition_penalty"] for body in bodies} == {1.05}
    seeds = sorted(body["seed"] for body in bodies)
    assert len(set(seeds)) == 3
    assert seeds[::2] == seeds[1::2]


def test_an_answer_at_the_limit_is_cut_off() -> None:
    with chat_server(after_trial(completion("一一一", "length"))) as server:
        answers = ask(ready(server), 1)
    assert answers[0] == Completion(0, "一一一", "length", tokens=5)


def test_reasoning_that_the_server_took_off_is_put_back_in_front() -> None:
    with chat_server(after_trial(completion(message={"reasoning_content": "想一想"}))) as server:
        answers = ask(ready(server), 1)
    assert answers[0].text == "<think>\n想一想\n</think>\n\n无关图片×1"


# ---- a photo that fails


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (failed(400, "bad image"), "the server refused the request (400): bad image"),
        ((413, b"<html>too large</html>"), "the server refused the request (413): <html>too large</html>"),
        ((422, {"detail": [{"msg": "no\nfield\x1b[2J"}]}), r"the server refused the request (422): no field\x1b[2J"),
        (completion(None), "the server's reply holds no text; it ended with 'stop'"),
        (completion("x", "content_filter"), "the server ended the answer with 'content_filter'"),
        (completion("x", None), "the server ended the answer with None"),
        (
            (200, {"choices": []}),
            "the server's reply is not a chat completion (choices: Tuple should have at least 1 item",
        ),
        ((200, {"error": "busy"}), "the server's reply is not a chat completion (choices: Field required): "),
        ((200, b"<html>hello"), "the server's reply is not a chat completion (Invalid JSON: "),
        ((200, b'{"choices": [{"mess'), "the server's reply is not a chat completion (Invalid JSON: "),
        ((200, b'{"choices": [{"message": {"content": "\\ud800"}}]}'), "the server's reply is not a chat completion ("),
        ((200, b"\xff\xfe"), "the server's reply is not a chat completion ("),
        ((200, b""), "the server's reply is not a chat completion ("),
        ((200, b"[]"), "the server's reply is not a chat completion ("),
    ],
)
def test_a_reply_that_is_no_answer_fails_its_photo_only(response: Response, message: str) -> None:
    with chat_server(after_trial(response)) as server:
        answers = ask(ready(server), 8)
    ((_, found),) = errors(answers).items()
    assert found.startswith(message)
    assert len(answers) == 8


def test_a_photo_that_gets_500_at_every_try_fails_while_others_succeed() -> None:
    def answer(body: Body) -> Response:
        return failed(500, "cannot read image") if photo(body).getpixel((0, 0)) == bad else completion()

    with chat_server() as server:
        ask(ready(server), 1)
        bad = photo(server.photos_asked[0]).getpixel((0, 0))
        server.answer = answer
        answers = ask(ready(server), 10)
    assert errors(answers) == {0: "the server answered 500 at every try: cannot read image"}


def test_a_photo_that_breaks_the_connection_at_every_try_fails() -> None:
    def answer(body: Body) -> Response:
        return (0, None) if photo(body).getpixel((0, 0)) == bad else completion()

    with chat_server() as server:
        ask(ready(server), 1)
        bad = photo(server.photos_asked[0]).getpixel((0, 0))
        server.answer = answer
        answers = ask(ready(server), 10)
    ((number, message),) = errors(answers).items()
    assert (number, message.partition(" (")[0]) == (0, "the connection to the server broke at each of 3 tries")


def test_a_damaged_photo_fails_without_a_request(tmp_path: Any) -> None:
    (tmp_path / "1.jpg").write_bytes(b"")
    with chat_server() as server:
        engine = ready(server)
        answers = list(engine.generate([Request(0, PROMPT, tmp_path / "1.jpg"), Request(1, PROMPT, noise(1, 3, 900))]))
        assert server.photos_asked == []
    assert [type(answer.error) for answer in answers if isinstance(answer, Failure)] == [PhotoError, PhotoError]


def test_no_answer_in_time_fails_the_photo() -> None:
    def answer(body: Body) -> Response:
        if not is_trial(body):
            time.sleep(1.0)
        return completion()

    with chat_server(answer) as server:
        answers = ask(ready(server, patience=Patience(photo_s=0.4, request_s=0.3)), 2)
    assert set(errors(answers).values()) == {"no answer in 0.4 s"}


# ---- retries


@pytest.mark.parametrize("response", [failed(429), failed(500), failed(502), failed(503), (0, None)], ids=str)
def test_a_short_trouble_loses_nothing(response: Response) -> None:
    with chat_server(after_trial(response, response, response)) as server:
        answers = ask(ready(server, patience=Patience(retries=3, probe_s=0.1)), 8)
    assert len(answers) == 8
    assert errors(answers) == {}


def test_a_server_that_goes_away_and_comes_back_loses_nothing() -> None:
    broken = threading.Event()

    def answer(_: Body) -> Response:
        return (0, None) if broken.is_set() else completion()

    with chat_server(answer) as server:
        engine = ready(server, patience=Patience(retries=0, probe_s=0.1, away_s=20))
        server_models, server.models = server.models, (503, {})
        broken.set()
        threading.Timer(0.7, lambda: (setattr(server, "models", server_models), broken.clear())).start()
        answers = ask(engine, 30)
        sent = len(server.photos_asked)
    assert errors(answers) == {}
    assert len(answers) == 30
    assert sent < 50  # the queue was held


def test_too_many_requests_are_slowed_down_and_none_fails() -> None:
    allowed = threading.Semaphore(1)

    def answer(_: Body) -> Response:
        if not allowed.acquire(blocking=False):
            return failed(429, "slow down")
        time.sleep(0.02)
        allowed.release()
        return completion()

    with chat_server(answer) as server:
        answers = ask(ready(server, patience=Patience(retries=0, longest_pause_s=0.2), concurrency=8), 30)
    assert len(answers) == 30
    assert errors(answers) == {}


def test_a_server_that_answers_429_to_all_ends_the_run() -> None:
    with chat_server() as server:
        engine = ready(server, patience=Patience(retries=0, busy_s=0.5, longest_pause_s=0.2))
        answers, message = until_the_run_ends(
            engine, lambda: setattr(server, "answer", lambda _: failed(429, "no quota"))
        )
    assert {type(answer) for answer in answers} == {Completion}
    assert "has answered 429 to every request for 0.5 s: no quota. Lower --concurrency or wait" in message


# ---- the end of a run


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "answered 401: no. Set YANSHOU_ENDPOINT_KEY to a key that the server knows."),
        (403, "answered 403: no. Ask whoever runs the server what the key may use."),
        (404, "answered 404: no. --model is demo; the server lists one, two."),
    ],
)
def test_a_wrong_key_or_model_ends_the_run_before_it_begins(status: int, message: str) -> None:
    models = (200, {"data": [{"id": "one"}, {"id": "two"}]})
    with chat_server(lambda _: failed(status), models=models) as server, pytest.raises(RunError) as caught:
        ready(server)
    assert str(caught.value) == f"{server.url} {message}"
    assert len(server.asked) == 1


def test_a_key_that_is_withdrawn_ends_the_run() -> None:
    with chat_server(after_trial(completion(), completion(), failed(401, "expired"))) as server:
        engine = ready(server)
        with pytest.raises(RunError, match="answered 401: expired"):
            ask(engine, 30)


def test_a_server_that_is_not_there_ends_the_run_in_one_line() -> None:
    with chat_server() as server:
        pass
    with pytest.raises(RunError) as caught:
        ready(server)
    message = str(caught.value)
    assert message.startswith(f"{server.url}: no answer for 1.5 s (")
    assert "Connect call failed" in message
    assert message.endswith("Start the server, and run the same command again: it resumes.")


def test_https_that_the_server_does_not_speak_ends_the_run_at_once() -> None:
    with chat_server() as server:
        server.url = server.url.replace("http://", "https://")
        engine = new_engine(server, patience=Patience(away_s=60))
        with pytest.raises(RunError, match=r"no encrypted connection \(.*WRONG_VERSION_NUMBER.*SSL_CERT_FILE"):
            engine.prepare_run(RunPlan(PROMPT, True, []))


def test_a_server_that_dies_during_the_run_ends_it_and_fails_no_photo() -> None:
    with chat_server() as server:
        engine = ready(server)

        def die() -> None:
            server.answer, server.models = lambda _: (0, None), (503, {})

        answers, message = until_the_run_ends(engine, die)
    assert "no answer for 1.5 s" in message
    assert {type(answer) for answer in answers} == {Completion}


@pytest.mark.parametrize("bad", [failed(500), failed(400), (200, b"<html>"), completion("x", "abort")], ids=str)
def test_a_server_that_refuses_everything_ends_the_run_and_fails_few_photos(bad: Response) -> None:
    with chat_server() as server:
        engine = ready(server, patience=Patience(retries=0))
        answers, message = until_the_run_ends(engine, lambda: setattr(server, "answer", lambda _: bad))
        sent = len(server.photos_asked)
    assert "requests failed, and so did a trial" in message
    assert sum(isinstance(answer, Failure) for answer in answers) <= 4  # answers were under way when it began
    assert sent < 10 + 2 * engine.in_flight + LIMIT


def test_a_server_that_answers_nothing_at_all_but_keeps_its_connections_ends_the_run() -> None:
    with chat_server() as server:
        engine = ready(server, patience=Patience(silent_s=0.3, probe_s=0.1, away_s=0.5))
        end = threading.Event()

        def hang() -> None:
            server.answer = lambda _: (end.wait(20), completion())[1]
            server.models = (503, {})

        answers, message = until_the_run_ends(engine, hang)
        end.set()
    assert "no answer for 0.5 s" in message
    assert {type(answer) for answer in answers} == {Completion}


def test_a_slow_server_that_answers_probes_is_waited_for_and_asked_once() -> None:
    def slow(body: Body) -> Response:
        time.sleep(0 if is_trial(body) else 1.0)
        return completion()

    with chat_server(slow) as server:
        assert errors(ask(ready(server, patience=Patience(silent_s=0.2, probe_s=0.1)), 4)) == {}
        assert len(server.photos_asked) == 4


def test_a_server_that_starts_to_answer_with_nothing_ends_the_run() -> None:
    with chat_server() as server:
        engine = ready(server)
        answers, _ = until_the_run_ends(engine, lambda: setattr(server, "answer", lambda _: completion("")))
    assert sum(isinstance(answer, Failure) for answer in answers) <= 4


def test_many_bad_photos_in_a_row_are_failures_where_the_server_answers_a_trial() -> None:
    with chat_server(lambda body: completion() if is_trial(body) else failed(400, "blurred")) as server:
        answers = ask(ready(server), 2 * LIMIT + 5)
    assert set(errors(answers).values()) == {"the server refused the request (400): blurred"}
    assert len(errors(answers)) == 2 * LIMIT + 5


def test_a_server_that_reads_no_pictures_ends_the_run_before_it_begins() -> None:
    broken = pytest.raises(RunError, match=r"no answer to a trial request: .* not a multimodal model")
    with chat_server(lambda _: failed(400, "demo is not a multimodal model")) as server, broken:
        ready(server)


def test_a_server_without_webp_gets_png() -> None:
    def answer(body: Body) -> Response:
        url = body["messages"][1]["content"][0]["image_url"]["url"]
        return completion() if url.startswith("data:image/png") else failed(500, "unknown format")

    with chat_server(answer) as server:
        engine = ready(server)
        assert errors(ask(engine, 4)) == {}
    assert engine.environment()["picture"] == "PNG"


# ---- stopping


def test_stop_ends_after_the_requests_in_flight() -> None:
    with chat_server(lambda _: time.sleep(0.05) or completion()) as server:
        engine = ready(server)
        answers = []
        for answer in engine.generate(requests(200)):
            answers.append(answer)
            engine.stop()
        sent = len(server.photos_asked)
    assert len(answers) == sent < 12
    assert errors({answer.id: answer for answer in answers}) == {}


def test_stop_among_many_failures_ends_without_a_trial() -> None:
    with chat_server() as server:
        engine = ready(server, concurrency=LIMIT + 2)
        together = threading.Barrier(LIMIT + 2, action=engine.stop)

        def answer(_: Body) -> Response:
            together.wait(20)
            return failed(400)

        server.answer = answer
        answers = ask(engine, 200)
    assert len(errors(answers)) == LIMIT + 2


def test_stop_ends_the_wait_for_a_server_that_is_away() -> None:
    with chat_server() as server:
        pass
    engine = new_engine(server, patience=Patience(retries=0, away_s=60))
    threading.Timer(0.5, engine.stop).start()
    began = time.monotonic()
    engine.prepare_run(RunPlan(PROMPT, True, []))
    assert time.monotonic() - began < 10
    assert list(engine.generate(requests(3))) == []


def test_stop_ends_a_run_whose_server_went_away() -> None:
    with chat_server() as server:
        engine = ready(server, patience=Patience(retries=0, away_s=60))
        server.answer, server.models = lambda _: (0, None), (503, {})
        threading.Timer(1.0, engine.stop).start()
        began = time.monotonic()
        assert list(engine.generate(requests(30))) == []
        assert time.monotonic() - began < 10


def test_closing_the_answers_cancels_what_is_in_flight() -> None:
    with chat_server() as server:
        engine = ready(server)
        server.answer = lambda _: time.sleep(2) or completion()
        answers = engine.generate(requests(20))
        threading.Timer(0.3, lambda: setattr(server, "answer", lambda _: completion())).start()
        next(answers)
        began = time.monotonic()
        answers.close()
        assert time.monotonic() - began < 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("endpoint", "prepare"))]


# ---- what is recorded


def test_the_run_file_gets_server_model_and_version() -> None:
    with chat_server() as server:
        engine = ready(server)
        environment = engine.environment()
    assert engine.identity() == {"model": MODEL}
    environment.pop("openai")
    assert environment == {
        "engine": "endpoint", "server": server.url, "server_version": "1.2.3", "server_owned_by": "tests",
        "server_max_model_len": 4096, "picture": "WEBP",
    }  # fmt: skip


@pytest.mark.parametrize(
    "page", [(404, {}), (500, {}), (200, b"<html>"), (200, []), (200, {"data": [1, {"id": 2}]})], ids=str
)
def test_a_server_that_tells_nothing_is_used_all_the_same(page: Response) -> None:
    with chat_server(models=page, version=page) as server:
        engine = ready(server)
        assert errors(ask(engine, 2)) == {}
    assert [name for name in engine.environment() if name.startswith("server_")] == []


def test_errors_of_the_server_are_generation_errors() -> None:
    with chat_server(after_trial(failed(400))) as server:
        (failure,) = [one for one in ask(ready(server)).values() if isinstance(one, Failure)]
    assert isinstance(failure.error, GenerationError)
    assert failure.error.advice


# ---- from Python


def test_photos_are_summarized_from_python_without_a_run() -> None:
    with chat_server() as server:
        engine = new_engine(server)
        texts = infer_batch(engine, [noise(1, 64, 64), noise(2, 64, 64)], PROMPT)
    assert texts == [("无关图片×1", "无关图片×1")] * 2
