"""Rows with answers."""

import json
from pathlib import Path

import pytest
from support.lines import write_lines
from support.training_rows import rows

from yanshou.errors import DamagedFileError, InputError
from yanshou.missions import load_missions
from yanshou.stage_b.dataset_rows import check_rows
from yanshou.stage_b.verdict import read_verdict
from yanshou.train.sft import GENERAL_REASONS, write_rows

GOOD = "BBU设备/华为,显示完整,无需安装×1"


def answers(tmp_path: Path, lines: list[dict[str, object]]) -> list[str]:
    target = tmp_path / "sft.jsonl"
    write_rows({target: write_lines(tmp_path / "rows.jsonl", lines)}, load_missions())
    written = target.read_text(encoding="utf-8").splitlines()
    assert len(written) == len(lines)
    return [json.loads(line)["messages"][-1]["content"] for line in written]


def row(solution: str, **changes: object) -> dict[str, object]:
    return rows(1)[0] | {"mission": "挡风板安装检查", "summaries": [GOOD], "solution": solution} | changes


def test_a_rule_that_agrees_with_the_label_gives_the_reason(tmp_path: Path) -> None:
    assert answers(tmp_path, [row("通过")]) == [f"通过\n理由: 有图片_1 {GOOD}"]


def test_a_rule_that_contradicts_the_label_gives_no_reason(tmp_path: Path) -> None:
    assert answers(tmp_path, [row("不通过")]) == [f"不通过\n理由: {GENERAL_REASONS[False]}"]


def test_every_answer_is_the_two_lines_and_the_label(tmp_path: Path) -> None:
    lines = rows(40, 3)
    for line, answer in zip(lines, answers(tmp_path, lines), strict=True):
        assert read_verdict(answer).complete
        assert answer.splitlines()[0] == line["solution"]


def test_the_question_is_copied_unchanged(tmp_path: Path) -> None:
    answers(tmp_path, [row("通过")])
    (line,) = (tmp_path / "sft.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["messages"][:2] == row("通过")["messages"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solution": "审核通过"}, "key solution is '审核通过'"),
        ({"images": []}, "column images has another meaning"),
        ({"answer": "通过"}, "column answer has another meaning"),
        ({"messages": [{"role": "user", "content": "?"}]}, "expected a system message and a user message"),
    ],
)
def test_a_row_that_cannot_be_trained_on_is_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = write_lines(tmp_path / "rows.jsonl", [row("通过"), row("通过") | changes])
    with pytest.raises(DamagedFileError, match=f"rows.jsonl:2: .*{message}.*yanshou dataset"):
        check_rows(path)


def test_an_unknown_mission_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rows.jsonl:1: unknown mission"):
        answers(tmp_path, [row("通过", mission="电梯")])


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row to train on"):
        check_rows(write_lines(tmp_path / "rows.jsonl", []))
