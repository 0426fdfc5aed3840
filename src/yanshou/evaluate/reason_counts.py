"""How many reasons hold: those of verdicts that have a Stage-A line, by what `yanshou.stage_b.reason` finds.

reasons = grounded + incomplete + contradicting + unreadable
other verdict: those of them whose verdict is not the rule's, so that no reason for it can hold
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from yanshou.evaluate.metrics import Rate
from yanshou.stage_b.reason import OUTCOMES, Outcome, ReasonCheck


@dataclass(frozen=True, slots=True)
class ReasonCounts:
    """The reasons of one mission, or of all missions together."""

    outcomes: dict[Outcome, Rate]  # each of all reasons
    other_verdict: Rate

    @classmethod
    def of(cls, checks: Iterable[ReasonCheck | None]) -> Self:
        """Counts checks. None: a group without a reason, or without the summaries that it is about."""
        checked = [check for check in checks if check]
        counts = Counter(check.outcome for check in checked)
        outcomes = {outcome: Rate(counts[outcome], len(checked)) for outcome in OUTCOMES}
        return cls(outcomes, Rate(sum(check.against_rule for check in checked), len(checked)))

    @property
    def reasons(self) -> int:
        return self.other_verdict.of

    def to_dict(self, confidence: float) -> dict[str, Any]:
        outcomes: dict[str, Any] = {outcome: rate.to_dict(confidence) for outcome, rate in self.outcomes.items()}
        return {"reasons": self.reasons, **outcomes, "other_verdict": self.other_verdict.to_dict(confidence)}
