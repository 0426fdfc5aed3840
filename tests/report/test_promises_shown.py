"""The page says what each side of a mission promises, or which number is missing, and what holds for all of them."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from support.judged_groups import judged_group
from support.lines import GROUNDING, SHIELD, verdict
from support.parsed_page import report

from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.promises import find_promises
from yanshou.report.promises_shown import PromisesShown, policy_thresholds, promises_shown
from yanshou.report.translations import TRANSLATIONS
from yanshou.settings import ThresholdSettings


def groups(passes: int, fails: int, p_fail: float = 0.2, mission: str = GROUNDING) -> list[JudgedGroup]:
    """Human passes have a p_pass of 0.8."""
    passed = [judged_group(f"P{n}", "pass", p=0.8, mission=mission) for n in range(passes)]
    return [*passed, *(judged_group(f"F{n}", "fail", p=p_fail, verdict="fail", mission=mission) for n in range(fails))]


def shown(judged: list[JudgedGroup], lang: str = "en", **limits: float) -> PromisesShown:
    found = promises_shown(find_promises(judged, ThresholdSettings(**limits)), TRANSLATIONS[lang])
    assert found is not None
    return found


def test_a_threshold_is_shown_with_its_limit_its_basis_and_its_gain() -> None:
    (row,) = shown(groups(10, 60), max_false_release=0.1).rows
    assert (row.mission, row.rows, row.side, row.missing) == (GROUNDING, 1, "release", "")
    assert row.threshold == "p_pass ≥ 0.5"  # midway between 0.2 and 0.8
    assert row.limit == "false-release rate of at most 10%"
    assert row.scope == "in the long run, and on another set with 60 human fails"
    assert row.basis == "0 of 60 (0.0%) human fails are released; upper bound in the long run 4.87%"  # 1 - 0.05^(1/60)
    assert row.gain == "10 of 10 (100.0%) human passes are released"


def test_a_side_with_too_few_groups_says_how_many_are_missing() -> None:
    """0 errors in 60 of 10 %: 41 are needed, as ½⁵ < 0.05 takes the five highest of both sets, and 4 / 0.1 + 1 = 41."""
    release, block = shown(groups(10, 30), max_false_release=0.1, max_false_block=0.1).rows
    assert (release.rows, block.rows) == (2, 0)
    assert release.missing.startswith(": 11 human fails are missing. A false-release rate of at most 10% needs 41 with")
    assert block.missing.startswith(": 31 human passes are missing.")
    assert (release.threshold, release.limit) == ("", "")
    chinese = shown(groups(10, 30), "zh", max_false_release=0.1).rows[0].missing
    assert chinese.startswith("，还缺 11 组人工判不通过的组")


def test_a_judge_that_releases_too_many_fails_has_no_threshold() -> None:
    (row,) = shown(groups(10, 60, p_fail=0.9), max_false_release=0.1).rows
    assert "the strictest threshold releases 60 of 60 (100.0%)" in row.missing


def test_the_chance_that_all_hold_counts_the_sides_that_were_tested() -> None:
    two = [*groups(60, 60), *groups(5, 60, mission=SHIELD)]
    found = shown(two, max_false_release=0.1, max_false_block=0.1)
    assert [(row.mission, row.rows, bool(row.missing)) for row in found.rows] == [
        (GROUNDING, 2, False), (GROUNDING, 0, False), (SHIELD, 2, False), (SHIELD, 0, True),
    ]  # fmt: skip
    assert found.together == [
        "3 of 4 thresholds are promised, each with 95% confidence.",
        "3 sides had enough groups to be tested: all promises hold with a chance of at least 85.0%, which is "
        "1 − 3 × (1 − 0.95).",
        "For 95% confidence in all of them together, use --confidence 0.983333.",
    ]
    assert len(shown(groups(60, 60), max_false_release=0.1).together) == 1
    unknown = shown(two, max_false_release=0.1, max_false_block=0.1, confidence=0.5).together[1]
    assert unknown.endswith("nothing is known about the chance that all promises hold.")


def test_a_pooled_promise_says_that_no_single_mission_is_covered() -> None:
    two = [*groups(60, 60), *groups(5, 60, mission=SHIELD)]
    alone, pooled = (shown(two, max_false_release=0.1, pooled=pooled) for pooled in (False, True))
    assert (len(alone.not_covered), len(pooled.not_covered)) == (6, 7)
    assert any("--pooled" in sentence for sentence in pooled.not_covered)
    assert [row.mission for row in pooled.rows] == [None]


def test_thresholds_of_a_mission_are_those_of_its_sides() -> None:
    two = [*groups(60, 60), *groups(5, 60, mission=SHIELD)]
    alone = find_promises(two, ThresholdSettings(max_false_release=0.1, max_false_block=0.1))
    assert policy_thresholds(alone, GROUNDING) == {"release_at": 0.5, "block_at": 0.5}
    assert policy_thresholds(alone, SHIELD) == {"release_at": 0.5}
    assert policy_thresholds(alone, "") == {}
    assert policy_thresholds(None, GROUNDING) == {}
    together = find_promises(two, ThresholdSettings(max_false_release=0.1, pooled=True))
    assert policy_thresholds(together, "") == policy_thresholds(together, SHIELD) == {"release_at": 0.5}


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_shows_decisions_and_links_each_number_to_its_groups(
    judged: Callable[..., Path], tmp_path: Path, lang: str
) -> None:
    verdicts = [verdict(f"QC-1{n:02}", "pass", "pass", 0.8) for n in range(10)]
    verdicts += [verdict(f"QC-2{n:02}", "fail", "pass", 0.2 if n else 0.9) for n in range(60)]
    page = report([judged(verdicts)], tmp_path, lang, max_false_release=0.2, max_false_block=0.1)
    groups = page.data["groups"]
    counted = Counter((group["label"], group["decision"]) for group in groups)
    assert counted == {("pass", "release"): 10, ("fail", "release"): 1, ("fail", "review"): 59}
    assert page.texts[TRANSLATIONS[lang]["decision_review"]] >= 3  # decisions, confusion matrix, and the filter
    linked = re.findall(r'href="#mission=[^&"]+&amp;(?:label=(\w+)&amp;)?decision=(\w+)">(\d+)<', html(tmp_path))
    assert linked == [
        ("", "release", "11"), ("", "review", "59"),  # the table of decisions
        ("pass", "release", "10"), ("fail", "release", "1"), ("fail", "review", "59"),  # the confusion matrix
    ]  # fmt: skip
    assert page.data["thresholds"] == [[0.5]]


def html(folder: Path) -> str:
    """Jinja escapes `&` in an attribute as `&amp;`."""
    return (folder / "report.html").read_text(encoding="utf-8")
