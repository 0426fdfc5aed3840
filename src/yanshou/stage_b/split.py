"""The group ids of the validation side.

    QC-1  挡风板安装检查 fail ┐ one id, one side: a job that failed, was photographed again and passed
    QC-1  挡风板安装检查 pass ┘ would otherwise be trained on and validated on
    QC-2  BBU接地线检查 pass    a stratum is a mission with a label

Ids that share a twin set (`twins.py`: groups with the same lines) are on one side too, and so are ids that are linked
over several sets. What is linked is one *unit*; most units are one id.

The units are visited in an order drawn from the seed, those of many ids first. A unit goes to validation where that
brings its strata closer to their share of the groups visited so far. Where a stratum's units have one group each, it
gets exactly its share. Groups of units with several groups may leave it off by a few; later units make up for them.
Where there are too few of these, it is off by up to half the size of a unit: `share_warnings` says so. A unit that is
more than twice as large as the validation share of its stratum is always in train. The order of the input has no
effect.
"""

# Not scikit-learn's StratifiedGroupKFold: its fractions are 1/k, and its folds depend on the order of the input and on
# numpy's generator. This split takes any fraction and chooses the same ids on every machine and version.

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from hashlib import sha256
from itertools import chain

from yanshou.schema.records import GroupKey

Stratum = tuple[str, str | None]  # mission and label
Unit = tuple[str, ...]  # ids that are kept on one side
FEW = 5  # groups by which a side may be off without a warning


def validation_ids(
    keys: Iterable[GroupKey], fraction: float, seed: int, linked: Iterable[Iterable[str]] = ()
) -> frozenset[str]:
    """The ids of the validation side. Neither side is empty where there are two units or more.

    `linked`: ids that must be on one side, twin set by twin set.
    """
    strata: dict[str, Counter[Stratum]] = {}
    for key in keys:
        strata.setdefault(key.group_id, Counter())[key.mission, key.label] += 1
    units = join_ids(strata, linked)
    order = sorted(units, key=lambda unit: (-len(unit), _draw(seed, unit[0])))
    chosen = _choose(order, strata, fraction)
    if not chosen:
        chosen = [min(order, key=len)]
    elif len(chosen) == len(order):
        chosen.remove(min(order, key=len))
    return frozenset(chain.from_iterable(chosen))


def join_ids(ids: Iterable[str], linked: Iterable[Iterable[str]]) -> list[Unit]:
    """The ids as units, each sorted: ids that one of `linked` names are in one unit."""
    above = {group_id: group_id for group_id in ids}  # a forest: each id under one that it is linked with

    def top(group_id: str) -> str:
        while above[group_id] != group_id:
            above[group_id] = group_id = above[above[group_id]]
        return group_id

    for first, *others in linked:
        for other in others:
            above[top(other)] = top(first)
    units: dict[str, list[str]] = {}
    for group_id in above:
        units.setdefault(top(group_id), []).append(group_id)
    return [tuple(sorted(unit)) for unit in units.values()]


def links(ids: Iterable[str], twins: Sequence[Sequence[str]]) -> tuple[Sequence[Sequence[str]], list[str]]:
    """The ids that must be on one side, twin set by twin set. None, and a warning, where that would leave one side."""
    if not twins or len(join_ids(ids, twins)) > 1:
        return twins, []
    return [], [
        "every group has the same lines as another, directly or over others: twins cannot be kept on one side, so val "
        "has lines that train has, and figures on it are too good"
    ]


def share_warnings(train: Iterable[GroupKey], val: Iterable[GroupKey], fraction: float) -> Iterator[str]:
    """A warning for each mission and label that is off its share by more than five groups and a fifth of the share."""
    here, there = (Counter((key.mission, key.label) for key in keys) for keys in (train, val))
    for mission, label in sorted(here | there, key=str):
        size = here[mission, label] + there[mission, label]
        wanted, found = _wanted(size, fraction), there[mission, label]
        if abs(found - wanted) > max(FEW, wanted / 5):
            yield (
                f"{mission}: {found} of {size} groups with the label {label} are in val, where --val-fraction asks for "
                f"{wanted}: too many groups have the same lines as others, which are kept on one side"
            )


def _choose(order: list[Unit], strata: Mapping[str, Counter[Stratum]], fraction: float) -> list[Unit]:
    sizes = sum(strata.values(), Counter[Stratum]())
    shares = {stratum: Fraction(_wanted(size, fraction), size) for stratum, size in sizes.items()}
    visited, taken = Counter[Stratum](), Counter[Stratum]()
    chosen: list[Unit] = []
    for unit in order:
        groups = sum((strata[group_id] for group_id in unit), Counter[Stratum]())
        visited.update(groups)
        gains = (
            count * (shares[stratum] * visited[stratum] - taken[stratum] - Fraction(count, 2))
            for stratum, count in groups.items()
        )
        if sum(gains) > 0:  # the squared distances from the shares shrink
            taken.update(groups)
            chosen.append(unit)
    return chosen


def _wanted(size: int, fraction: float) -> int:
    """A stratum's number of groups in validation: where it has two or more, at least one on each side."""
    return min(max(round(size * fraction), 1), size - 1)


def _draw(seed: int, group_id: str) -> bytes:
    return sha256(f"{seed} {group_id}".encode(errors="backslashreplace")).digest()
