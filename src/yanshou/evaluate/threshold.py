"""The P of `--threshold P` that keeps false releases under a limit, with a stated confidence.

    p_pass, human fails marked ×   0.99   0.97   0.93×   0.90   0.88   0.81×   0.60   0.42×   …
    candidates, strictest first        │      │       │      │      │       │
    false releases at each             0      0       1      1      1       2: more than may be, so P is the one before

What is promised, of human fails like those of this set, each with the confidence asked for (0.95):

1. *In the long run* the share of them released at this P is at most the limit. A candidate keeps this if the exact
   upper bound (Clopper and Pearson) on its share here is at most the limit.
2. *On another set of as many human fails* the share counted there is under the limit. This asks for more, as that set
   is a matter of luck, too: a P that keeps the first alone, chosen on one half of a set, breaks the limit on the other
   half more often than stated. Every order in which the fails of two such sets can lie by p_pass is equally likely, so
   the chance of too many there with so few here is hypergeometric.

Why choosing among many candidates does not break the promise: they are tried in a fixed order, from the strictest down,
and the first that fails ends it (fixed-sequence testing: Angelopoulos et al., "Learn then Test", 2021). What a higher P
releases a lower one releases, too. So whoever ends at a P that is too low has passed, on the way, the one P where the
true share reaches the limit; that P does not depend on the set, and the chance to pass it is at most 1 - confidence.
Hence the candidates may be taken from the set itself. Without this argument each candidate would be another chance to
be lucky.

P stands midway between the lowest value that is released and the next one below, with few digits: a probability that
comes out a little differently on another machine falls on the same side.

Groups that failed to be judged are left out: they are not released, and say nothing of what their p_pass would be. Not
covered: jobs of another kind, another checkpoint or prompt, and single missions where the set mixes several.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import beta, binom, hypergeom

from yanshou.evaluate.metrics import Rate

ROUNDING = 1e-9  # 0.07 × 100 comes out above 7, a chance of exactly 1 - confidence above that
MOST_DIGITS = 17  # of a float


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """The P that was found, or why there is none."""

    limit: float  # of the false-release rate
    confidence: float
    threshold: float | None  # pass is p_pass ≥ this; None: no P keeps the promise
    allowed: int | None  # false releases that may be in this set; None: too few human fails even for 0
    fails_needed: int  # so many human fails are enough, if none of them is released
    false_release: Rate  # here, of the human fails with a p_pass, at the threshold; without one, at the strictest P
    false_block: Rate  # likewise of the human passes: what the promise costs
    upper: float | None  # Clopper and Pearson's bound on the false-release rate in the long run

    @property
    def explanation(self) -> str:
        """What is promised and what it costs, or why nothing is."""
        asked = f"a false-release rate of at most {self.limit:.4g} with {self.confidence * 100:g}% confidence"
        if self.threshold is not None:
            return (
                f"--threshold {self.threshold!r} promises {asked}, in the long run and on another set of "
                f"{self.false_release.of} human fails. On this set {_told(self.false_release)} human fails are "
                f"released (upper bound {self.upper:.4f}). The price: {_told(self.false_block)} human passes are "
                "blocked."
            )
        if self.allowed is None:
            return (
                f"no threshold, nothing can be promised: {asked} takes {self.fails_needed} human fails even if none of "
                f"them is released; with a p_pass here are {self.false_release.of}. Judge more labelled groups, or "
                "allow a higher rate."
            )
        return (
            f"no threshold, nothing can be promised: {asked} allows {self.allowed} false releases on this set; even "
            f"the strictest threshold releases {_told(self.false_release)} human fails. Look at them in groups.csv: "
            "their p_pass is the highest of all."
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
    """The lowest P that keeps the promise, from the p_pass of the human passes and of the human fails."""
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
    """A P below each distinct value, from the highest down: at the n-th, the n highest values are released."""
    values = sorted(set(scores), reverse=True)
    for value, below in zip(values, [*values, 0.0][1:], strict=True):
        yield _between(below, value)


def allowed_releases(fails: int, limit: float, confidence: float) -> int | None:
    """The most false releases among so many fails that keep the promise; None: not even 0 do."""
    risk = (1 - confidence) * (1 + ROUNDING)
    most_there = math.ceil(fails * limit - ROUNDING) - 1  # false releases in another set, their share under the limit

    def too_many(here: int) -> bool:
        if binom.cdf(here, fails, limit) > risk:  # the same as upper_bound(…) > limit
            return True
        # More than most_there of the other set above P, at most `here` of this one: then of the here + most_there + 1
        # highest fails of both sets at most `here` are of this one.
        return bool(hypergeom.cdf(here, 2 * fails, fails, here + most_there + 1) > risk)

    if fails == 0 or too_many(0):
        return None
    return bisect_left(range(fails), True, key=too_many) - 1


def fails_needed(limit: float, confidence: float) -> int:
    """So many fails keep the promise if none is released. The larger of what its two halves take."""
    risk = 1 - confidence
    in_the_long_run = math.ceil(math.log(risk) / math.log1p(-limit) - ROUNDING)  # (1 - limit)ⁿ ≤ risk
    in_the_other_set = math.ceil(-math.log2(risk) - ROUNDING)  # ½ⁿ ≤ risk: the n highest fails all lie there, none here
    return max(in_the_long_run, math.floor((in_the_other_set - 1) / limit + ROUNDING) + 1)


def upper_bound(count: int, of: int, confidence: float) -> float:
    """Clopper and Pearson's exact upper bound on a share of which `count` of `of` were seen."""
    return 1.0 if count == of else float(beta.ppf(confidence, count + 1, of - count))


def _between(below: float, value: float) -> float:
    """The P with the fewest digits in the middle half between two values: below < P ≤ value."""
    middle, quarter = below + (value - below) / 2, (value - below) / 4
    for digits in range(1, MOST_DIGITS):
        rounded = round(middle, digits)
        if middle - quarter <= rounded <= middle + quarter and below < rounded <= value:
            return rounded
    return middle if below < middle else value  # neighbours among the floats; or both are 0


def _released(scores: Sequence[float], threshold: float) -> int:
    """How many of the sorted scores are at least the threshold."""
    return len(scores) - bisect_left(scores, threshold)


def _told(rate: Rate) -> str:
    return f"{rate.count} of {rate.of}" + ("" if rate.share is None else f" ({rate.share:.1%})")
