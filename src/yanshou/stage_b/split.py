"""Which group ids are kept for validation.

    QC-1  挡风板安装检查 fail ┐ one id, one side: a job that failed, was photographed again and passed,
    QC-1  挡风板安装检查 pass ┘ would otherwise be learned on one side and asked for on the other
    QC-2  BBU接地线检查 pass    a stratum is a mission with a label

The ids are walked in an order drawn from the seed, and an id goes to validation where that brings the strata it belongs
to nearer their share of what has been walked. Strata of ids that stand there once get exactly their share; an id in
several strata serves them all, so their numbers may be off by a few. The order of the input plays no part.
"""

# Not scikit-learn's StratifiedGroupKFold: it gives fractions of 1/k only, and its folds depend on the order of the
# input and on numpy's generator. This one gives any fraction, and the same ids on every machine and version.

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from hashlib import sha256
from itertools import chain

from yanshou.schema.records import GroupKey

Stratum = tuple[str, str | None]  # mission and label


def validation_ids(keys: Iterable[GroupKey], fraction: float, seed: int) -> frozenset[str]:
    """The ids of the validation side. With two ids or more, neither side is empty."""
    strata: dict[str, list[Stratum]] = {}
    for key in keys:
        strata.setdefault(key.group_id, []).append((key.mission, key.label))
    order = sorted(strata, key=lambda group_id: _draw(seed, group_id))
    chosen = _walk(order, strata, fraction)
    if not chosen:
        return frozenset(order[:1])
    return frozenset(chosen if len(chosen) < len(order) else chosen[1:])


def _walk(order: list[str], strata: dict[str, list[Stratum]], fraction: float) -> list[str]:
    sizes = Counter(chain.from_iterable(strata.values()))
    shares = {stratum: Fraction(_wanted(size, fraction), size) for stratum, size in sizes.items()}
    walked, taken = Counter[Stratum](), Counter[Stratum]()
    chosen: list[str] = []
    for group_id in order:
        walked.update(strata[group_id])
        missing = (shares[stratum] * walked[stratum] - taken[stratum] for stratum in strata[group_id])
        if sum(short - Fraction(1, 2) for short in missing) > 0:  # the sum of squared distances becomes smaller
            taken.update(strata[group_id])
            chosen.append(group_id)
    return chosen


def _wanted(size: int, fraction: float) -> int:
    """How many of a stratum's groups validation should get: at least one on each side where there are two."""
    return min(max(round(size * fraction), 1), size - 1)


def _draw(seed: int, group_id: str) -> bytes:
    return sha256(f"{seed} {group_id}".encode(errors="backslashreplace")).digest()
