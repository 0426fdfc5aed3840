"""The figures of one mission, or of all missions together: of the judge and of baselines, on the same groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.judges import UNKNOWN, Judge
from yanshou.evaluate.metrics import Counts
from yanshou.evaluate.reason_counts import ReasonCounts
from yanshou.schema.records import GroupKey, Label


class FigureRow(NamedTuple):
    """The figures of one kind of verdict."""

    what: Literal["judge", "rules", "always_pass", "learned"]  # the key in --json
    name: str  # what gave the verdicts
    counts: Counts


@dataclass(frozen=True, slots=True)
class EvaluationFigures:
    """The figures of one mission, or of all missions together."""

    judge: Counts
    rules: Counts
    always_pass: Counts
    learned: Counts | None = None  # of the learned baseline, where it releases as many groups as the judge
    judged_by: Judge = UNKNOWN
    reasons: ReasonCounts = field(default_factory=lambda: ReasonCounts.of(()))

    @classmethod
    def of(
        cls,
        groups: Sequence[JudgedGroup],
        judged_by: Judge = UNKNOWN,
        learned: Mapping[GroupKey, Label] | None = None,
    ) -> "EvaluationFigures":
        """`learned`: the verdicts of the learned baseline; None: there is none."""
        return cls(
            judge=Counts.of((group.label, group.verdict) for group in groups),
            rules=Counts.of((group.label, group.rules_verdict) for group in groups),
            always_pass=Counts.of((group.label, "pass") for group in groups),
            learned=None if learned is None else Counts.of((group.label, learned.get(group.key)) for group in groups),
            judged_by=judged_by,
            reasons=ReasonCounts.of(group.reason_check for group in groups),
        )

    def rows(self) -> list[FigureRow]:
        """The judge and the baselines. Where the rules judged, they have one row, unless they now decide otherwise."""
        rows = [FigureRow("judge", self.judged_by.name, self.judge)]
        if self.judged_by.kind != "rules":
            rows.append(FigureRow("rules", "rules", self.rules))
        elif self.rules != self.judge:
            rows.append(FigureRow("rules", "rules now", self.rules))
        rows.append(FigureRow("always_pass", "always pass", self.always_pass))
        if self.learned:
            rows.append(FigureRow("learned", "learned", self.learned))
        return rows

    def to_dict(self, confidence: float) -> dict[str, Any]:
        counts = {"judge": self.judge, "rules": self.rules, "always_pass": self.always_pass, "learned": self.learned}
        return {
            "judged_by": self.judged_by.to_dict(),
            **{name: part and part.to_dict(confidence) for name, part in counts.items()},
            "reasons": self.reasons.to_dict(confidence),
        }
