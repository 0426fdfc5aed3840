"""`benchmarks/serve_speed.py`: what is asked of the server, and what is counted."""

import json
import sys
from pathlib import Path

import pytest
from support.chat_server import Body, Response, chat_server, completion, failed, is_trial

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import serve_speed
import workload

pytestmark = pytest.mark.endpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the photos of the workload, which are written once."""
    return tmp_path_factory.mktemp("workload")


def forced(body: Body) -> Response:
    """An answer of the length that the request forces."""
    status, reply = completion(finish="length")
    return status, reply | {"usage": {"prompt_tokens": 10, "completion_tokens": body["max_tokens"]}}


def served(folder: Path, url: str, *more: str) -> list[serve_speed.Turn]:
    options = ["--photos", "3", "--tokens", "9", "--max-pixels", "65536", "--folder", str(folder)]
    return serve_speed.main([url, "demo", *options, *more])


def test_a_server_is_asked_for_answers_of_the_given_lengths(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "speed.json"
    with chat_server(forced) as server:
        turns = served(folder, server.url, "--concurrency", "2", "--concurrency", "3", "--json", str(report))
    wanted = [min(length, 9) for length in workload.answer_lengths(3)]
    assert [(turn.concurrency, turn.photos, turn.tokens) for turn in turns] == [(n, 3, sum(wanted)) for n in (2, 3)]
    assert all(turn.complete for turn in turns)
    asked = [body for body in server.asked if not is_trial(body)]
    each = [*wanted, 9, 9, 9]  # a turn and its warm-up
    assert sorted(body["max_tokens"] for body in asked) == sorted(2 * each)
    assert all(body["ignore_eos"] for body in asked)
    assert [turn["tokens"] for turn in json.loads(report.read_text(encoding="utf-8"))["turns"]] == [sum(wanted)] * 2


def test_photos_that_a_server_refuses_or_answers_too_short_are_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chat_server(lambda body: failed(400, "too large") if "ignore_eos" in body else completion()) as server:
        (turn,) = served(folder, server.url)
    assert (len(turn.failures), turn.tokens, turn.complete) == (3, 0, False)
    assert "too large" in capsys.readouterr().out
    with chat_server(lambda _: completion()) as server:  # 5 tokens, whatever is asked
        (turn,) = served(folder, server.url)
    assert (turn.failures, turn.tokens, turn.complete) == ((), 15, False)
