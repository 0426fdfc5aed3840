"""Twins: groups of one mission that have the same lines, in any order, under different ids.

    QC-1  fail  ["电线/捆扎整齐×1", "无关图片×1"] ┐ one twin set: a job that was uploaded twice, or two simple jobs
    QC-7  pass  ["无关图片×1", "电线/捆扎整齐×1"] ┘ that look the same

Twins are on one side of the split: a model would otherwise be validated on what it was trained on.

Their labels say how far labels can be trusted. Let d be the probability that two groups of a twin set have different
labels. Where each label is wrong with probability ε, whatever the others are, d = 2ε(1 − ε), so the label noise is

    ε = (1 − √(1 − 2d)) / 2        0.5 where d ≥ 0.5: the labels agree no more often than by chance

A set counts once, whatever its size: d is the mean over sets of the share of their pairs with different ids whose
labels differ. Pairs of one set are not independent, sets are. The interval is Clopper and Pearson's for as many draws
as there are sets. It is exact where each set has two groups. The share of a larger set varies less than a single pair
does, so that the interval is then wider than it would have to be.

The noise is that of such groups, which are simpler than others (fewer photos). Where people judged what the lines do
not say, it is too high; where the same person judged a job twice, it may be too low.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import comb, sqrt

from yanshou.schema.records import GroupKey, Record

CONFIDENCE = 0.95
NOISY = 0.02  # a lower limit of the label noise that is worth a warning


@dataclass(frozen=True, slots=True)
class TwinSet:
    """Groups with the same lines; at least two different ids."""

    keys: tuple[GroupKey, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Each id once."""
        return tuple(dict.fromkeys(key.group_id for key in self.keys))

    @property
    def disagreement(self) -> float:
        """Of the pairs of groups with different ids, the share whose labels differ."""
        by_id: dict[str, list[GroupKey]] = {}
        for key in self.keys:
            by_id.setdefault(key.group_id, []).append(key)
        pairs = comb(len(self.keys), 2) - sum(comb(len(keys), 2) for keys in by_id.values())
        return (_differing(self.keys) - sum(map(_differing, by_id.values()))) / pairs


def _differing(keys: Sequence[GroupKey]) -> int:
    """The number of pairs whose labels differ."""
    labels = Counter(key.label for key in keys)
    return labels["pass"] * labels["fail"]


class LabelNoise(Record):
    """The share of wrong labels that the disagreement of twins means."""

    share: float  # 0.5 where the labels agree no more often than by chance
    low: float
    high: float


class TwinFigures(Record):
    """The twins of one mission, or of all."""

    sets: int
    groups: int
    disagreeing_sets: int  # sets that have both labels
    disagreement: float | None  # d; None where there are no sets
    label_noise: LabelNoise | None


def find_twins(groups: Iterable[tuple[GroupKey, Sequence[str]]]) -> list[TwinSet]:
    """The twin sets, in the order of their first groups. `groups`: with the lines of their photos."""
    same: dict[tuple[str, tuple[str, ...]], list[GroupKey]] = {}
    for key, lines in groups:
        same.setdefault((key.mission, tuple(sorted(lines))), []).append(key)
    sets = (TwinSet(tuple(keys)) for keys in same.values() if len(keys) > 1)
    return [twins for twins in sets if len(twins.ids) > 1]


def twin_figures(sets: Sequence[TwinSet]) -> TwinFigures:
    """What the sets say about the labels."""
    shares = [twins.disagreement for twins in sets]
    return TwinFigures(
        sets=len(sets),
        groups=sum(len(twins.keys) for twins in sets),
        disagreeing_sets=sum(share > 0 for share in shares),
        disagreement=sum(shares) / len(shares) if shares else None,
        label_noise=_label_noise(shares),
    )


def noise(disagreement: float) -> float:
    """The share of wrong labels at which two groups of a set differ this often; 0.5 where they do half of the time."""
    return (1 - sqrt(max(0.0, 1 - 2 * disagreement))) / 2


def _label_noise(shares: Sequence[float]) -> LabelNoise | None:
    from scipy.stats import beta

    if not shares:
        return None
    differing, same, tail = sum(shares), len(shares) - sum(shares), (1 - CONFIDENCE) / 2
    low = float(beta.ppf(tail, differing, same + 1)) if differing > 0 else 0.0
    high = float(beta.ppf(1 - tail, differing + 1, same)) if same > 0 else 1.0
    return LabelNoise(share=noise(differing / len(shares)), low=noise(low), high=noise(high))


def twin_warnings(mission: str, figures: TwinFigures) -> Iterable[str]:
    """A warning where the labels of twins differ too often, whatever chance may have done."""
    found = figures.label_noise
    if found is None or found.low < NOISY:
        return
    differ = (
        f"{mission}: the labels differ in {figures.disagreeing_sets} of {figures.sets} sets of groups with the same "
        "lines"
    )
    if found.share < 0.5:
        yield (
            f"{differ}: about {found.share:.1%} of the labels are wrong (95%: {found.low:.1%}–{found.high:.1%}), or "
            "people judged what the lines do not say"
        )
    else:
        yield (
            f"{differ}, as often as by chance or more: people judged what the lines do not say, or one group of "
            "each label was picked"
        )
