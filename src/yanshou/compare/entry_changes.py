"""What changed between two summary lines of one photo.

    a   螺丝/BBU安装螺丝,符合要求×2，电线/捆扎整齐×1
    b   螺丝、光纤插头/BBU安装螺丝,符合要求×1，光纤/有保护措施×1

    lost     螺丝、光纤插头/BBU安装螺丝,符合要求×1   电线/捆扎整齐×1
    gained   光纤/有保护措施×1

Entries are compared in their canonical spelling, notes included, as multisets: ×1 in place of ×2 loses one. An entry
without ×N counts once, one with ×0 not at all. Lines with other texts and the same entries differ in spelling or order
alone. A difference above ×100 counts as 100, as in a score: a repetition loop would outweigh a thousand photos.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from yanshou.evaluate.summaries import OTHER
from yanshou.schema.summary import COUNT_LIMIT, VOCABULARY, Entry, parse

EntryKey = tuple[str, str]  # 类别, canonical entry without its count
Entries = Mapping[EntryKey, int]

NOTE = "备注"


@dataclass(frozen=True, slots=True)
class EntryChanges:
    """The entries that only one of two lines has."""

    lost: Entries  # in A and not in B
    gained: Entries

    @classmethod
    def between(cls, a: str, b: str) -> "EntryChanges":
        return cls.of(entries_of(a), entries_of(b))

    @classmethod
    def of(cls, before: Entries, after: Entries) -> "EntryChanges":
        return cls(_more(before, after), _more(after, before))

    @property
    def number(self) -> int:
        """Entries lost and gained, counted with their ×N."""
        return sum(self.lost.values()) + sum(self.gained.values())

    @property
    def categories(self) -> list[str]:
        return list(dict.fromkeys(category for category, _ in (*self.lost, *self.gained)))


NO_CHANGES = EntryChanges({}, {})


def entries_of(line: str) -> Entries:
    """The line's entries, counted."""
    pieces = line.split("，")
    if NOTE in line or not all(map(str.strip, pieces)):  # a note may hold `，`, and nothing is an entry between two
        pieces = [line]
    counts: dict[EntryKey, int] = {}
    for piece in pieces:
        for key, number in _counted(piece):
            counts[key] = counts.get(key, 0) + number
    return {key: number for key, number in counts.items() if number}


@lru_cache(maxsize=16_384)  # most entries of a run are among a few hundred different ones
def _counted(piece: str) -> tuple[tuple[EntryKey, int], ...]:
    entries = parse(piece).canonical().entries
    return tuple((entry_key(entry), 1 if entry.count is None else entry.count) for entry in entries)


def entry_key(canonical: Entry) -> EntryKey:
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
