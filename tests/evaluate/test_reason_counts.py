"""`evaluate` counts the reasons that hold, as reasons of the verdict that counts."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.lines import GROUNDING, SHIELD, stage_a_line, verdict

from yanshou.evaluate import Rate, evaluate
from yanshou.evaluate.policy import to_json
from yanshou.evaluate.reason_counts import ReasonCounts
from yanshou.missions import load_missions
from yanshou.schema.policy import Policy, policy_sha256
from yanshou.settings import ThresholdSettings

Judged = Callable[..., Path]
MISSIONS = load_missions()
CABINET, BAR = "螺丝、光纤插头/机柜处接地螺丝,符合要求×1", "螺丝、光纤插头/地排处接地螺丝,符合要求×1"
WIRES, LOOSE = "电线/捆扎整齐×1", "电线/分布散乱×1"
WHOLE = "，".join((CABINET, BAR, WIRES))
TRUE = "；".join(f"有图片_1 {entry}" for entry in (CABINET, BAR, WIRES))


@pytest.fixture
def file(judged: Judged) -> Path:
    reasons = {
        "QC-1": ("pass", WHOLE, TRUE),
        "QC-2": ("pass", WHOLE, f"有图片_1 {WIRES}"),
        "QC-3": ("pass", WHOLE, f"有图片_1 {LOOSE}"),
        "QC-4": ("pass", WHOLE, "齐全"),
        "QC-5": ("fail", LOOSE, f"图片_1 {LOOSE}"),
        "QC-6": ("pass", LOOSE, "齐全"),  # the rule says fail
        "QC-7": ("pass", LOOSE, f"图片_1 {LOOSE}"),
    }
    verdicts = [verdict(key, said, said, 0.9, reason=reason) for key, (said, _, reason) in reasons.items()]
    lines = [stage_a_line(key, said, line) for key, (said, line, _) in reasons.items()]
    return judged([*verdicts, verdict("QC-8", reason=TRUE)], lines)  # QC-8 has no Stage-A line


def test_reasons_are_counted_by_what_is_found(file: Path) -> None:
    found = evaluate([file], None, MISSIONS).missions[GROUNDING].reasons
    assert found.outcomes == {
        "grounded": Rate(2, 7), "incomplete": Rate(1, 7), "contradicting": Rate(2, 7), "unreadable": Rate(2, 7),
    }  # fmt: skip
    assert (found.reasons, found.other_verdict) == (7, Rate(2, 7))


def test_the_json_has_the_counts_with_intervals(file: Path) -> None:
    result = json.loads(json.dumps(evaluate([file], None, MISSIONS).to_dict()))
    for part in (result["missions"][GROUNDING], result["overall"]):
        assert part["reasons"]["reasons"] == 7
        grounded = part["reasons"]["grounded"]
        assert (grounded["count"], grounded["of"]) == (2, 7)
        # Wilson 1927: (2 + 1.92073) / (7 + 3.84146) ± 1.95996 / 10.84146 × √(2 × 5 / 7 + 0.96036)
        assert (grounded["low"], grounded["high"]) == (
            pytest.approx(0.08222, abs=1e-4),
            pytest.approx(0.64107, abs=1e-4),
        )


def test_a_reason_is_checked_as_that_of_the_verdict_under_the_threshold(file: Path) -> None:
    result = evaluate([file], None, MISSIONS, ThresholdSettings(threshold=0.95))
    groups = {group.key.group_id: group for group in result.groups}
    assert {group.verdict for group in groups.values()} == {"fail"}
    check = groups["QC-1"].reason_check
    assert check
    assert (check.outcome, {problem.kind for problem in check.problems}) == ("contradicting", {"for_other", "rule"})


def many_groups(judged: Judged, reason: str) -> Path:
    """Fifty fails below 0.3 with a true reason, fifty passes from 0.7 with a reason of their own."""
    fails = [verdict(f"QC-{n}", "fail", "fail", n / 200, reason=f"图片_1 {LOOSE}") for n in range(50)]
    passes = [verdict(f"QC-{n}", "pass", "pass", n / 200 + 0.45, reason=reason) for n in range(50, 100)]
    return judged(
        [*fails, *passes],
        [
            stage_a_line(said["group_id"], said["label"], LOOSE if said["label"] == "fail" else WHOLE)
            for said in (*fails, *passes)
        ],
    )


@pytest.mark.parametrize(("reason", "released"), [(TRUE, 50), (f"有图片_1 {WIRES}", 0)])
def test_a_policy_that_requires_grounded_reasons_leaves_the_others_to_a_person(
    judged: Judged, reason: str, released: int
) -> None:
    file = many_groups(judged, reason)
    asked = {"max_false_release": 0.1, "max_false_block": 0.1}
    result = evaluate([file], None, MISSIONS, ThresholdSettings(**asked, require_grounded=True))
    counts = result.decisions()[GROUNDING]
    assert (counts.released.count, counts.blocked.count, counts.review.count) == (released, 50, 50 - released)
    assert result.unfounded() == 50 - released
    without = evaluate([file], None, MISSIONS, ThresholdSettings(**asked))
    assert (without.decisions()[GROUNDING].released.count, without.unfounded()) == (50, None)
    assert result.promises == without.promises


def test_what_is_required_is_part_of_the_policy_and_of_its_digest(judged: Judged) -> None:
    file = many_groups(judged, TRUE)
    asking = evaluate([file], None, MISSIONS, ThresholdSettings(max_false_release=0.1, require_grounded=True)).policy
    plain = evaluate([file], None, MISSIONS, ThresholdSettings(max_false_release=0.1)).policy
    assert asking
    assert plain
    assert asking.require_grounded == {GROUNDING: MISSIONS.get(GROUNDING).rule.to_dict()}
    assert "require_grounded" not in plain.content()  # as before there was this key
    content = json.loads(to_json(asking))
    assert content["sha256"] == policy_sha256(content)
    assert policy_sha256({**content, "require_grounded": {}}) != content["sha256"]
    assert Policy.model_validate(content) == asking


def test_the_reasons_of_the_rules_are_grounded_in_every_mission(judged: Judged) -> None:
    from support.training_rows import rows

    from yanshou.missions.rules import decide
    from yanshou.schema.summary import parse

    for number, row in enumerate(rows(20, 8)):
        decision = decide(MISSIONS.get(row["mission"]).rule, map(parse, row["summaries"]))
        said = "pass" if decision.passed else "fail"
        line = stage_a_line("QC-1", said, *row["summaries"], mission=row["mission"])
        given = verdict("QC-1", said, said, None, mission=row["mission"], reason=decision.reason)
        result = evaluate([judged([given], [line], mission=row["mission"])], None, MISSIONS)
        assert result.missions[row["mission"]].reasons.outcomes["grounded"] == Rate(1, 1), number


def test_without_a_reason_nothing_is_counted() -> None:
    assert ReasonCounts.of([None]).outcomes["grounded"] == Rate(0, 0)
    assert ReasonCounts.of([None]).to_dict(0.95)["grounded"]["share"] is None


def test_the_groups_of_each_mission_are_counted_apart(file: Path, judged: Judged) -> None:
    device = "BBU设备/华为,显示完整,无需安装×1"
    other = judged(
        [verdict("QC-1", "pass", "pass", 0.9, mission=SHIELD, reason=f"有图片_1 {device}")],
        [stage_a_line("QC-1", "pass", device, mission=SHIELD)],
        mission=SHIELD,
    )
    result = evaluate([file, other], None, MISSIONS)
    assert result.missions[SHIELD].reasons.outcomes["grounded"] == Rate(1, 1)
    assert result.overall
    assert result.overall.reasons.outcomes["grounded"] == Rate(3, 8)
