"""`yanshou judge --endpoint`: p_pass where the server gives likelihoods of whole lines, null elsewhere."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.chat_server import MODEL, Body, ChatServer, Response, chat_server, completion, failed
from support.judge_runs import command, faults, record, verdicts
from support.lines import SHIELD

from yanshou.cli import main
from yanshou.storage.jsonl import dump_line

pytestmark = pytest.mark.endpoint

P_OF_LINES = {"通过\n": 0.75, "不通过\n": 0.05}
VERDICT = "通过\n理由: 有图片_1"

StageA = Callable[..., Path]


@pytest.fixture
def stage_a(tmp_path: Path) -> Path:
    path = tmp_path / f"{SHIELD}_stage_a.jsonl"
    path.write_bytes(b"".join(dump_line(record(number)) for number in range(5)))
    return path


def tokens(body: Body) -> list[tuple[str, float]]:
    """The prompt's tokens, a character each, but for an open-ended answer: a token a line, and ln P."""
    made = [(mark, -1.0) for message in body["messages"][:2] for mark in message["content"]]
    if body.get("continue_final_message"):
        line = body["messages"][2]["content"]
        made += [(line[:-1], math.log(P_OF_LINES[line]) + 0.25), (line[-1:], -0.25)]
    return made


def vllm(body: Body, **fields: Any) -> Response:
    """What vLLM answers."""
    made = tokens(body)
    if "prompt_logprobs" in body:
        scored = [{str(ord(text[0])): {"logprob": p, "rank": 1, "decoded_token": text}} for text, p in made]
        fields["prompt_logprobs"] = [None, *scored[1:]]
    return completion(VERDICT, prompt=len(made), **fields)


def strict(body: Body) -> Response:
    """A server that knows the fields of OpenAI's only."""
    return failed(422, "unexpected fields") if "prompt_logprobs" in body else completion(VERDICT)


def trimming(body: Body) -> Response:
    """vLLM with a chat template that trims an open-ended answer."""
    status, content = vllm(body)
    if body.get("continue_final_message"):
        content["prompt_logprobs"].pop()
    return status, content


def caching(body: Body) -> Response:
    """An old vLLM with prefix caching, which leaves out what it has cached."""
    status, content = vllm(body)
    if "prompt_logprobs" in body:
        content["prompt_logprobs"][1:9] = [None] * 8
    return status, content


def ignoring(body: Body) -> Response:
    return completion(VERDICT)


def run(server: ChatServer, stage_a: Path, out: Path, *options: object) -> Result:
    flags = ("--endpoint", server.url, "--model", MODEL, *options)
    return CliRunner().invoke(main, command(stage_a, out, *flags))


def test_p_pass_is_that_of_the_whole_first_lines(stage_a: Path, tmp_path: Path) -> None:
    with chat_server(vllm) as server:
        ended = run(server, stage_a, tmp_path / "out", "--threshold", "0.95")
    assert ended.exit_code == 0, ended.stderr
    lines = verdicts(tmp_path / "out")
    assert [line.p_pass for line in lines] == [0.9375] * 5
    assert [line.verdict for line in lines] == ["fail"] * 5
    assert [line.raw_text for line in lines] == [VERDICT] * 5


@pytest.mark.parametrize("server_kind", [strict, ignoring, trimming, caching])
def test_p_pass_is_null_where_the_server_gives_no_likelihoods(server_kind: Any, stage_a: Path, tmp_path: Path) -> None:
    with chat_server(server_kind) as server:
        ended = run(server, stage_a, tmp_path / "out")
        scored = sum("prompt_logprobs" in body for body in server.asked)
    assert ended.exit_code == 0, ended.stderr
    assert [(line.p_pass, line.verdict) for line in verdicts(tmp_path / "out")] == [(None, "pass")] * 5
    assert scored <= 2  # asked once, not for each group
    assert json.loads((tmp_path / "out" / f"{SHIELD}_verdicts.run.json").read_text())["environment"]["p_pass"] is False


@pytest.mark.parametrize("server_kind", [strict, ignoring, trimming, caching])
def test_a_threshold_is_then_refused_before_anything_is_written(
    server_kind: Any, stage_a: Path, tmp_path: Path
) -> None:
    with chat_server(server_kind) as server:
        ended = run(server, stage_a, tmp_path / "out", "--threshold", "0.5")
    assert ended.exit_code == 2
    assert (
        "--threshold needs p_pass, from the likelihoods of whole first lines (vLLM's prompt_logprobs)" in ended.stderr
    )
    assert server.url in ended.stderr
    assert [path for path in (tmp_path / "out").rglob("*") if path.suffix in (".jsonl", ".json")] == []


def test_a_group_whose_likelihoods_are_missing_fails_and_gets_no_null(stage_a: Path, tmp_path: Path) -> None:
    answers = [caching]

    def answer(body: Body) -> Response:
        if body.get("continue_final_message") and len(server.asked) > 6 and answers:
            return answers.pop()(body)
        return vllm(body)

    with chat_server(answer) as server:
        ended = run(server, stage_a, tmp_path / "out")
    assert ended.exit_code in (0, 3)
    assert all(line.p_pass is not None for line in verdicts(tmp_path / "out"))
    assert len(verdicts(tmp_path / "out")) + len(faults(tmp_path / "out")) == 5


def test_verdicts_without_p_pass_take_no_threshold_later(stage_a: Path, tmp_path: Path) -> None:
    with chat_server(ignoring) as server:
        assert run(server, stage_a, tmp_path / "out").exit_code == 0
    with chat_server(vllm) as server:
        ended = run(server, stage_a, tmp_path / "out", "--threshold", "0.5")
    assert ended.exit_code == 1
    assert "has no p_pass: the model reasoned before its verdict, or a server gave no likelihoods." in ended.stderr


def test_another_model_is_refused_by_a_resume(stage_a: Path, tmp_path: Path) -> None:
    with chat_server(vllm) as server:
        assert run(server, stage_a, tmp_path / "out").exit_code == 0
        ended = run(server, stage_a, tmp_path / "out", "--model", "other")
    assert ended.exit_code == 1
    assert 'model: file has "demo", this run has "other"' in ended.stderr


def test_a_group_that_is_too_long_for_the_server_fails_alone(tmp_path: Path) -> None:
    """The trial request has the shortest prompt, so the longest one does not end the run."""
    long = record(0)
    long["per_image"]["图片_1"] += "，备注:" + "长" * 5_000
    long["clean_texts"][0] = long["per_image"]["图片_1"]
    path = tmp_path / f"{SHIELD}_stage_a.jsonl"
    path.write_bytes(b"".join(map(dump_line, (long, record(1), record(2)))))

    def answer(body: Body) -> Response:
        return failed(400, "context length exceeded") if "长" * 5_000 in body["messages"][1]["content"] else vllm(body)

    with chat_server(answer) as server:
        options = ("--endpoint", server.url, "--model", MODEL)
        result = CliRunner().invoke(main, command(path, tmp_path / "out", *options))
    assert (result.exit_code, len(verdicts(tmp_path / "out"))) == (3, 2)
    (fault,) = faults(tmp_path / "out")
    assert fault.message == "the server refused the request (400): context length exceeded"
