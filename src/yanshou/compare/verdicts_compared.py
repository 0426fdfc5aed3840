"""Two files of verdicts about the same groups: flips, who is right about them, and how p_pass moved.

                   right in B   wrong in B
    right in A         …             b           McNemar's exact test: of the b + c labelled groups about which only one
    wrong in A         c             …           file is right, each is a fair coin if neither judge is better (scipy)

A group without a human label is in no test. A group that only one file has is counted and is in no other figure: it
failed in the other run, or was never judged there.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
from scipy.stats import binomtest

from yanshou.schema.records import GroupKey, Label, VerdictRecord
from yanshou.storage.labels_file import Labels

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
Kind = Literal["new_false_release", "new_false_block", "unlabelled", "right"]
WORST_FIRST: tuple[Kind, ...] = ("new_false_release", "new_false_block", "unlabelled", "right")
Thresholds = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Said:
    """What is kept of a verdict."""

    key: GroupKey
    verdict: Label
    p_pass: float | None
    reason: str
    summaries: str | None  # summaries_sha256

    @classmethod
    def of(cls, record: VerdictRecord) -> Self:
        return cls(record.key, record.verdict, record.p_pass, record.reason, record.summaries_sha256)


@dataclass(frozen=True, slots=True)
class VerdictPair:
    """One group with a verdict in both files. One that flipped is a line of changes.jsonl."""

    a: Said
    b: Said
    label: Label | None  # that figures are computed with

    @property
    def key(self) -> GroupKey:
        return self.a.key

    @property
    def flipped(self) -> bool:
        return self.a.verdict != self.b.verdict

    @property
    def kind(self) -> Kind:
        """What a flip means against the label."""
        if self.label is None:
            return "unlabelled"
        if self.b.verdict == self.label:
            return "right"
        return "new_false_release" if self.b.verdict == "pass" else "new_false_block"

    @property
    def other_summaries(self) -> bool:
        """Whether the two verdicts are known to be about two texts."""
        return None not in (self.a.summaries, self.b.summaries) and self.a.summaries != self.b.summaries

    @property
    def shift(self) -> float | None:
        """p_pass in B minus p_pass in A."""
        return None if self.a.p_pass is None or self.b.p_pass is None else self.b.p_pass - self.a.p_pass

    def to_dict(self) -> dict[str, Any]:
        return {
            "mission": self.key.mission, "group_id": self.key.group_id, "label": self.key.label,
            "label_used": self.label,
            "verdict_a": self.a.verdict, "verdict_b": self.b.verdict,
            "p_pass_a": self.a.p_pass, "p_pass_b": self.b.p_pass,
            "reason_a": self.a.reason, "reason_b": self.b.reason,
            "other_summaries": self.other_summaries,
        }  # fmt: skip


@dataclass(slots=True)
class VerdictFigures:
    """The figures of one mission, or of all missions together."""

    pairs: list[VerdictPair] = field(default_factory=list)
    only_a: int = 0
    only_b: int = 0

    @property
    def groups(self) -> int:
        return len(self.pairs)

    def flips(self, to: Label, label: Label | str | None = "any") -> int:
        """Groups whose verdict became `to`; of one human label, or of any."""
        return sum(pair.flipped and pair.b.verdict == to and label in ("any", pair.label) for pair in self.pairs)

    @property
    def same(self) -> int:
        return sum(not pair.flipped for pair in self.pairs)

    @property
    def labelled(self) -> int:
        return sum(pair.label is not None for pair in self.pairs)

    @property
    def only_a_right(self) -> int:
        return sum(pair.flipped and pair.a.verdict == pair.label for pair in self.pairs)

    @property
    def only_b_right(self) -> int:
        return sum(pair.flipped and pair.b.verdict == pair.label for pair in self.pairs)

    @property
    def mcnemar(self) -> float | None:
        """The p-value of McNemar's exact test, two-sided. None without labelled groups."""
        if not self.labelled:
            return None
        differing = self.only_a_right + self.only_b_right
        return float(binomtest(self.only_a_right, differing, 0.5).pvalue) if differing else 1.0

    @property
    def shifts(self) -> list[float]:
        return [pair.shift for pair in self.pairs if pair.shift is not None]

    def quantiles(self) -> list[float] | None:
        """Of the shift of p_pass, at QUANTILES. None without p_pass in both files."""
        return [float(value) for value in np.quantile(self.shifts, QUANTILES)] if self.shifts else None

    def crossing(self, threshold: float | None) -> int | None:
        """Groups whose p_pass is on the other side of a threshold in B."""
        if threshold is None:
            return None
        return sum(
            (pair.a.p_pass >= threshold) != (pair.b.p_pass >= threshold)
            for pair in self.pairs
            if pair.a.p_pass is not None and pair.b.p_pass is not None
        )

    @property
    def other_summaries(self) -> int:
        return sum(pair.other_summaries for pair in self.pairs)

    def to_dict(self, thresholds: Thresholds) -> dict[str, Any]:
        labels: tuple[Label | None, ...] = ("pass", "fail", None)
        return {
            "groups": self.groups, "groups_only_in_a": self.only_a, "groups_only_in_b": self.only_b,
            "other_summaries": self.other_summaries,
            "same_verdict": self.same,
            "fail_to_pass": self.flips("pass"), "pass_to_fail": self.flips("fail"),
            "by_label": {
                label or "none": {"fail_to_pass": self.flips("pass", label), "pass_to_fail": self.flips("fail", label)}
                for label in labels
            },
            "mcnemar": {
                "labelled": self.labelled, "only_a_right": self.only_a_right, "only_b_right": self.only_b_right,
                "p_value": self.mcnemar,
            },
            "p_pass_shift": self._shift(thresholds),
        }  # fmt: skip

    def _shift(self, thresholds: Thresholds) -> dict[str, Any]:
        shifts, quantiles = self.shifts, self.quantiles()
        return {
            "groups": len(shifts),
            "mean": float(np.mean(shifts)) if shifts else None,
            "quantiles": dict(zip(map(str, QUANTILES), quantiles, strict=True)) if quantiles else None,
            "crossing": {
                side: {"threshold": threshold, "groups": self.crossing(threshold)}
                for side, threshold in zip(("a", "b"), thresholds, strict=True)
            },
        }


