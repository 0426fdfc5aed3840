"""The features of a group: what its summaries hold, as numbers under names.

    ["BBU设备/华为,显示完整×1，螺丝、光纤插头/需复核备注:部分遮挡×1", "无关图片×1"]
    {"BBU设备": 1, "BBU设备/华为": 1, "BBU设备/显示完整": 1, "需复核": 1, "螺丝、光纤插头/需复核": 1, "无关图片": 1,
     "number of photos": 2, "number of characters": 46}

An entry's category and each of its values are present (1) or have no key. Entries are read as the rules read them: in
their canonical spelling, without those of ×0; an entry marked 需复核 is evidence of nothing, so it gives the flag and
`类别/需复核` alone. 备注 is a note of any other entry.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

from yanshou.schema.summary import DOUBT, Entry, parse

NOTE = "备注"
PHOTOS = "number of photos"
CHARACTERS = "number of characters"
NUMBERS = (PHOTOS, CHARACTERS)  # the features that are counts; all others are 1 where they are present


def group_features(summaries: Sequence[str]) -> dict[str, float]:
    """The features of a group. `summaries`: its lines, one per photo."""
    features = dict.fromkeys((name for line in summaries for name in _present(line)), 1.0)
    features[PHOTOS] = len(summaries)  # last: a model may invent an entry of this name
    features[CHARACTERS] = sum(map(len, summaries))
    return features


@lru_cache(maxsize=4096)  # the lines of simple photos are often the same
def _present(line: str) -> tuple[str, ...]:
    return tuple(name for entry in parse(line).canonical().entries if entry.count != 0 for name in _names(entry))


def _names(entry: Entry) -> Iterator[str]:
    if entry.note and not entry.doubtful:
        yield NOTE
    if entry.doubtful:
        yield DOUBT
        if entry.category and DOUBT not in entry.category:
            yield f"{entry.category}/{DOUBT}"
    elif entry.category:
        yield entry.category
        yield from (f"{entry.category}/{value}" for value in chain.from_iterable(entry.levels) if value)
