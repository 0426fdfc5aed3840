"""The group ids of the validation side.

    QC-1  挡风板安装检查 fail ┐ one id, one side: a job that failed, was photographed again and passed
    QC-1  挡风板安装检查 pass ┘ would otherwise be trained on and validated on
    QC-2  BBU接地线检查 pass    a stratum is a mission with a label

The ids are visited in an order drawn from the seed. An id goes to validation where that brings its strata closer to
their share of the ids visited so far. Strata whose ids belong to no other stratum get exactly their share; an id in
several strata counts in all of them, so their numbers may be off by a few. The order of the input has no effect.
"""

# Not scikit-learn's StratifiedGroupKFold: its fractions are 1/k, and its folds depend on the order of the input and on
# numpy's generator. This split takes any fraction and chooses the same ids on every machine and version.

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from hashlib import sha256
from itertools import chain

from yanshou.schema.records import GroupKey

Stratum = tuple[str, str | None]  # mission and label


def validation_ids(keys: Iterable[GroupKey], fraction: float, seed: int) -> frozenset[str]:
    """The ids of the validation side. Neither side is empty where there are two ids or more."""
    strata: dict[str, list[Stratum]] = {}
    for key in keys:
        strata.setdefault(key.group_id, []).append((key.mission, key.label))
    order = sorted(strata, key=lambda group_id: _draw(seed, group_id))
    chosen = _choose(order, strata, fraction)
    if not chosen:
        return frozenset(order[:1])
    return frozenset(chosen if len(chosen) < len(order) else chosen[1:])


def _choose(order: list[str], strata: dict[str, list[Stratum]], fraction: float) -> list[str]:
    sizes = Counter(chain.from_iterable(strata.values()))
    shares = {stratum: Fraction(_wanted(size, fraction), size) for stratum, size in sizes.items()}
    visited, taken = Counter[Stratum](), Counter[Stratum]()
    chosen: list[str] = []
    for group_id in order:
        visited.update(strata[group_id])
        missing = (shares[stratum] * visited[stratum] - taken[stratum] for stratum in strata[group_id])
        if sum(short - Fraction(1, 2) for short in missing) > 0:  # the squared distances from the shares shrink
            taken.update(strata[group_id])
            chosen.append(group_id)
    return chosen


def _wanted(size: int, fraction: float) -> int:
    """A stratum's number of groups in validation: where it has two or more, at least one on each side."""
    return min(max(round(size * fraction), 1), size - 1)


def _draw(seed: int, group_id: str) -> bytes:
    return sha256(f"{seed} {group_id}".encode(errors="backslashreplace")).digest()
