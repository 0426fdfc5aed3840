"""Guarantees of `yanshou judge --policy`: who is released, blocked or read by a person; when it is refused."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.judge_runs import record, run, script, without_time
from support.lines import GROUNDING, SHIELD, fault, write_lines

from yanshou.cli import main
from yanshou.missions import load_missions
from yanshou.schema.policy import DecisionRecord, MissionPolicy, PolicySide, policy_sha256
from yanshou.storage.jsonl import read_records

GOOD, BAD = "通过\n理由: 齐全", "不通过\n理由: 缺少挡风板"
SHIELDED = "BBU设备/华为,显示完整,无需安装×1"
TRUE = f"通过\n理由: 有图片_1 {SHIELDED}"
FAILS = {f"QC-{number}": 0.9 - number / 100 for number in range(20)}  # probability of 不通过
PASSES = {f"QC-{number}": number / 100 + 0.5 for number in range(20, 45)}


@pytest.fixture
def stage_a(tmp_path: Path) -> Path:
    """Twenty fails and 25 passes of one mission."""
    lines = [record(number, label="fail" if number < 20 else "pass") for number in range(45)]
    return write_lines(tmp_path / f"{SHIELD}_stage_a.jsonl", lines)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A judge that is right and more or less sure."""
    answers = {**dict.fromkeys(FAILS, BAD), **dict.fromkeys(PASSES, GOOD), "*": "看不清"}
    answers |= {"QC-43": f"{TRUE}；图片_9 电线/捆扎整齐×1", "QC-44": TRUE}
    return script(tmp_path, answers, confidence={**FAILS, **PASSES, "*": 0.5})


@pytest.fixture
def policy(tmp_path: Path, stage_a: Path, model: Path) -> Path:
    assert run(stage_a, tmp_path / "judged", model, "--quiet").exit_code == 0
    asked = ("--max-false-release", "0.3", "--max-false-block", "0.3")
    verdicts = tmp_path / "judged" / f"{SHIELD}_verdicts.jsonl"
    result = invoke("evaluate", *asked, "--output-dir", tmp_path / "report", verdicts)
    assert result.exit_code == 0, result.output
    return tmp_path / "report" / "policy.json"


def invoke(*args: object) -> Result:
    return CliRunner().invoke(main, [*map(str, args)])


def decisions(out: Path, mission: str = SHIELD) -> dict[str, DecisionRecord]:
    lines = [line for _, line in read_records(out / f"{mission}_decisions.jsonl", DecisionRecord)]
    assert len({line.key for line in lines}) == len(lines)
    return {line.group_id: line for line in lines}


def edited(policy: Path, sign: bool = True, **changes: Any) -> Path:
    """The policy with other content; `sign`: with the digest of that."""
    content = {**json.loads(policy.read_text("utf-8")), **changes}
    if sign:
        content["sha256"] = policy_sha256(content)
    path = policy.with_name("edited.json")
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def test_every_group_is_released_blocked_or_read_by_a_person(
    policy: Path, stage_a: Path, model: Path, tmp_path: Path
) -> None:
    result = run(stage_a, tmp_path / "judged", model, "--policy", policy)
    assert result.exit_code == 0, result.output
    made = json.loads(policy.read_text("utf-8"))
    thresholds = {side: made["missions"][SHIELD][side]["threshold"] for side in ("release", "block")}
    found = decisions(tmp_path / "judged")
    assert list(found) == [f"QC-{number}" for number in range(45)]
    for line in found.values():
        assert line.p_pass is not None
        released, blocked = line.p_pass >= thresholds["release"], line.p_pass < thresholds["block"]
        expected = "review" if released == blocked else "release" if released else "block"
        assert (line.decision, line.policy) == (expected, made["sha256"])
    counts = Counter(line.decision for line in found.values())
    assert counts["release"] > 0 < counts["block"]
    assert f"{counts['release']} groups are released, {counts['block']} blocked" in result.stderr
    assert f"yanshou audit draw --size {counts['release']} " in result.stderr  # of fewer than 300


def test_verdicts_are_those_of_a_run_without_a_policy(policy: Path, stage_a: Path, model: Path, tmp_path: Path) -> None:
    lines = (tmp_path / "judged" / f"{SHIELD}_verdicts.jsonl").read_bytes()
    assert run(stage_a, tmp_path / "judged", model, "--policy", policy, "--quiet").exit_code == 0
    assert (tmp_path / "judged" / f"{SHIELD}_verdicts.jsonl").read_bytes() == lines
    assert run(stage_a, tmp_path / "new", model, "--policy", policy, "--quiet").exit_code == 0
    assert without_time(tmp_path / "new") == without_time(tmp_path / "judged")


