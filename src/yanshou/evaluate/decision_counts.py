"""How many groups a policy releases, blocks and leaves to a person, and how many of these decisions are wrong.

                     released            blocked             to a person
    human pass                           false blocks
    human fail       false releases
    no human label   counted, but in no rate of errors

    groups = released + blocked + to a person; a group without a p_pass or without a verdict goes to a person

The denominators of `metrics.py` stay: false releases / human fails, false blocks / human passes, and these count groups
without a verdict. Unlike there, what goes to a person is no false block.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from yanshou.evaluate.metrics import Rate
from yanshou.schema.policy import Decision
from yanshou.schema.records import Label


@dataclass(frozen=True, slots=True)
class DecisionCounts:
    """The decisions about the groups of one mission, or of all missions."""

    released: Rate  # of all groups
    blocked: Rate
    review: Rate  # to a person
    false_release: Rate  # of human fails
    false_block: Rate  # of human passes

    @classmethod
    def of(cls, decisions: Iterable[tuple[Label | None, Decision | None]]) -> Self:
        """Counts pairs of human label and decision."""
        counted = Counter(decisions)
        groups = counted.total()
        released, blocked, review = (
            Rate(sum(counted[label, decision] for label in ("pass", "fail", None)), groups)
            for decision in ("release", "block", "review")
        )
        passes, fails = (sum(n for (of, _), n in counted.items() if of == label) for label in ("pass", "fail"))
        false_release, false_block = Rate(counted["fail", "release"], fails), Rate(counted["pass", "block"], passes)
        return cls(released, blocked, review, false_release, false_block)

    def to_dict(self, confidence: float) -> dict[str, Any]:
        rates = ("released", "blocked", "review", "false_release", "false_block")
        return {name: getattr(self, name).to_dict(confidence) for name in rates}
