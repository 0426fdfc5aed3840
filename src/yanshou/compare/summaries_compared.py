"""Two Stage-A files: which lines changed, which entries that costs, and which decisions of the rules turn.

Photos are matched by their number. A photo that only one file has is listed and is in no share. Where a number has
photos of two names, the lines are compared all the same, and the photos are counted: they may be two photos.
The rules decide about groups with a changed photo; all other groups keep their decision.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal, Self

from yanshou.compare.entry_changes import NO_CHANGES, Entries, EntryChanges, as_texts, entries_of
from yanshou.evaluate.summaries import ordered_categories
from yanshou.missions import Missions
from yanshou.missions.rules import decide
from yanshou.schema.records import GroupKey, Label, StageARecord
from yanshou.schema.summary import COUNT_LIMIT, parse

Change = Literal["entries", "spelling", "only in A", "only in B"]


@dataclass(frozen=True, slots=True)
class Summaries:
    """What is kept of a Stage-A line."""

    key: GroupKey
    images: tuple[str, ...]
    lines: tuple[str, ...]

    @classmethod
    def of(cls, record: StageARecord) -> Self:
        return cls(record.key, tuple(record.images), tuple(record.per_image.values()))


@dataclass(frozen=True, slots=True)
class PhotoChange:
    """One photo whose lines differ. A line of changes.jsonl."""

    key: GroupKey
    photo: int  # from 1
    path: str  # in A; in B for a photo that only B has
    path_b: str | None  # where it differs from A's
    a: str | None
    b: str | None
    number: int  # of entries lost and gained
    rules: tuple[Label | None, Label | None]  # of the whole group, in A and in B; None: the mission has no rule

    @property
    def entries(self) -> EntryChanges:
        """Computed where it is asked for: a run may have 100,000 changes. Empty for a photo that one file lacks."""
        return NO_CHANGES if self.a is None or self.b is None else EntryChanges.between(self.a, self.b)

    @property
    def change(self) -> Change:
        if self.a is None or self.b is None:
            return "only in B" if self.a is None else "only in A"
        return "entries" if self.number else "spelling"

    @property
    def turned(self) -> bool:
        """Whether the rules decide otherwise about the group."""
        return self.rules[0] != self.rules[1]

    @property
    def renamed(self) -> bool:
        """Whether B has a photo of another name under this number."""
        return self.path_b is not None and PurePath(self.path).name != PurePath(self.path_b).name

    def to_dict(self) -> dict[str, Any]:
        entries = self.entries
        return {
            "mission": self.key.mission, "group_id": self.key.group_id, "label": self.key.label,
            "photo": self.photo, "path": self.path, "path_b": self.path_b, "change": self.change,
            "a": self.a, "b": self.b,
            "entries_lost": as_texts(entries.lost), "entries_gained": as_texts(entries.gained),
            "rules_a": self.rules[0], "rules_b": self.rules[1],
        }  # fmt: skip


@dataclass(slots=True)
class CategoryFigures:
    """Entries of one 类别, counted with their ×N, over the photos that both files have."""

    a: int = 0
    b: int = 0
    lost: int = 0
    gained: int = 0

    def add(self, other: "CategoryFigures") -> None:
        self.a, self.b = self.a + other.a, self.b + other.b
        self.lost, self.gained = self.lost + other.lost, self.gained + other.gained

    def to_dict(self) -> dict[str, int]:
        return {"in_a": self.a, "in_b": self.b, "lost": self.lost, "gained": self.gained}


@dataclass(slots=True)
class SummaryFigures:
    """The figures of one mission, or of all missions together."""

    groups: int = 0  # in both files
    only_a: int = 0
    only_b: int = 0
    photos: int = 0  # in both files: identical + spelling + changed
    identical: int = 0  # character by character
    spelling: int = 0  # the same entries in another spelling or order
    changed: int = 0
    photos_only_a: int = 0  # in groups that both files have
    photos_only_b: int = 0
    renamed: int = 0  # of `photos`: another name under the same number
    to_pass: int = 0  # groups that the rules fail in A and pass in B
    to_fail: int = 0
    categories: dict[str, CategoryFigures] = field(default_factory=dict)

    @property
    def identical_share(self) -> float | None:
        return self.identical / self.photos if self.photos else None

    def add_photo(self, a: str, b: str) -> int:
        """Counts a photo that both files have; returns the number of entries lost and gained."""
        in_a = entries_of(a)
        in_b = in_a if a == b else entries_of(b)
        changes = NO_CHANGES if a == b else EntryChanges.of(in_a, in_b)
        self.photos += 1
        self.identical += a == b
        self.spelling += a != b and not changes.number
        self.changed += changes.number > 0
        self._add_entries(in_a, in_b, changes)
        return changes.number

    def _add_entries(self, in_a: Entries, in_b: Entries, changes: EntryChanges) -> None:
        for (category, _), number in in_a.items():
            self._of(category).a += min(number, COUNT_LIMIT)
        for (category, _), number in in_b.items():
            self._of(category).b += min(number, COUNT_LIMIT)
        for (category, _), number in changes.lost.items():
            self._of(category).lost += number
        for (category, _), number in changes.gained.items():
            self._of(category).gained += number

    def add(self, other: "SummaryFigures") -> None:
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for category, figures in other.categories.items():
            self._of(category).add(figures)

    def _of(self, category: str) -> CategoryFigures:
        if category not in self.categories:
            self.categories[category] = CategoryFigures()
        return self.categories[category]

    def to_dict(self) -> dict[str, Any]:
        return {
            "groups": self.groups, "groups_only_in_a": self.only_a, "groups_only_in_b": self.only_b,
            "photos": self.photos, "photos_only_in_a": self.photos_only_a, "photos_only_in_b": self.photos_only_b,
            "photos_with_another_name": self.renamed,
            "identical": self.identical, "identical_share": self.identical_share,
            "other_spelling": self.spelling, "changed": self.changed,
            "rules": {"fail_to_pass": self.to_pass, "pass_to_fail": self.to_fail},
            "categories": {name: self.categories[name].to_dict() for name in ordered_categories(self.categories)},
        }  # fmt: skip


COUNTED = (
    "groups", "only_a", "only_b", "photos", "identical", "spelling", "changed", "photos_only_a", "photos_only_b",
    "renamed", "to_pass", "to_fail",
)  # fmt: skip


@dataclass(slots=True)
class SummaryComparison:
    """Two Stage-A files, compared. `add` takes one group after the other."""

    known: Missions
    missions: dict[str, SummaryFigures] = field(default_factory=dict)
    changes: list[PhotoChange] = field(default_factory=list)
    only_a: list[GroupKey] = field(default_factory=list)
    only_b: list[GroupKey] = field(default_factory=list)
    renamed: list[GroupKey] = field(default_factory=list)  # groups with a photo of another name
    other_photos: list[GroupKey] = field(default_factory=list)  # groups with more photos in one file
    without_rule: dict[str, int] = field(default_factory=dict)  # unknown missions → groups with a changed photo

    @property
    def overall(self) -> SummaryFigures:
        total = SummaryFigures()
        for figures in self.missions.values():
            total.add(figures)
        return total

    def add(self, a: Summaries | None, b: Summaries | None) -> None:
        one = a or b
        assert one
        figures = self.missions.setdefault(one.key.mission, SummaryFigures())
        if a and b:
            figures.groups += 1
            self._add_pair(a, b, figures)
        elif a:
            figures.only_a += 1
            self.only_a.append(a.key)
        else:
            figures.only_b += 1
            self.only_b.append(one.key)

    def worst_first(self) -> list[PhotoChange]:
        """Photos of groups whose decision by the rules turns, then those with the most entries changed."""
        return sorted(self.changes, key=lambda change: (not change.turned, -change.number))

    def _add_pair(self, a: Summaries, b: Summaries, figures: SummaryFigures) -> None:
        self._count_photos(a, b, figures)
        numbers = [figures.add_photo(*lines) for lines in zip(a.lines, b.lines, strict=False)]
        if a.lines == b.lines:
            return
        if a.key.mission not in self.known:
            self.without_rule[a.key.mission] = self.without_rule.get(a.key.mission, 0) + 1
        rules = self._decided(a), self._decided(b)
        figures.to_pass += rules == ("fail", "pass")
        figures.to_fail += rules == ("pass", "fail")
        self.changes += _changes(a, b, numbers, rules)

    def _count_photos(self, a: Summaries, b: Summaries, figures: SummaryFigures) -> None:
        more = len(a.lines) - len(b.lines)
        figures.photos_only_a += max(more, 0)
        figures.photos_only_b += max(-more, 0)
        if more:
            self.other_photos.append(a.key)
        if a.images != b.images:
            names = [_names(side.images) for side in (a, b)]
            if renamed := sum(one != other for one, other in zip(*names, strict=False)):
                figures.renamed += renamed
                self.renamed.append(a.key)

    def _decided(self, group: Summaries) -> Label | None:
        """The rules' decision; None for a mission without rules."""
        mission = group.key.mission
        if mission not in self.known:
            return None
        return "pass" if decide(self.known.get(mission).rule, map(parse, group.lines)).passed else "fail"


def _names(images: Sequence[str]) -> list[str]:
    return [PurePath(image).name for image in images]


def _changes(
    a: Summaries, b: Summaries, numbers: Sequence[int], rules: tuple[Label | None, Label | None]
) -> Iterator[PhotoChange]:
    """The photos of a group whose lines differ, and those that only one file has.

    `numbers`: of entries lost and gained, of each photo that both files have.
    """
    for index in range(max(len(a.lines), len(b.lines))):
        line_a, line_b = _at(a.lines, index), _at(b.lines, index)
        if line_a == line_b:
            continue
        path, path_b = _at(a.images, index), _at(b.images, index)
        both = line_a is not None and line_b is not None
        yield PhotoChange(
            key=a.key,
            photo=index + 1,
            path=path or path_b or "",
            path_b=path_b if both and path_b != path else None,
            a=line_a,
            b=line_b,
            number=numbers[index] if both else 0,
            rules=rules,
        )


def _at(values: Sequence[str], index: int) -> str | None:
    return values[index] if index < len(values) else None
