"""The cells into which groups fall, and the figures computed from them.

                     verdict pass       verdict fail       no verdict (error)
    human pass       passes_released    passes_blocked     passes_failed      = human_passes
    human fail       fails_released     fails_blocked      fails_failed       = human_fails
    no human label   unlabelled: counted, but in no figure

    groups = judged + errors + unlabelled        judged = the four cells of verdicts, errors = the two on the right
           = human_passes + human_fails + unlabelled

A *false release* is a human fail with the verdict pass: biometrics calls it a false accept. A *false block* is a human
pass without the verdict pass: a false reject. A group without a verdict is not released, so an error is a false block
for a human pass and a correct block for a human fail. The denominator of a rate does not depend on the verdicts:

    accuracy            right / (human passes + human fails)
    false-release rate  fails_released / human fails
    false-block rate    (passes_blocked + passes_failed) / human passes

Each of these has a Wilson interval (scipy). Balanced accuracy and the Matthews correlation coefficient (MCC; both from
scikit-learn) are not shares of groups and have none. A rate of no groups is None, as are balanced accuracy and MCC if a
human class is absent. MCC is 0 if all verdicts are the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Self

from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, matthews_corrcoef

from yanshou.schema.records import Label


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of groups: `count` of `of`."""

    count: int
    of: int

    def __str__(self) -> str:
        """3 / 50 (6.0%)"""
        return f"{self.count} / {self.of}" + (f" ({self.share:.1%})" if self.of else "")

    @property
    def share(self) -> float | None:
        return self.count / self.of if self.of else None

    def interval(self, confidence: float) -> tuple[float, float] | None:
        """Wilson's two-sided interval."""
        if not self.of:
            return None
        found = binomtest(self.count, self.of).proportion_ci(confidence, method="wilson")
        return float(found.low), float(found.high)

    def to_dict(self, confidence: float) -> dict[str, Any]:
        low, high = self.interval(confidence) or (None, None)
        return {"share": self.share, "count": self.count, "of": self.of, "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of groups in each cell."""

    passes_released: int = 0
    passes_blocked: int = 0
    passes_failed: int = 0
    fails_released: int = 0
    fails_blocked: int = 0
    fails_failed: int = 0
    unlabelled: int = 0

    @classmethod
    def of(cls, outcomes: Iterable[tuple[Label | None, Label | None]]) -> Self:
        """Counts pairs of human label and verdict. A verdict of None is an error."""
        cells = dict.fromkeys((field.name for field in fields(cls)), 0)
        for label, verdict in outcomes:
            cells[_cell(label, verdict)] += 1
        return cls(**cells)

    @property
    def groups(self) -> int:
        return self.judged + self.errors + self.unlabelled

    @property
    def judged(self) -> int:
        """Labelled groups with a verdict."""
        return self.passes_released + self.passes_blocked + self.fails_released + self.fails_blocked

    @property
    def errors(self) -> int:
        """Labelled groups without a verdict."""
        return self.passes_failed + self.fails_failed

    @property
    def human_passes(self) -> int:
        return self.passes_released + self.passes_blocked + self.passes_failed

    @property
    def human_fails(self) -> int:
        return self.fails_released + self.fails_blocked + self.fails_failed

    @property
    def accuracy(self) -> Rate:
        right = self.passes_released + self.fails_blocked + self.fails_failed
        return Rate(right, self.human_passes + self.human_fails)

    @property
    def false_release(self) -> Rate:
        return Rate(self.fails_released, self.human_fails)

    @property
    def false_block(self) -> Rate:
        return Rate(self.passes_blocked + self.passes_failed, self.human_passes)

    @property
    def balanced_accuracy(self) -> float | None:
        return self._of_both_classes(balanced_accuracy_score)

    @property
    def mcc(self) -> float | None:
        return self._of_both_classes(matthews_corrcoef)

    def _of_both_classes(self, metric: Any) -> float | None:
        if not (self.human_passes and self.human_fails):
            return None
        true_blocks = self.human_fails - self.fails_released
        cells = [self.passes_released, self.fails_released, self.false_block.count, true_blocks]
        return float(metric([1, 0, 1, 0], [1, 1, 0, 0], sample_weight=cells))  # human pass, released

    def to_dict(self, confidence: float) -> dict[str, Any]:
        sizes = ("groups", "judged", "errors", "unlabelled", "human_passes", "human_fails")
        return {
            **{name: getattr(self, name) for name in sizes},
            "errors_of_human_passes": self.passes_failed,
            "errors_of_human_fails": self.fails_failed,
            "accuracy": self.accuracy.to_dict(confidence),
            "balanced_accuracy": self.balanced_accuracy,
            "mcc": self.mcc,
            "false_release": self.false_release.to_dict(confidence),
            "false_block": self.false_block.to_dict(confidence),
        }


def _cell(label: Label | None, verdict: Label | None) -> str:
    if label is None:
        return "unlabelled"
    fate = {"pass": "released", "fail": "blocked", None: "failed"}[verdict]
    return f"{'passes' if label == 'pass' else 'fails'}_{fate}"
