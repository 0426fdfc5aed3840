"""Chooses the threshold P (`--threshold P`) that keeps false releases below a limit, with a stated confidence.

    p_pass, human fails marked ×   0.99   0.97   0.93×   0.90   0.88   0.81×   0.60   0.42×   …
    candidates, strictest first        │      │       │      │      │       │
    false releases at each             0      0       1      1      1       2: too many, so P is the previous candidate

The promise is about human fails like those of this set. It has two parts, each with the requested confidence (0.95):

1. *In the long run*, the share of human fails released at P is at most the limit. A candidate satisfies this if the
   exact (Clopper-Pearson) upper bound on its share in this set is at most the limit.
2. *On another set with as many human fails*, the share released there is below the limit. This is stricter, because
   that set is random too: a P that satisfies part 1 only, chosen on one half of a set, breaks the limit on the other
   half more often than stated. All orders by p_pass of the human fails of both sets are equally likely, so the
   probability of too many false releases there and this few here is hypergeometric.

Choosing among many candidates does not weaken the promise. Candidates are tested in a fixed order, strictest first, and
the first failure ends the search (fixed-sequence testing: Angelopoulos et al., "Learn then Test", 2021). A lower P
releases everything that a higher one releases. So a search that ends at too low a P has accepted, on its way, the P at
which the true share reaches the limit. That P does not depend on the set, and it is accepted with a probability of at
most 1 - confidence. This is why the candidates may come from the set itself. Without the fixed order, each candidate
would be another chance of a lucky result.

P is midway between the lowest released p_pass and the next one below, rounded to few digits. So a probability that
differs slightly on another machine stays on the same side.

Groups without a verdict are left out: they are not released, and their p_pass is unknown. The promise does not cover
jobs of another kind, another checkpoint or prompt, or a single mission of a set that mixes several.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import beta, binom, hypergeom

from yanshou.evaluate.metrics import Rate

ROUNDING = 1e-9  # tolerance for floating-point errors: 0.07 × 100 is above 7
MAX_DIGITS = 17  # significant digits of a float


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """The chosen threshold, or the reason why there is none.

    The rates count groups with a p_pass, at the threshold or, without one, at the strictest candidate.
    """

    limit: float  # on the false-release rate
    confidence: float
    threshold: float | None  # the verdict is pass if p_pass ≥ threshold; None: no candidate keeps the promise
    allowed: int | None  # maximum number of false releases in this set; None: too few human fails even for 0
    fails_needed: int  # this many human fails are enough if none of them is released
    false_release: Rate
    false_block: Rate  # the cost of the promise
    upper: float | None  # Clopper-Pearson upper bound on the false-release rate in the long run

    @property
    def explanation(self) -> str:
        """The promise and its cost, or the reason why there is none."""
        promise = f"a false-release rate of at most {self.limit:.4g} with {self.confidence * 100:g}% confidence"
        if self.threshold is not None:
            return (
                f"--threshold {self.threshold!r} promises {promise}, in the long run and on another set with "
                f"{self.false_release.of} human fails. On this set it releases {self.false_release} human fails (upper "
                f"bound in the long run: {self.upper:.4f}). The cost: it blocks {self.false_block} human passes."
            )
        if self.allowed is None:
            return (
                f"no threshold can be promised: {promise} needs {self.fails_needed} human fails even if none of them "
                f"is released, and only {self.false_release.of} have a p_pass. Judge more labelled groups, or allow a "
                "higher rate."
            )
        return (
            f"no threshold can be promised: {promise} allows {self.allowed} false releases on this set, and even the "
            f"strictest threshold releases {self.false_release} human fails. Look at them in groups.csv: their p_pass "
            "is the highest of all groups."
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "max_false_release": self.limit,
            "confidence": self.confidence,
            "threshold": self.threshold,
            "false_releases_allowed": self.allowed,
            "human_fails_needed": self.fails_needed,
            "false_release": self.false_release.to_dict(self.confidence),
            "false_release_upper_bound": self.upper,
            "false_block": self.false_block.to_dict(self.confidence),
            "words": self.explanation,
        }


def choose_threshold(
    passes: Sequence[float], fails: Sequence[float], limit: float, confidence: float
) -> ThresholdChoice:
    """Chooses the lowest P that keeps the promise, given the p_pass of human passes and of human fails."""
    passes, fails = sorted(passes), sorted(fails)
    allowed = allowed_releases(len(fails), limit, confidence)
    threshold: float | None = None
    strictest: float | None = None
    for candidate in candidates([*passes, *fails]):
        strictest = candidate if strictest is None else strictest
        if allowed is None or _released(fails, candidate) > allowed:
            break
        threshold = candidate
    shown = strictest if threshold is None else threshold
    false_releases = 0 if shown is None else _released(fails, shown)
    releases = 0 if shown is None else _released(passes, shown)
    return ThresholdChoice(
        limit=limit,
        confidence=confidence,
        threshold=threshold,
        allowed=allowed,
        fails_needed=fails_needed(limit, confidence),
        false_release=Rate(false_releases, len(fails)),
        false_block=Rate(len(passes) - releases, len(passes)),
        upper=None if threshold is None else upper_bound(false_releases, len(fails), confidence),
    )


def candidates(scores: Sequence[float]) -> Iterator[float]:
    """One P per distinct value, strictest first: the n-th P releases the n highest values."""
    values = sorted(set(scores), reverse=True)
    for value, below in zip(values, [*values, 0.0][1:], strict=True):
        yield _between(below, value)


def allowed_releases(fails: int, limit: float, confidence: float) -> int | None:
    """The maximum number of false releases, of `fails` human fails, that keeps the promise. None: not even 0 does."""
    risk = (1 - confidence) * (1 + ROUNDING)
    max_there = math.ceil(fails * limit - ROUNDING) - 1  # false releases in another set with a share below the limit

    def too_many(here: int) -> bool:
        if binom.cdf(here, fails, limit) > risk:  # equivalent to upper_bound(…) > limit
            return True
        # If P releases more than max_there fails of the other set and at most `here` of this one, then at most `here`
        # of the here + max_there + 1 highest fails of both sets belong to this one.
        return bool(hypergeom.cdf(here, 2 * fails, fails, here + max_there + 1) > risk)

    if fails == 0 or too_many(0):
        return None
    return bisect_left(range(fails), True, key=too_many) - 1


def fails_needed(limit: float, confidence: float) -> int:
    """The number of human fails that keeps both parts of the promise if none of them is released."""
    risk = 1 - confidence
    long_run = math.ceil(math.log(risk) / math.log1p(-limit) - ROUNDING)  # smallest n with (1 - limit)ⁿ ≤ risk
    highest = math.ceil(-math.log2(risk) - ROUNDING)  # smallest n with ½ⁿ ≤ risk: all n highest fails in the other set
    return max(long_run, math.floor((highest - 1) / limit + ROUNDING) + 1)


def upper_bound(count: int, of: int, confidence: float) -> float:
    """The exact (Clopper-Pearson) upper bound on a share, after `count` of `of` were observed."""
    return 1.0 if count == of else float(beta.ppf(confidence, count + 1, of - count))


def _between(below: float, value: float) -> float:
    """The number with the fewest digits in the middle half of the interval: below < P ≤ value."""
    middle, quarter = below + (value - below) / 2, (value - below) / 4
    for digits in range(1, MAX_DIGITS):
        rounded = round(middle, digits)
        if middle - quarter <= rounded <= middle + quarter and below < rounded <= value:
            return rounded
    return middle if below < middle else value  # two adjacent floats, or both 0


def _released(scores: Sequence[float], threshold: float) -> int:
    """The number of sorted scores that are at least the threshold."""
    return len(scores) - bisect_left(scores, threshold)
