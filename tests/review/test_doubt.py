"""Which groups are queued, and why."""

from dataclasses import replace

import pytest
from support.judged_groups import judged_group

from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.missions.rules import Decision as RuleDecision
from yanshou.review.doubt import QueueRule
from yanshou.review.store.imported_groups import Why
from yanshou.schema.policy import Decision
from yanshou.schema.records import OTHER_SUMMARIES, Label

RELEASED = judged_group("lowest", "pass", p=0.90)  # makes 0.90 the lowest released p_pass
KEPT = judged_group("highest", "fail", p=0.895, verdict="fail")  # makes 0.895 the highest that was not released


def group(
    p: float | None, verdict: Label | None = "pass", rules: Label = "pass", text: str = "电线/捆扎整齐×1"
) -> JudgedGroup:
    found = judged_group("QC-1", "pass", [text], p, verdict)
    return replace(found, rules=RuleDecision(rules == "pass", "有图片_1"))


def under_policy(p: float | None, decision: Decision, rules: Label = "pass", fault: str | None = None) -> JudgedGroup:
    return replace(group(p, "pass", rules), decision=decision, fault=fault)


def why(one: JudgedGroup, *others: JudgedGroup, near: float = 0.05, all_groups: bool = False) -> Why | None:
    return QueueRule(near, all_groups).why([*(others or (RELEASED, KEPT)), one])[one.key]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (group(0.94), "false_release"),  # less than 0.05 above 0.895
        (group(0.945), None),  # 0.05 above it
        (group(0.99, rules="fail"), "false_release"),
        (group(None, rules="fail"), "false_release"),  # judged without a probability
        (group(0.86, "fail", rules="fail"), "doubt"),  # less than 0.05 below 0.90
        (group(0.85, "fail", rules="fail"), None),
        (group(0.10, "fail", rules="pass"), "doubt"),  # judge and rules differ
        (group(None, None), "doubt"),  # no verdict
        (group(None, text="BBU设备/需复核备注:无法判断品牌×1"), "doubt"),
        (group(0.99, text="BBU设备/需复核备注:无法判断品牌×1"), None),  # a probability says more
        (group(None, "fail", rules="fail"), None),
    ],
)
def test_without_a_policy(one: JudgedGroup, expected: Why | None) -> None:
    assert why(one) == expected


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (under_policy(0.94, "release"), "false_release"),
        (under_policy(0.95, "release"), None),
        (under_policy(0.99, "release", rules="fail"), "false_release"),
        (under_policy(0.89, "review"), "doubt"),
        (under_policy(0.10, "block", rules="pass"), None),  # what a policy blocks is not doubtful
        (under_policy(0.89, "block", rules="pass"), None),
        (under_policy(0.99, "release", rules="fail", fault=OTHER_SUMMARIES), "doubt"),
    ],
)
def test_under_a_policy(one: JudgedGroup, expected: Why | None) -> None:
    assert why(one, replace(RELEASED, decision="release"), replace(KEPT, decision="block")) == expected


def test_verdict_of_a_group_in_review_is_no_release() -> None:
    kept = replace(judged_group("low", "pass", p=0.5), decision="review")  # its verdict is pass
    assert why(under_policy(0.52, "release"), kept) == "false_release"
    assert why(under_policy(0.52, "release"), kept, near=0.01) is None


def test_far_from_every_group_that_was_not_released_nothing_is_near() -> None:
    sharp = [judged_group("a", "pass", p=0.998), judged_group("b", "fail", p=0.003, verdict="fail")]
    assert why(group(0.999), *sharp) is None
    assert why(group(0.999), sharp[0]) is None  # all were released


def test_other_side_is_that_of_the_mission() -> None:
    other = judged_group("other", "fail", p=0.90, verdict="fail", mission="n")
    assert why(group(0.94), other) is None
    assert why(group(0.94), other, KEPT) == "false_release"


def test_group_with_a_fault_sets_no_bound() -> None:
    outdated = replace(judged_group("old", "fail", p=0.9, verdict="fail"), decision="block", fault=OTHER_SUMMARIES)
    assert why(under_policy(0.94, "release"), outdated) is None


def test_without_a_released_group_nothing_is_near() -> None:
    assert why(group(0.86, "fail", rules="fail"), judged_group("x", "fail", verdict="fail", p=0.1)) is None


def test_all_groups() -> None:
    assert why(group(0.99), all_groups=True) == "all"
    assert why(group(0.94), all_groups=True) == "false_release"