def test_what_is_not_known_is_read_by_a_person(policy: Path, model: Path, tmp_path: Path) -> None:
    new = [record(number, label=None) for number in (1, 44, 99)]
    lines = [*new, record(2, mission=GROUNDING, label=None)]
    stage_a = write_lines(tmp_path / "new_stage_a.jsonl", lines)
    result = run(stage_a, tmp_path / "new", model, "--policy", policy)
    assert result.exit_code == 3  # one group has no verdict
    found = decisions(tmp_path / "new")
    assert [line.decision for line in found.values()] == ["block", "release", "review"]
    assert found["QC-99"].reason.startswith("判定失败：")
    assert (found["QC-99"].p_pass, found["QC-99"].label) == (None, None)
    (other,) = decisions(tmp_path / "new", GROUNDING).values()
    assert (other.decision, other.reason) == ("review", "策略中没有此检查项")
    assert f"{GROUNDING}: {policy} does not have this mission" in result.stderr


def test_a_limited_run_leaves_the_others_to_a_person(policy: Path, stage_a: Path, model: Path, tmp_path: Path) -> None:
    assert run(stage_a, tmp_path / "new", model, "--policy", policy, "--limit", 1, "--quiet").exit_code == 0
    found = list(decisions(tmp_path / "new").values())
    assert found[0].decision == "block"
    assert {(line.decision, line.reason) for line in found[1:]} == {("review", "尚未判定")}
    assert run(stage_a, tmp_path / "new", model, "--policy", policy, "--quiet").exit_code == 0
    assert "尚未判定" not in {line.reason for line in decisions(tmp_path / "new").values()}


def test_another_judge_is_refused_before_anything_is_written(policy: Path, stage_a: Path, tmp_path: Path) -> None:
    other = script(tmp_path, {"*": GOOD})
    result = run(stage_a, tmp_path / "other", other, "--policy", policy)
    assert result.exit_code == 1
    assert "made with other settings" in result.stderr
    assert "checkpoint: the policy has" in result.stderr
    assert not list((tmp_path / "other").glob("*.jsonl"))


def test_summaries_with_known_settings_need_a_policy_that_knows_them(
    policy: Path, stage_a: Path, model: Path, tmp_path: Path
) -> None:
    content = json.loads(policy.read_text("utf-8"))
    content["missions"][SHIELD]["summaries"] = {"checkpoint": "4f0c", "engine": "continuous"}
    changed = edited(policy, missions=content["missions"])
    result = run(stage_a, tmp_path / "judged", model, "--policy", changed)
    assert result.exit_code == 1
    assert "run.json is missing" in result.stderr


@pytest.mark.parametrize(
    ("changes", "sign", "message"),
    [
        ({"confidence": 0.5}, False, "was changed after"),
        ({"format": 2}, True, "another version"),
        ({"confidence": "high"}, True, "confidence"),
    ],
)
def test_an_edited_policy_is_refused(
    changes: dict[str, Any], sign: bool, message: str, policy: Path, stage_a: Path, model: Path, tmp_path: Path
) -> None:
    result = run(stage_a, tmp_path / "judged", model, "--policy", edited(policy, sign, **changes))
    assert result.exit_code == 1
    assert message in result.stderr
    assert not (tmp_path / "judged" / f"{SHIELD}_decisions.jsonl").exists()


def test_other_files_are_no_policy(policy: Path, stage_a: Path, model: Path, tmp_path: Path) -> None:
    for file in (stage_a, tmp_path / "judged" / f"{SHIELD}_verdicts.run.json"):
        result = run(stage_a, tmp_path / "judged", model, "--policy", file)
        assert result.exit_code == 1
        assert "policy" in result.stderr


@pytest.mark.parametrize("options", [["--threshold", "0.5"], []])
def test_a_threshold_or_the_rules_beside_a_policy_are_wrong_usage(
    options: list[str], policy: Path, stage_a: Path, model: Path, tmp_path: Path
) -> None:
    judge = ["--engine", "scripted", "--checkpoint", model] if options else ["--rules"]
    result = invoke("judge", *judge, *options, "--policy", policy, "--output-dir", tmp_path / "x", stage_a)
    assert result.exit_code == 2, result.output


def test_decisions_are_no_verdicts(policy: Path, stage_a: Path, model: Path, tmp_path: Path) -> None:
    assert run(stage_a, tmp_path / "judged", model, "--policy", policy, "--quiet").exit_code == 0
    file = tmp_path / "judged" / f"{SHIELD}_decisions.jsonl"
    result = invoke("evaluate", "--output-dir", tmp_path / "again", file)
    assert result.exit_code == 2
    assert "decisions" in result.stderr


