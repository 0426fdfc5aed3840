"""`yanshou summarize --endpoint`: the command line, its warnings, files and statuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.chat_server import MODEL, Body, ChatServer, Response, chat_server, completion, failed, is_trial
from support.lines import SHIELD
from support.stage_a_runs import faults, ids, jobs, run_file

from yanshou.cli import main

pytestmark = pytest.mark.endpoint

PhotoTree = Callable[..., Path]


def run(server: ChatServer, root: Path, out: Path, *options: object, model: str = MODEL) -> Result:
    flags = ["--input-dir", root, "--output-dir", out, "--mission", SHIELD, *options]
    return CliRunner().invoke(main, ["summarize", "--endpoint", server.url, "--model", model, *map(str, flags)])


def test_lines_are_in_input_order_and_the_reply_is_the_raw_text(photo_tree: PhotoTree, tmp_path: Path) -> None:
    with chat_server() as server:
        ended = run(server, photo_tree(jobs(7, photos=3)), tmp_path / "out")
    assert ended.exit_code == 0, ended.stderr
    assert ids(tmp_path / "out") == [f"QC-{number}" for number in range(1, 8)]
    line = json.loads((tmp_path / "out" / f"{SHIELD}_stage_a.jsonl").read_bytes().splitlines()[0])
    assert line["raw_texts"] == line["clean_texts"] == ["无关图片×1"] * 3
    assert run_file(tmp_path / "out")["settings"]["model"] == MODEL


def test_the_next_run_tries_the_failed_groups_again(photo_tree: PhotoTree, tmp_path: Path) -> None:
    bad = [failed(400, "bad image")]

    def answer(body: Body) -> Response:
        return completion() if is_trial(body) or not bad else bad.pop()

    root = photo_tree(jobs(5))
    with chat_server(answer) as server:
        assert run(server, root, tmp_path / "out").exit_code == 3
        ((_, _, message),) = faults(tmp_path / "out")
        sent = len(server.photos_asked)
        assert run(server, root, tmp_path / "out").exit_code == 0
    assert message == "the server refused the request (400): bad image"
    assert len(server.photos_asked) == sent + 1
    assert len(ids(tmp_path / "out")) == 5


def test_a_resume_with_another_model_is_refused(photo_tree: PhotoTree, tmp_path: Path) -> None:
    root = photo_tree(jobs(2))
    with chat_server() as server:
        assert run(server, root, tmp_path / "out", "--limit", 1).exit_code == 0
        ended = run(server, root, tmp_path / "out", model="other")
    assert ended.exit_code == 1
    assert 'model: file has "demo", this run has "other"' in ended.stderr


def test_another_prompt_length_is_told_once_with_both_numbers(photo_tree: PhotoTree, tmp_path: Path) -> None:
    with chat_server(lambda _: completion(prompt=77)) as server:
        ended = run(server, photo_tree(jobs(4)), tmp_path / "out", "--checkpoint", "demo")
    assert ended.exit_code == 0, ended.stderr
    (told,) = [line for line in ended.stderr.splitlines() if "the server's prompt has 77 tokens, and" in line]
    assert told.startswith("warning: ")


def test_a_wrong_url_is_wrong_usage_and_writes_nothing(photo_tree: PhotoTree, tmp_path: Path) -> None:
    with chat_server() as server:
        server.url = "127.0.0.1:8000"
        ended = run(server, photo_tree(jobs(1)), tmp_path / "out")
    assert ended.exit_code == 2
    assert "127.0.0.1:8000 does not begin with http:// or https://" in ended.stderr
    assert not (tmp_path / "out").exists()