@dataclass(slots=True)
class VerdictComparison:
    """Two files of verdicts, compared. `add` takes one group after the other."""

    labels: Labels
    missions: dict[str, VerdictFigures] = field(default_factory=dict)
    only_a: list[GroupKey] = field(default_factory=list)
    only_b: list[GroupKey] = field(default_factory=list)

    @property
    def overall(self) -> VerdictFigures:
        parts = self.missions.values()
        pairs = [pair for figures in parts for pair in figures.pairs]
        return VerdictFigures(pairs, sum(part.only_a for part in parts), sum(part.only_b for part in parts))

    @property
    def changes(self) -> list[VerdictPair]:
        return [pair for figures in self.missions.values() for pair in figures.pairs if pair.flipped]

    def add(self, a: Said | None, b: Said | None) -> None:
        one = a or b
        assert one
        figures = self.missions.setdefault(one.key.mission, VerdictFigures())
        if a and b:
            figures.pairs.append(VerdictPair(a, b, self.labels.label_of(a.key)))
        elif a:
            figures.only_a += 1
            self.only_a.append(a.key)
        else:
            figures.only_b += 1
            self.only_b.append(one.key)

    def worst_first(self) -> list[VerdictPair]:
        """New false releases, new false blocks, flips without a label, flips to the right verdict; far shifts first."""
        return sorted(self.changes, key=lambda pair: (WORST_FIRST.index(pair.kind), -abs(pair.shift or 0)))
