"""Finds the thresholds that keep false releases, and false blocks, below a limit with a stated confidence.

    p_pass, human fails marked ×   0.99   0.97   0.93×   0.90   0.88   0.81×   0.60   0.42×   …
    candidates, strictest first        │      │       │      │      │       │
    false releases at each             0      0       1      1      1       2: too many, so P is the previous candidate

Groups with p_pass ≥ P are released. The promise is about human fails like those of this set. It has two parts, each
with the requested confidence (0.95):

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

The block side is the mirror image: groups with p_pass < P are blocked, the promise is about human passes, and the
strictest candidate is the lowest. Everything else is the same. Each side searches by itself, so each has a promise of
its own: both together hold with a confidence of at least 1 - 2 × (1 - confidence).

P is midway between two neighbouring values of p_pass, rounded to few digits. So a probability that differs slightly on
another machine stays on the same side.

Groups without a p_pass are left out: a person decides about them. The promise does not cover jobs of another kind,
another checkpoint or prompt, or a single mission of a set that mixes several.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy.stats import beta, binom, hypergeom

from yanshou.evaluate.metrics import Rate

ROUNDING = 1e-9  # tolerance for floating-point errors: 0.07 × 100 is above 7
MAX_DIGITS = 17  # significant digits of a float


Side = Literal["release", "block"]
NOUNS = {"release": ("human fails", "released"), "block": ("human passes", "blocked")}  # an error, and what happens


@dataclass(frozen=True, slots=True)
class Promise:
    """The threshold of one side and what it promises, or the reason why there is none.

    The rates count groups with a p_pass, at the threshold or, without one, at the strictest candidate.
    """

    side: Side
    limit: float  # on the false-release rate, or on the false-block rate
    confidence: float
    threshold: float | None  # release: p_pass ≥ threshold, block: p_pass < threshold; None: no candidate is good enough
    allowed: int | None  # maximum number of errors in this set; None: too few groups even for 0
    needed: int  # this many human fails (block: human passes) are enough if there is no error among them
    errors: Rate  # human fails released, or human passes blocked
    gained: Rate  # what the side is for: human passes released, or human fails blocked
    upper: float | None  # Clopper-Pearson upper bound on the rate of errors in the long run

    @property
    def missing(self) -> int:
        """The number of human fails (block: human passes) that this set lacks for any promise."""
        return self.needed - self.errors.of if self.allowed is None else 0

    @property
    def why(self) -> str | None:
        """Why there is no threshold, and what to do. None: there is one."""
        if self.threshold is not None:
            return None
        who, fate = NOUNS[self.side]
        if self.allowed is None:
            return (
                f"too few {who}: {self._limit} needs {self.needed} with a p_pass even if none of them is {fate}, and "
                f"there are {self.errors.of}, so {self.missing} more are missing. Judge more labelled groups, or allow "
                "a higher rate"
            )
        end = "highest" if self.side == "release" else "lowest"
        return (
            f"too many errors: {self._limit} allows {self.allowed} of {self.errors.of} {who} to be {fate}, and at the "
            f"strictest threshold {self.errors.count} are. Look at them in groups.csv: their p_pass is the {end} of "
            "all groups"
        )

    @property
    def explanation(self) -> str:
        """What is promised and what it gains, or why nothing is."""
        if self.threshold is None:
            return f"{self.side}: no threshold, because of {self.why}."
        who, fate = NOUNS[self.side]
        others, relation = ("human passes", "≥") if self.side == "release" else ("human fails", "<")
        return (
            f"{self.side} if p_pass {relation} {self.threshold!r}: {self._limit}, in the long run and on another set "
            f"with {self.errors.of} {who}. On this set {self.errors} {who} are {fate} (upper bound in the long run: "
            f"{self.upper:.2%}), and {self.gained} {others}."
        )

    @property
    def _limit(self) -> str:
        return f"a false-{self.side} rate of at most {self.limit * 100:.4g}% with {self.confidence * 100:g}% confidence"

    def to_dict(self) -> dict[str, Any]:
        return {
            "limit": self.limit,
            "confidence": self.confidence,
            "threshold": self.threshold,
            "errors_allowed": self.allowed,
            "needed": self.needed,
            "missing": self.missing,
            "errors": self.errors.to_dict(self.confidence),
            "errors_upper_bound": self.upper,
            "gained": self.gained.to_dict(self.confidence),
            "words": self.explanation,
        }


def find_promise(
    side: Side, passes: Sequence[float], fails: Sequence[float], limit: float, confidence: float
) -> Promise:
    """Finds the threshold that decides about most groups and keeps the promise. `passes`, `fails`: p_pass by label."""
    passes, fails = sorted(passes), sorted(fails)
    wrong, right = (fails, passes) if side == "release" else (passes, fails)
    allowed = allowed_errors(len(wrong), limit, confidence)
    threshold: float | None = None
    strictest: float | None = None
    for candidate in candidates([*passes, *fails], side):
        strictest = candidate if strictest is None else strictest
        if allowed is None or _decided(wrong, candidate, side) > allowed:
            break
        threshold = candidate
    shown = strictest if threshold is None else threshold
    errors, gained = (0 if shown is None else _decided(scores, shown, side) for scores in (wrong, right))
    return Promise(
        side=side,
        limit=limit,
        confidence=confidence,
        threshold=threshold,
        allowed=allowed,
        needed=number_needed(limit, confidence),
        errors=Rate(errors, len(wrong)),
        gained=Rate(gained, len(right)),
        upper=None if threshold is None else upper_bound(errors, len(wrong), confidence),
    )


def candidates(scores: Sequence[float], side: Side) -> Iterator[float]:
    """One P per distinct value, strictest first: the n-th P releases the n highest values, or blocks the n lowest."""
    values = sorted(set(scores))
    if side == "release":
        for below, value in zip(reversed([0.0, *values][: len(values)]), reversed(values), strict=True):
            yield _between(below, value)
    else:
        for value, above in zip(values, [*values[1:], 1.0][: len(values)], strict=True):
            if value < above:  # no P blocks a p_pass of 1
                yield _between(value, above)


def allowed_errors(groups: int, limit: float, confidence: float) -> int | None:
    """The maximum number of errors among `groups` that keeps the promise. None: not even 0 does.

    `groups`: human fails for releasing, human passes for blocking.
    """
    risk = (1 - confidence) * (1 + ROUNDING)
    max_there = math.ceil(groups * limit - ROUNDING) - 1  # errors in another set with a share below the limit

    def too_many(here: int) -> bool:
        if binom.cdf(here, groups, limit) > risk:  # equivalent to upper_bound(…) > limit
            return True
        # If P decides about more than max_there of the other set and at most `here` of this one, then at most `here`
        # of the here + max_there + 1 most extreme ones of both sets belong to this one.
        return bool(hypergeom.cdf(here, 2 * groups, groups, here + max_there + 1) > risk)

    if groups == 0 or too_many(0):
        return None
    return bisect_left(range(groups), True, key=too_many) - 1


def number_needed(limit: float, confidence: float) -> int:
    """The number of human fails, or passes, that keeps both parts of the promise if there is no error among them."""
    risk = 1 - confidence
    long_run = math.ceil(math.log(risk) / math.log1p(-limit) - ROUNDING)  # smallest n with (1 - limit)ⁿ ≤ risk
    highest = math.ceil(-math.log2(risk) - ROUNDING)  # smallest n with ½ⁿ ≤ risk: all n most extreme in the other set
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


def _decided(scores: Sequence[float], threshold: float, side: Side) -> int:
    """The number of sorted scores that the side releases or blocks at the threshold."""
    below = bisect_left(scores, threshold)
    return below if side == "block" else len(scores) - below