def test_groups_that_stage_a_failed_on_are_read_by_a_person(
    policy: Path, stage_a: Path, model: Path, tmp_path: Path
) -> None:
    other = write_lines(tmp_path / "other_stage_a.jsonl", [])  # of this file no group got a line
    failed = [fault(f"QC-{number}", None, mission=SHIELD) for number in range(60, 72)]
    elsewhere = fault("QC-80", None, mission=GROUNDING)
    write_lines(other.with_name("other_stage_a.errors.jsonl"), [*failed, elsewhere])
    result = run(stage_a, tmp_path / "new", model, "--policy", policy, other)
    assert result.exit_code == 0, result.output
    found = list(decisions(tmp_path / "new").values())
    assert [line.group_id for line in found[45:]] == [f"QC-{number}" for number in range(60, 72)]
    assert {(line.decision, line.reason) for line in found[45:]} == {
        ("review", "照片没有摘要：generate: out of memory")
    }
    assert f"{GROUNDING}: Stage-A failed on all of its groups (1)" in result.stderr


def asking_for_reasons(policy: Path, stage_a: Path, **rule: Any) -> tuple[Path, Path]:
    """The policy with `require_grounded`, and Stage-A lines about a device that passes."""
    asked = {**load_missions().get(SHIELD).rule.to_dict(), **rule}
    lines = [json.loads(line) for line in stage_a.read_text("utf-8").splitlines()]
    for line in lines:
        line["per_image"] = dict.fromkeys(line["per_image"], SHIELDED)
        line["clean_texts"] = list(line["per_image"].values())
    return edited(policy, require_grounded={SHIELD: asked}), write_lines(stage_a, lines)


def test_a_reason_that_does_not_hold_goes_to_a_person_where_the_policy_asks(
    policy: Path, stage_a: Path, model: Path, tmp_path: Path
) -> None:
    asking, lines = asking_for_reasons(policy, stage_a)
    result = run(lines, tmp_path / "new", model, "--policy", asking)
    assert result.exit_code == 0, result.output
    found = decisions(tmp_path / "new")
    assert [key for key, line in found.items() if line.decision != "review"] == ["QC-44"]
    assert found["QC-44"].decision == "release"
    assert found["QC-43"].reason == "理由不成立：没有图片_9，该组只有3张照片"
    assert found["QC-42"].reason == "理由不成立：没有引用任何条目，也没有指出缺少哪项要求"
    assert found["QC-0"].reason.startswith("理由不成立：没有引用任何条目")  # below the block threshold
    assert "the reason is not grounded" in result.stderr
    without = run(lines, tmp_path / "newer", model, "--policy", policy)
    assert without.exit_code == 0, without.output
    assert decisions(tmp_path / "newer")["QC-42"].decision == "release"


def test_a_policy_that_asks_for_reasons_under_another_rule_is_refused(
    policy: Path, stage_a: Path, model: Path, tmp_path: Path
) -> None:
    asking, lines = asking_for_reasons(policy, stage_a, forbid=["电线"])
    result = run(lines, tmp_path / "new", model, "--policy", asking)
    assert result.exit_code == 1
    assert "the rule (require_grounded)" in result.stderr
    assert 'forbid: the policy has ["电线"], the mission has []' in result.stderr


def side(threshold: float | None) -> PolicySide:
    return PolicySide(
        limit=0.1, threshold=threshold, observed=0, of=50, needed=29, why=None if threshold else "too few"
    )


@pytest.mark.parametrize(
    ("release", "block", "p_pass", "decision"),
    [
        (0.9, 0.1, 0.9, "release"),
        (0.9, 0.1, 0.1, "review"),
        (0.9, 0.1, 0.0999, "block"),
        (0.9, 0.1, None, "review"),
        (0.3, 0.7, 0.5, "review"),  # the thresholds cross
        (0.3, 0.7, 0.8, "release"),
        (0.3, 0.7, 0.2, "block"),
        (None, 0.7, 0.8, "review"),
        (None, None, 0.8, "review"),
    ],
)
def test_thresholds_that_cross_leave_the_overlap_to_a_person(
    release: float | None, block: float | None, p_pass: float | None, decision: str
) -> None:
    policy = MissionPolicy(
        release=side(release),
        block=side(block),
        groups=100,
        human_passes=50,
        human_fails=50,
        judge=None,
        summaries=None,
        trained_on_these=None,
    )
    assert policy.decide(p_pass) == decision
