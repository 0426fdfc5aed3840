"""The judge against the learned baseline: equally many releases, and intervals that cover what is true."""

from random import Random
from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from support.judged_groups import judged_group

from yanshou.evaluate.baseline_comparison import Comparison, auc_difference, highest, placements, rate_difference
from yanshou.evaluate.baselines import LearnedBaseline
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.schema.records import Label
from yanshou.stage_b.features import group_features

TIDY, MESSY = "电线/捆扎整齐×1", "电线/分布散乱×1"


def groups(right: float, seed: int = 0, count: int = 300, p: bool = True) -> list[JudgedGroup]:
    """The cables predict the label of 3 in 4 groups; the judge says it with the probability `right`."""
    rng, found = Random(seed), []
    for number in range(count):
        label: Label = "fail" if number % 3 == 0 else "pass"
        tidy = (label == "pass") == (rng.random() < 0.75)
        says = label == "pass" if rng.random() < right else label != "pass"
        score = 0.5 + (rng.random() if says else -rng.random()) / 2
        lines = [TIDY if tidy else MESSY, f"标签/{number}×1"]
        verdict: Label = "pass" if says else "fail"
        found.append(judged_group(f"QC-{number}", label, lines, score if p else None, verdict))
    return found


def compare(found: list[JudgedGroup]) -> Comparison:
    baseline = LearnedBaseline.of(found, [group_features(group.summaries) for group in found])
    comparison = Comparison.of(found, baseline, 0.95)
    assert comparison is not None
    return comparison


def test_both_release_equally_many_groups() -> None:
    found = groups(0.8)
    comparison = compare(found)
    assert list(comparison.verdicts.values()).count("pass") == comparison.released
    assert comparison.released == sum(group.verdict == "pass" for group in found)
    truth = [group.label for group in found]
    judge = balanced_accuracy_score(truth, [group.verdict for group in found])
    learned = balanced_accuracy_score(truth, [comparison.verdicts[group.key] for group in found])
    assert comparison.balanced_accuracy.value == pytest.approx(judge - learned)


@pytest.mark.parametrize(("right", "better"), [(0.99, True), (0.75, False), (0.6, False)])
def test_a_judge_that_is_not_better_says_so(right: float, better: bool) -> None:
    comparison = compare(groups(right))
    assert comparison.judge_is_better is better
    warning = comparison.warning("挡风板", "qwen-bbu 4f0c21ab")
    assert (warning is None) is better
    if warning:
        assert warning.startswith("挡风板: the judge (qwen-bbu 4f0c21ab) is not shown to be better")
        assert f"the judge releases {comparison.fails_released} human fails" in warning
        assert f"AUC {comparison.auc:.2f} against {comparison.baseline_auc:.2f}" in warning


def test_a_judge_that_releases_everything_is_not_better() -> None:
    comparison = compare([judged_group(f"QC-{n}", "fail" if n % 2 else "pass", [f"标签/{n}×1"]) for n in range(60)])
    assert (comparison.released, comparison.fails_released_by_baseline) == (60, 30)
    assert (comparison.balanced_accuracy.value, comparison.judge_is_better) == (0.0, False)


def test_verdicts_without_p_pass_have_no_auc_of_the_judge() -> None:
    comparison = compare(groups(0.8, p=False))
    assert (comparison.auc, comparison.auc_difference) == (None, None)
    assert comparison.baseline_auc == pytest.approx(0.75, abs=0.08)
    assert "AUC" not in str(comparison.warning("m", "rules"))


def test_a_group_without_a_verdict_counts_as_not_released_and_has_no_place_in_the_auc() -> None:
    found = groups(0.9)
    failed = [judged_group(f"QC-x{n}", "pass", [TIDY, f"标签/x{n}×1"], None, None) for n in range(30)]
    comparison = compare([*found, *failed])
    assert (comparison.groups, comparison.released) == (330, sum(group.verdict == "pass" for group in found))
    expected = roc_auc_score([group.label == "pass" for group in found], [group.p_pass for group in found])
    assert comparison.auc == pytest.approx(expected)


@pytest.mark.parametrize("decimals", [1, 3])
def test_the_mean_placement_is_the_auc(decimals: int) -> None:
    """Of passes and of fails alike, also with many ties."""
    rng = np.random.default_rng(decimals)
    passed = rng.random(500) < 0.3
    scores = np.round(rng.random(500) / 2 + passed * rng.random(500) / 2, decimals)
    found, expected = placements(scores, passed), roc_auc_score(passed, scores)
    assert (found[passed].mean(), found[~passed].mean()) == pytest.approx((expected, expected))


def test_the_interval_is_that_of_a_difference_of_means() -> None:
    """Passes: 1, 0, 0, -1 (mean 0, sum of squares 2); fails: 1, 1, 0, 0 (mean ½, sum of squared deviations 1)."""
    values, passed = np.array([1, 0, 0, -1, 1, 1, 0, 0.0]), np.array([True] * 4 + [False] * 4)
    found = rate_difference(values, passed, np.arange(8), 0.9)
    error = ((2 / 3 / 4 + 1 / 3 / 4) / 2**2) ** 0.5
    half = NormalDist().inv_cdf(0.95) * error
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25 - half, 0.25 + half))


def test_the_interval_of_aucs_is_that_of_delong() -> None:
    rng = np.random.default_rng(6)
    passed = rng.random(80) < 0.4
    one, other = (placements(passed + rng.normal(size=80), passed) for _ in range(2))
    of_passes, of_fails = (np.cov(one[rows], other[rows]) / rows.sum() for rows in (passed, ~passed))
    variance = of_passes + of_fails  # as in DeLong, DeLong and Clarke-Pearson
    error = (variance[0, 0] + variance[1, 1] - 2 * variance[0, 1]) ** 0.5
    found = auc_difference(one - other, passed, np.arange(80), 0.95)
    assert found.high - found.value == pytest.approx(NormalDist().inv_cdf(0.975) * error)


def test_twins_count_once() -> None:
    """Every group ten times over is no more evidence than once."""
    rng = np.random.default_rng(3)
    values, passed = rng.integers(-1, 2, 200).astype(float), rng.random(200) < 0.5
    once = rate_difference(values, passed, np.arange(200), 0.95)
    tenfold = rate_difference(np.repeat(values, 10), np.repeat(passed, 10), np.repeat(np.arange(200), 10), 0.95)
    assert tenfold.low == pytest.approx(once.low, abs=0.001)
    apart = rate_difference(np.repeat(values, 10), np.repeat(passed, 10), np.arange(2000), 0.95)
    assert apart.high - apart.low < (once.high - once.low) / 3


def test_intervals_of_a_difference_of_aucs_cover_the_truth() -> None:
    """Two equally good judges with correlated scores, 1,000 sets of 150 groups: the true difference is 0."""
    rng, covered = np.random.default_rng(4), 0
    passed = np.arange(150) < 50
    for _ in range(1000):
        common = passed + rng.normal(size=150)
        one, other = (placements(common + rng.normal(size=150), passed) for _ in range(2))
        found = auc_difference(one - other, passed, np.arange(150), 0.95)
        covered += found.low <= 0 <= found.high
    assert covered >= 921  # 943 of 1,000 in the long run (4,000 sets): the normal distribution is an approximation


def test_ties_at_the_last_place_are_broken_by_lot() -> None:
    chosen = highest(np.array([0.5] * 1000 + [0.9]), 501)
    assert (chosen.sum(), chosen[-1]) == (501, True)
    assert 200 < chosen[:500].sum() < 300
