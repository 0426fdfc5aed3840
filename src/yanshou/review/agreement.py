"""How far two people agree who read the same groups, neither knowing what the machine or the other said.

    first     second reader        raw        (20 + 15 + 0) / 50 = 0.70      the pairs with the same answer
    reader    pass fail unsure     by chance  (25·30 + 25·20 + 0) / 50² = 0.50
    pass       20    5    0        kappa      (0.70 - 0.50) / (1 - 0.50) = 0.40
    fail       10   15    0
    unsure      0    0    0        prevalence of pass (25 + 30) / 100 = 0.55

Cohen's kappa (1960) is the agreement beyond chance. It is low where nearly all groups pass, however well people agree,
so the prevalence is beside it. Its interval is a percentile bootstrap: pairs are drawn with replacement, which is one
multinomial draw of the table's cells. kappa is undefined where both readers gave one and the same answer throughout;
draws in which it is are left out of the interval, and counted.

A plain random share of the queue gets a second reader; its pairs are an unbiased sample. Groups whose first answer
contradicts the folder's label get one, too. Their first answers are those most likely to be wrong, so these pairs
agree less often than readers do, and their figure is kept apart.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yanshou.evaluate.metrics import Rate
from yanshou.schema.label_row import Answer

ANSWERS: tuple[Answer, ...] = ("pass", "fail", "unsure")
CONFIDENCE = 0.95
DRAWS, SEED = 2_000, 0

Table = NDArray[np.int64]  # (3, 3): answers of the first reader × answers of the second, as in ANSWERS


@dataclass(frozen=True, slots=True)
class Pair:
    """The first two readings of one group, both blind."""

    readers: tuple[str, str]
    answers: tuple[Answer, Answer]
    drawn: bool  # the group is of the random share


@dataclass(frozen=True)
class Agreement:
    """The figures of one table of pairs."""

    table: Table

    @property
    def pairs(self) -> int:
        return int(self.table.sum())

    @property
    def raw(self) -> Rate:
        return Rate(int(np.trace(self.table)), self.pairs)

    @property
    def kappa(self) -> float | None:
        """None: undefined, because all answers are the same, or there is no pair."""
        value = float(_kappas(self.table[np.newaxis])[0])
        return None if np.isnan(value) else value

    @property
    def prevalence(self) -> dict[Answer, Rate]:
        """The share of each answer, over the answers of both readers."""
        counts = self.table.sum(axis=0) + self.table.sum(axis=1)
        return {answer: Rate(int(count), 2 * self.pairs) for answer, count in zip(ANSWERS, counts, strict=True)}

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The bootstrap interval of kappa. None where kappa is undefined, and where all draws are the same.

        They are the same where all pairs agree: such pairs say nothing about how far kappa may be off.
        """
        defined = self._draws[~np.isnan(self._draws)]
        if self.kappa is None or not defined.size:
            return None
        tail = (1 - CONFIDENCE) / 2 * 100
        low, high = np.percentile(defined, [tail, 100 - tail])
        return (float(low), float(high)) if defined.min() < defined.max() else None

    @property
    def undefined_draws(self) -> int:
        """The draws of the bootstrap, of DRAWS, in which kappa is undefined."""
        return int(np.isnan(self._draws).sum())

    @cached_property
    def _draws(self) -> NDArray[np.float64]:
        if not self.pairs:
            return np.empty(0)
        cells = np.random.default_rng(SEED).multinomial(self.pairs, self.table.ravel() / self.pairs, size=DRAWS)
        return _kappas(cells.reshape(DRAWS, len(ANSWERS), len(ANSWERS)))

    def to_dict(self) -> dict[str, Any]:
        low, high = self.interval or (None, None)
        return {
            "pairs": self.pairs,
            "raw": self.raw.to_dict(CONFIDENCE),
            "kappa": {"value": self.kappa, "low": low, "high": high, "undefined_draws": self.undefined_draws},
            "prevalence": {answer: rate.share for answer, rate in self.prevalence.items()},
            "table": self.table.tolist(),
        }


@dataclass(frozen=True, slots=True)
class ReaderAgreement:
    """What all pairs of a store say about its readers."""

    drawn: Agreement  # groups of the random share: an unbiased sample
    chosen: Agreement  # the other groups, most of them because the first answer contradicts the folder's label
    readers: dict[tuple[str, str], Agreement]  # by two names in their order: rows are the first name's answers
    not_blind: int  # groups with two readings that do not count, because one of them was not blind

    @classmethod
    def of(cls, pairs: Sequence[Pair], not_blind: int) -> "ReaderAgreement":
        named = sorted(map(_by_name, pairs), key=lambda pair: pair.readers)
        return cls(
            drawn=_agreement(pair for pair in pairs if pair.drawn),
            chosen=_agreement(pair for pair in pairs if not pair.drawn),
            readers={names: _agreement(group) for names, group in groupby(named, lambda pair: pair.readers)},
            not_blind=not_blind,
        )

    @property
    def pooled(self) -> Agreement:
        """All pairs: rows are the first reader's answers, whoever that is."""
        return Agreement(self.drawn.table + self.chosen.table)

    def to_dict(self) -> dict[str, Any]:
        return {
            "answers": list(ANSWERS),
            "random_share": self.drawn.to_dict(),
            "chosen": self.chosen.to_dict(),
            "pooled_table": self.pooled.table.tolist(),
            "readers": [{"readers": list(names), **found.to_dict()} for names, found in self.readers.items()],
            "not_blind": self.not_blind,
        }


@dataclass(frozen=True, slots=True)
class Seconds:
    """Seconds per group: of one reader's groups, or of everybody's."""

    groups: int
    median: float
    p90: float  # nine of ten groups took at most this

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Seconds | None":
        if not seconds:
            return None
        return cls(len(seconds), float(median(seconds)), float(np.percentile(seconds, 90)))

    def to_dict(self) -> dict[str, Any]:
        return {"groups": self.groups, "median": self.median, "p90": self.p90}


def _by_name(pair: Pair) -> Pair:
    """The pair with its two readers in the order of their names."""
    if pair.readers[0] <= pair.readers[1]:
        return pair
    return Pair(pair.readers[::-1], pair.answers[::-1], pair.drawn)


def _agreement(pairs: Iterable[Pair]) -> Agreement:
    table = np.zeros((len(ANSWERS), len(ANSWERS)), np.int64)
    for pair in pairs:
        first, second = map(ANSWERS.index, pair.answers)
        table[first, second] += 1
    return Agreement(table)


def _kappas(tables: NDArray[np.int64]) -> NDArray[np.float64]:  # (n, 3, 3) → (n,); nan where it is undefined
    pairs = tables.sum(axis=(1, 2))
    same = np.trace(tables, axis1=1, axis2=2) * pairs
    by_chance = (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1)  # both × pairs²: whole numbers
    beyond = pairs * pairs - by_chance
    return np.where(beyond == 0, np.nan, (same - by_chance) / np.where(beyond == 0, 1, beyond))
