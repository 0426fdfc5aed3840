"""Guarantees of `yanshou.stage_b.twins`: which groups are twins, and what their labels say about all labels."""

from collections.abc import Sequence
from random import Random

import pytest
from scipy.stats import binomtest

from yanshou.schema.records import GroupKey, Label
from yanshou.stage_b.twins import TwinFigures, TwinSet, find_twins, noise, twin_figures, twin_warnings


def key(group_id: str, label: Label = "pass", mission: str = "甲") -> GroupKey:
    return GroupKey(mission, label, group_id)


def twins(*labels: Label) -> TwinSet:
    return TwinSet(tuple(key(f"QC-{number}", label) for number, label in enumerate(labels)))


def test_twins_have_the_same_lines_in_any_order_one_mission_and_different_ids() -> None:
    groups = [
        (key("QC-1"), ["A", "B"]),
        (key("QC-2", "fail"), ["B", "A"]),
        (key("QC-3"), ["A", "B", "B"]),  # one photo more
        (key("QC-4", mission="乙"), ["A", "B"]),  # another mission
        (key("QC-5"), ["C"]),
        (key("QC-5", "fail"), ["C"]),  # one id under both labels
    ]
    (found,) = find_twins(groups)
    assert found.ids == ("QC-1", "QC-2")


def test_a_set_disagrees_by_its_pairs_of_different_ids() -> None:
    assert twins("pass", "fail").disagreement == 1
    assert twins("fail", "fail").disagreement == 0
    assert twins("pass", "pass", "fail").disagreement == pytest.approx(2 / 3)
    both_labels = TwinSet((key("QC-1", "pass"), key("QC-1", "fail"), key("QC-2", "pass")))
    assert both_labels.ids == ("QC-1", "QC-2")
    assert both_labels.disagreement == 1 / 2  # of the pairs with QC-2


def test_the_noise_of_a_disagreement() -> None:
    assert noise(0.18) == pytest.approx(0.1)  # 2 × 0.1 × 0.9
    assert [noise(d) for d in (0, 0.5, 0.8)] == [0, 0.5, 0.5]


def test_the_interval_is_that_of_scipy_where_sets_are_pairs() -> None:
    found = twin_figures([*[twins("pass", "fail")] * 9, *[twins("pass", "pass")] * 41])
    interval = binomtest(9, 50).proportion_ci(0.95, method="exact")
    assert found.disagreement == 0.18
    assert found.label_noise
    assert found.label_noise.share == pytest.approx(0.1)
    assert (found.label_noise.low, found.label_noise.high) == pytest.approx((noise(interval.low), noise(interval.high)))


def test_no_sets_give_no_figure_and_few_sets_a_wide_interval() -> None:
    assert twin_figures([]) == TwinFigures(sets=0, groups=0, disagreeing_sets=0, disagreement=None, label_noise=None)
    found = twin_figures([twins("pass", "pass")] * 5).label_noise
    assert found
    assert (found.share, found.low, found.high) == (0, 0, 0.5)


def world(rng: Random, sizes: Sequence[int], wrong: float) -> list[TwinSet]:
    """Twin sets whose labels are right but for a share of `wrong`."""
    return [twins(*("fail" if rng.random() < wrong else "pass" for _ in range(size))) for size in sizes]


@pytest.mark.parametrize("sizes", [[2] * 60, [2] * 30 + [3] * 20 + [5] * 10, [2] * 15, [2] * 40 + [40, 400]])
def test_the_interval_covers_the_true_noise(sizes: list[int]) -> None:
    """200 worlds with a tenth of the labels wrong: the interval holds 95 % of the time, less binomial noise (99 %)."""
    rng, covered = Random(len(sizes)), 0
    for _ in range(200):
        found = twin_figures(world(rng, sizes, wrong=0.1)).label_noise
        assert found
        covered += found.low <= 0.1 <= found.high
    assert covered >= 182  # binom.ppf(0.01, 200, 0.95)


def test_only_labels_that_differ_too_often_are_a_warning() -> None:
    agreeing = twin_figures([twins("pass", "pass")] * 50 + [twins("pass", "fail")])
    noisy = twin_figures([twins("pass", "pass")] * 41 + [twins("pass", "fail")] * 9)
    chance = twin_figures([twins("pass", "pass")] * 5 + [twins("pass", "fail")] * 15)
    single = twin_figures([twins("pass", "fail")])
    assert [*twin_warnings("甲", agreeing), *twin_warnings("甲", single), *twin_warnings("甲", twin_figures([]))] == []
    (warning,) = twin_warnings("甲", noisy)
    assert (
        "甲: the labels differ in 9 of 50 sets of groups with the same lines: about 10.0% of the labels are" in warning
    )
    (warning,) = twin_warnings("甲", chance)
    assert "15 of 20 sets of groups with the same lines, as often as by chance or more: people judged" in warning
