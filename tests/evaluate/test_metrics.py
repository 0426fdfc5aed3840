"""Counts and the figures computed from them: the denominators, and gaps where there are no groups."""

import json
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, matthews_corrcoef

from yanshou.evaluate.metrics import Counts, Rate
from yanshou.schema.records import Label

LABELS = st.sampled_from(["pass", "fail", None])
OUTCOMES = st.lists(st.tuples(LABELS, LABELS), max_size=60)


def test_the_denominator_of_each_rate() -> None:
    counts = Counts(
        passes_released=70, passes_blocked=8, passes_failed=2, fails_released=3, fails_blocked=16, fails_failed=1
    )
    assert counts.false_release == Rate(3, 20)
    assert counts.false_block == Rate(10, 80)  # an error counts as blocked
    assert counts.accuracy == Rate(87, 100)
    assert counts.balanced_accuracy == pytest.approx((70 / 80 + 17 / 20) / 2)
    assert (counts.judged, counts.errors, counts.groups) == (97, 3, 100)


def test_the_interval_is_that_of_wilson() -> None:
    assert Rate(3, 20).interval(0.95) == pytest.approx((0.0523688, 0.3604191), abs=1e-6)
    assert Rate(0, 10).interval(0.95) == pytest.approx((0.0, 0.2775328), abs=1e-6)


def test_a_wider_confidence_widens_the_interval() -> None:
    narrow, wide = Rate(3, 20).interval(0.9), Rate(3, 20).interval(0.99)
    assert narrow
    assert wide
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@given(OUTCOMES)
def test_every_group_falls_into_one_cell(outcomes: list[tuple[Label | None, Label | None]]) -> None:
    counts = Counts.of(outcomes)
    assert counts.groups == len(outcomes)
    assert counts.groups == counts.judged + counts.errors + counts.unlabelled
    assert counts.groups == counts.human_passes + counts.human_fails + counts.unlabelled
    assert counts.accuracy.count + counts.false_release.count + counts.false_block.count == counts.accuracy.of


@given(OUTCOMES)
def test_figures_never_raise_and_are_never_nan(outcomes: list[tuple[Label | None, Label | None]]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        json.dumps(Counts.of(outcomes).to_dict(0.95), allow_nan=False)


@given(OUTCOMES)
def test_figures_equal_those_of_scikit_learn(outcomes: list[tuple[Label | None, Label | None]]) -> None:
    labelled = [(label, verdict) for label, verdict in outcomes if label]
    if len({label for label, _ in labelled}) == 2:
        labels = [label == "pass" for label, _ in labelled]
        released = [verdict == "pass" for _, verdict in labelled]
        assert Counts.of(outcomes).balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, released))
        assert Counts.of(outcomes).mcc == pytest.approx(matthews_corrcoef(labels, released), abs=1e-12)


@pytest.mark.parametrize("label", ["pass", "fail"])
def test_figures_of_a_single_group(label: Label) -> None:
    found = Counts.of([(label, label)]).to_dict(0.95)
    other = "false_block" if label == "fail" else "false_release"
    assert found["accuracy"]["share"] == 1.0
    assert (found["balanced_accuracy"], found["mcc"]) == (None, None)
    assert found[other] == {"share": None, "count": 0, "of": 0, "low": None, "high": None}


def test_a_constant_verdict_has_no_correlation() -> None:
    counts = Counts.of([("pass", "pass"), ("pass", "pass"), ("fail", "pass")])
    assert (counts.balanced_accuracy, counts.mcc) == (0.5, 0.0)
