"""`yanshou judge` with a model that reasons: its verdict counts, its p_pass is not given, a threshold needs one."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.lines import SHIELD, stage_a_line, write_lines

from yanshou.cli import main
from yanshou.schema.records import Fault, VerdictRecord
from yanshou.storage.jsonl import read_records

PASSED = "通过\n理由: 齐全"
REASONED = f"<think>\n都有。\n</think>\n\n{PASSED}"


@pytest.fixture
def stage_a(tmp_path: Path) -> Path:
    lines = [stage_a_line(f"QC-{number}", "pass", "无关图片×1", mission=SHIELD) for number in range(3)]
    return write_lines(tmp_path / f"{SHIELD}_stage_a.jsonl", lines)


def judge(stage_a: Path, answer: str, *options: object) -> Result:
    """Group QC-1 gets this answer, the others one without reasoning."""
    script = stage_a.parent / "script.json"
    script.write_text(json.dumps({"answers": {"*": PASSED, "QC-1": answer}}), encoding="utf-8")
    out = ["--output-dir", str(stage_a.parent / "out"), "--engine", "scripted", "--checkpoint", str(script)]
    return CliRunner().invoke(main, ["judge", *out, *map(str, options), str(stage_a)])


def verdicts(stage_a: Path) -> dict[str, VerdictRecord]:
    path = stage_a.parent / "out" / f"{SHIELD}_verdicts.jsonl"
    return {record.group_id: record for _, record in read_records(path, VerdictRecord)}


def fault(stage_a: Path) -> Fault:
    ((_, found),) = read_records(stage_a.parent / "out" / f"{SHIELD}_verdicts.errors.jsonl", Fault)
    return found


def test_a_verdict_behind_reasoning_counts_and_has_no_p_pass(stage_a: Path) -> None:
    assert judge(stage_a, REASONED).exit_code == 0
    reasoned = verdicts(stage_a)["QC-1"]
    assert (reasoned.verdict, reasoned.reason, reasoned.p_pass) == ("pass", "齐全", None)
    assert reasoned.raw_text == f"{REASONED}<|im_end|>"
    assert verdicts(stage_a)["QC-0"].p_pass == 0.9


def test_a_threshold_cannot_decide_without_a_p_pass(stage_a: Path) -> None:
    assert judge(stage_a, REASONED, "--threshold", 0.5).exit_code == 3
    assert sorted(verdicts(stage_a)) == ["QC-0", "QC-2"]
    assert fault(stage_a).message.startswith("the model reasoned before its verdict, ")
    assert fault(stage_a).advice.startswith("Leave --threshold out, or ")


def test_a_threshold_that_comes_later_is_refused_with_the_group(stage_a: Path) -> None:
    judge(stage_a, REASONED)
    before = verdicts(stage_a)
    refused = judge(stage_a, REASONED, "--threshold", 0.5)
    assert refused.exit_code == 1
    assert f"--threshold: group QC-1 ({SHIELD}, pass) has no p_pass: the model reasoned" in refused.stderr
    assert verdicts(stage_a) == before


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (f"<think>\n都有。\n{PASSED}", "the think block is not closed: the model wrote "),
        (f"都有。</think>\n\n{PASSED}", "'</think>' closes a block that nothing opened: the model wrote "),
    ],
)
def test_reasoning_that_cannot_be_told_from_the_verdict_is_never_a_pass(stage_a: Path, answer: str, cause: str) -> None:
    assert judge(stage_a, answer).exit_code == 3
    assert sorted(verdicts(stage_a)) == ["QC-0", "QC-2"]
    assert fault(stage_a).message.startswith(cause)
    assert fault(stage_a).advice.startswith("Take the Instruct checkpoint")
