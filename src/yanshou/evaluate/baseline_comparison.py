"""The judge against the learned baseline, on the same groups.

    judge     releases 1,980 of 2,039 groups as its verdicts say
    learned   releases the 1,980 groups with its highest p_pass
    balanced accuracy of the judge, less that of the baseline: -0.021 [-0.030, -0.012]      the judge is not better

Both release equally many groups, so the one that releases fewer human fails also blocks fewer passes, and no threshold
has to be chosen for the baseline. Ties at the last place are broken by lot, with a fixed seed. The judge is *better* if
the lower end of the interval is above 0. Beside it is the AUC of both: how often a human pass has a higher p_pass than
a human fail, over all thresholds. It needs a p_pass for every verdict, and leaves out groups without one.

Intervals are those of the normal distribution, for a difference of means over the same groups. For the AUC these are
DeLong's (DeLong, DeLong and Clarke-Pearson 1988). Groups of one id and twins count as one observation, so that a job
that was submitted three times does not count as three (the sums over a set: Obuchowski 1997).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata

from yanshou.evaluate.baselines import SEED, LearnedBaseline
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.schema.records import GroupKey, Label


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of the judge, less that of the baseline, with its interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The judge and the learned baseline of one mission."""

    groups: int  # labelled, with summaries
    released: int  # of these, by the judge; the baseline releases as many
    fails_released: int  # by the judge
    fails_released_by_baseline: int
    balanced_accuracy: Difference
    auc: float | None  # of the judge; None: a verdict has no p_pass, or a label has too few
    baseline_auc: float  # on the same groups; on all where the judge has none
    auc_difference: Difference | None
    verdicts: Mapping[GroupKey, Label]  # of the baseline

    @property
    def judge_is_better(self) -> bool:
        return self.balanced_accuracy.low > 0

    @classmethod
    def of(cls, groups: Sequence[JudgedGroup], baseline: LearnedBaseline, confidence: float) -> "Comparison | None":
        """None: there is no baseline."""
        compared = [group for group in groups if group.key in baseline.p_pass]
        if not compared:
            return None
        passed = np.array([group.label == "pass" for group in compared])
        learned = np.array([baseline.p_pass[group.key] for group in compared])
        together = np.array([baseline.together[group.key] for group in compared])
        by_judge = np.array([group.verdict == "pass" for group in compared])
        by_baseline = highest(learned, int(by_judge.sum()))
        right = (by_judge == passed).astype(float) - (by_baseline == passed)
        aucs = _aucs(compared, passed, learned, together, confidence)
        verdicts: list[Label] = ["pass" if released else "fail" for released in by_baseline]
        return cls(
            groups=len(compared),
            released=int(by_judge.sum()),
            fails_released=int((by_judge & ~passed).sum()),
            fails_released_by_baseline=int((by_baseline & ~passed).sum()),
            balanced_accuracy=rate_difference(right, passed, together, confidence),
            auc=aucs[0], baseline_auc=aucs[1], auc_difference=aucs[2],
            verdicts=dict(zip([group.key for group in compared], verdicts, strict=True)),
        )  # fmt: skip

    def warning(self, mission: str, judge: str) -> str | None:
        """That the judge is not better, in words; None if it is."""
        if self.judge_is_better:
            return None
        found = self.balanced_accuracy
        aucs = "" if self.auc is None else f"; AUC {self.auc:.2f} against {self.baseline_auc:.2f}"
        return (
            f"{mission}: the judge ({judge}) is not shown to be better than the learned baseline. Where each releases "
            f"{self.released} of {self.groups} groups, the judge releases {self.fails_released} human fails and the "
            f"baseline {self.fails_released_by_baseline} (balanced accuracy {found.value * 100:+.1f} points, "
            f"{found.low * 100:+.1f} to {found.high * 100:+.1f}{aucs})"
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "groups": self.groups,
            "released": self.released,
            "fails_released": self.fails_released,
            "fails_released_by_baseline": self.fails_released_by_baseline,
            "balanced_accuracy_difference": self.balanced_accuracy.to_dict(),
            "judge_is_better": self.judge_is_better,
            "auc": self.auc,
            "baseline_auc": self.baseline_auc,
            "auc_difference": self.auc_difference and self.auc_difference.to_dict(),
        }


def highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Which scores are the `count` highest. Ties are broken by lot."""
    lot = np.random.default_rng(SEED).random(len(scores))
    chosen = np.zeros(len(scores), dtype=bool)
    chosen[np.lexsort((lot, -scores))[:count]] = True
    return chosen


def rate_difference(values: np.ndarray, passed: np.ndarray, together: np.ndarray, confidence: float) -> Difference:
    """The difference of two balanced accuracies.

    `values`: of each group, the difference of the two verdicts' being right. `together`: its set; the groups of a set
    are one observation.
    """
    value = (values[passed].mean() + values[~passed].mean()) / 2
    return _interval(value, _deviations(values, passed) / 2, together, confidence)


def auc_difference(values: np.ndarray, passed: np.ndarray, together: np.ndarray, confidence: float) -> Difference:
    """The difference of two AUCs. `values`: of each group, the difference of the two placements."""
    return _interval(values[passed].mean(), _deviations(values, passed), together, confidence)


def _deviations(values: np.ndarray, passed: np.ndarray) -> np.ndarray:
    """How far each group moves the mean of its label: their squares add up to the variances of the two means."""
    found = np.empty(len(values))
    for label in (passed, ~passed):
        size = label.sum()
        found[label] = (values[label] - values[label].mean()) / np.sqrt(size * (size - 1))
    return found


def _interval(value: float, deviations: np.ndarray, together: np.ndarray, confidence: float) -> Difference:
    sums = np.bincount(np.unique(together, return_inverse=True)[1], weights=deviations)
    half = norm.ppf((1 + confidence) / 2) * np.sqrt((sums**2).sum())
    return Difference(float(value), float(value - half), float(value + half))


def placements(scores: np.ndarray, passed: np.ndarray) -> np.ndarray:
    """For each group, the share of groups of the other label that its score is on the right side of; ties count half.

    The mean over the passes is the AUC, and so is that over the fails.
    """
    ranks, found = rankdata(scores), np.empty(len(scores))
    found[passed] = (ranks[passed] - rankdata(scores[passed])) / (~passed).sum()
    found[~passed] = 1 - (ranks[~passed] - rankdata(scores[~passed])) / passed.sum()
    return found


def _aucs(
    groups: Sequence[JudgedGroup], passed: np.ndarray, learned: np.ndarray, together: np.ndarray, confidence: float
) -> tuple[float | None, float, Difference | None]:
    """The AUC of the judge, that of the baseline, and their difference."""
    judged = np.array([group.verdict is not None for group in groups])
    scores = [group.p_pass for group in groups if group.verdict]
    if None in scores or min(passed[judged].sum(), (~passed)[judged].sum()) < 2:
        return None, _auc(placements(learned, passed), passed), None
    passed, learned, together = passed[judged], learned[judged], together[judged]
    of_judge, of_baseline = placements(np.array(scores, dtype=float), passed), placements(learned, passed)
    gap = auc_difference(of_judge - of_baseline, passed, together, confidence)
    return _auc(of_judge, passed), _auc(of_baseline, passed), gap


def _auc(found: np.ndarray, passed: np.ndarray) -> float:
    return float(found[passed].mean())
