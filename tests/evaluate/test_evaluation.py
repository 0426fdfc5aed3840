"""Figures of the judge, the rules and always-pass, per mission and together, with and without a threshold."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.lines import BAD, GOOD, GROUNDING, SHIELD, fault, stage_a_line, verdict

from yanshou.errors import UsageError
from yanshou.evaluate import Rate, evaluate
from yanshou.missions import load_missions
from yanshou.settings import ThresholdSettings

MISSIONS = load_missions()
Judged = Callable[..., Path]


@pytest.fixture
def files(judged: Judged) -> list[Path]:
    """One mission with every kind of group, one with a single group."""
    verdicts = [
        verdict("QC-1", "pass", "pass", 0.9),
        verdict("QC-2", "pass", "fail", 0.4),
        verdict("QC-3", "fail", "pass", 0.6),
        verdict("QC-4", "fail", "fail", 0.1),
        verdict("QC-5", None, "pass", 0.8),
    ]
    lines = [stage_a_line("QC-6", "pass"), stage_a_line("QC-7", "fail", BAD)]
    lines += [stage_a_line(v["group_id"], v["label"], BAD if v["label"] == "fail" else GOOD) for v in verdicts]
    first = judged(verdicts, lines, [fault("QC-6", "pass"), fault("QC-7", "fail")])
    return [first, judged([verdict("QC-1", "pass", "pass", 0.7, mission=SHIELD)], mission=SHIELD)]


def test_figures_of_the_judge_per_mission_and_together(files: list[Path]) -> None:
    result = evaluate(files, None, MISSIONS)
    assert list(result.missions) == [GROUNDING, SHIELD]
    one, both = result.missions[GROUNDING].judge, result.overall.judge
    assert (one.groups, one.judged, one.errors, one.unlabelled) == (7, 4, 2, 1)
    assert (one.false_release, one.false_block, one.accuracy) == (Rate(1, 3), Rate(2, 3), Rate(3, 6))
    assert (both.groups, both.false_release, both.false_block) == (8, Rate(1, 3), Rate(2, 4))
    assert result.missions[SHIELD].judge.false_release == Rate(0, 0)


def test_the_rules_and_always_pass_have_the_same_groups(files: list[Path]) -> None:
    part = evaluate(files[:1], None, MISSIONS).overall
    assert {row.counts.groups for row in part.rows()} == {7}
    assert (part.rules.accuracy, part.rules.errors) == (Rate(6, 6), 0)  # the rules read the summaries of QC-6 and QC-7
    assert (part.always_pass.accuracy, part.always_pass.false_release) == (Rate(3, 6), Rate(3, 3))
    assert (part.always_pass.balanced_accuracy, part.always_pass.mcc) == (0.5, 0.0)


@pytest.mark.parametrize(
    ("threshold", "passing"), [(0.0, "12345"), (0.4, "1235"), (0.41, "135"), (0.9, "1"), (1.0, "")]
)
def test_with_a_threshold_the_verdict_is_pass_if_and_only_if_p_pass_reaches_it(
    files: list[Path], threshold: float, passing: str
) -> None:
    result = evaluate(files[:1], None, MISSIONS, ThresholdSettings(threshold=threshold))
    passed = sorted(group.key.group_id[3:] for group in result.groups if group.verdict == "pass")
    assert "".join(passed) == passing
    assert [group.file_verdict for group in result.groups if group.key.group_id == "QC-2"] == ["fail"]
    assert result.overall.judge.errors == 2  # a threshold does not turn an error into a verdict
    assert result.overall.rules == evaluate(files[:1], None, MISSIONS).overall.rules


def test_limits_leave_the_verdicts_as_written(files: list[Path]) -> None:
    result = evaluate(files, None, MISSIONS, ThresholdSettings(max_false_release=0.03))
    assert (result.threshold, result.overall) == (None, evaluate(files, None, MISSIONS).overall)


def test_verdicts_of_the_rules_cannot_have_a_threshold(judged: Judged) -> None:
    with pytest.raises(UsageError, match=r"group QC-1 \(BBU接地线检查, pass\) has no p_pass.*Leave out --threshold"):
        evaluate([judged([verdict("QC-1", p=None)])], None, MISSIONS, ThresholdSettings(threshold=0.5))


def test_groups_without_labels_have_no_figures_and_give_a_warning(judged: Judged) -> None:
    result = evaluate([judged([verdict("QC-1", None)])], None, MISSIONS)
    assert (result.overall.judge.groups, result.overall.judge.unlabelled) == (1, 1)
    assert "no group has a human label" in result.warnings[0]


def test_the_json_has_numbers_and_nulls(files: list[Path]) -> None:
    result = evaluate(files, None, MISSIONS, ThresholdSettings(max_false_release=0.03))
    found = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(found["overall"]) == {"judged_by", "judge", "rules", "always_pass", "learned", "reasons"}
    assert found["missions"][SHIELD]["judge"]["false_release"]["share"] is None
    assert found["overall"]["judge"]["false_release"] | {"low": 0, "high": 0} == {
        "share": pytest.approx(1 / 3), "count": 1, "of": 3, "low": 0, "high": 0,
    }  # fmt: skip
    assert found["promises"]["missions"][SHIELD]["release"]["needed"] == 134
    assert found["promises"]["missions"][SHIELD]["block"] is None
    assert found["decisions"][SHIELD]["review"] | {"low": 0, "high": 0} == {
        "share": 1.0, "count": 1, "of": 1, "low": 0, "high": 0,
    }  # fmt: skip
    assert found["policy"]["missions"][SHIELD]["release"]["threshold"] is None
