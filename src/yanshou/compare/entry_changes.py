"""What changed between two summary lines of one photo.

    a   螺丝/BBU安装螺丝,符合要求×2，电线/捆扎整齐×1
    b   螺丝、光纤插头/BBU安装螺丝,符合要求×1，光纤/有保护措施×1

    lost     螺丝、光纤插头/BBU安装螺丝,符合要求×1   电线/捆扎整齐×1
    gained   光纤/有保护措施×1

Entries are compared in their canonical spelling, notes included, as multisets: ×1 in place of ×2 loses one. An entry
without ×N counts once, one with ×0 not at all. Lines with other texts and the same entries differ in spelling or order
alone. A difference above ×100 counts as 100, as in a score: a repetition loop would outweigh a thousand photos.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from yanshou.evaluate.summaries import OTHER
from yanshou.schema.summary import COUNT_LIMIT, VOCABULARY, Entry, parse

Entries = Mapping[tuple[str, str], int]  # (类别, canonical entry without its count) → number


@dataclass(frozen=True, slots=True)
class EntryChanges:
    """The entries that only one of two lines has."""

    lost: Entries  # in A and not in B
    gained: Entries

    @classmethod
    def between(cls, a: str, b: str) -> "EntryChanges":
        before, after = entries_of(a), entries_of(b)
        return cls(_more(before, after), _more(after, before))

    @property
    def number(self) -> int:
        """Entries lost and gained, counted with their ×N."""
        return sum(self.lost.values()) + sum(self.gained.values())

    @property
    def categories(self) -> list[str]:
        return list(dict.fromkeys(category for category, _ in (*self.lost, *self.gained)))


NO_CHANGES = EntryChanges({}, {})


@lru_cache(maxsize=16_384)  # many photos of a run have the same line
def entries_of(line: str) -> Entries:
    """The line's entries, counted."""
    counts: Counter[tuple[str, str]] = Counter()
    for entry in parse(line).canonical().entries:
        counts[entry_key(entry)] += 1 if entry.count is None else entry.count
    return counts


def entry_key(canonical: Entry) -> tuple[str, str]:
    """类别 and text of an entry, without its count."""
    return category_of(canonical), str(replace(canonical, count=None))


def category_of(canonical: Entry) -> str:
    """The entry's 类别, 其他 for one outside the vocabulary."""
    return canonical.category if canonical.category in VOCABULARY else OTHER


def as_texts(entries: Entries) -> list[str]:
    """The entries as a line writes them: `电线/捆扎整齐×2`."""
    return [f"{text}×{number}" for (_, text), number in entries.items()]


def marked(line: str, changed: Entries) -> list[tuple[str, bool]]:
    """The line in pieces, entry by entry, with their commas; True for the pieces of a changed entry."""
    entries = parse(line).entries
    if "，".join(map(str, entries)) != line:  # the older notation, which an entry would not show as it is written
        return [(line, bool(changed))]
    last = len(entries) - 1
    return [
        (str(entry) + ("，" if number < last else ""), entry_key(entry.canonical()) in changed)
        for number, entry in enumerate(entries)
    ]


def _more(one: Entries, other: Entries) -> Entries:
    """What `one` has more of."""
    return {key: min(more, COUNT_LIMIT) for key, number in one.items() if (more := number - other.get(key, 0)) > 0}
