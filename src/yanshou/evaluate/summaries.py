"""How near summaries are to reference summaries: identical lines, and precision, recall and F1 of entries.

A reference line (truth.jsonl, one line a group):

    {"group_id": "QC-20241022-0015063", "mission": "BBU接地线检查", "label": "pass",
     "per_image": {"图片_1": "电线/捆扎整齐×2，标签/5G-BBU-接地线×1", "图片_2": "无关图片×1"}}

What is compared with what:

- A group is found by mission, label and group id, a photo by its 图片_i. Every group of the truth counts: where it is
  not written, its lines are not identical and its entries are missed. A photo that only one side has counts as wrong
  likewise. Written groups that the truth lacks are listed and left out.
- A line is identical if it is the same text. Entries are compared in their canonical spelling, notes included, and
  photo by photo as multisets: ×3 against ×2 is two right and one too many. No ×N counts as one. More than ×100 counts
  as 100: a model caught in a loop has written ×17953, which would outweigh a thousand photos.
- Entries whose category is not in the vocabulary stand under 其他. Written entries that leave the vocabulary or count
  what cannot be are counted besides; `yanshou.schema.summary.problems` names them.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from yanshou.errors import InputError
from yanshou.missions import Missions
from yanshou.schema.records import GroupKey, StageARecord, TruthRecord
from yanshou.schema.summary import COUNT_LIMIT, VOCABULARY, count_problems, parse, word_problems
from yanshou.storage.read_groups import SUMMARIZE_AGAIN, read_groups

OTHER = "其他"
NAMED = 5  # groups that are named in warnings

Summaries = Mapping[str, str]  # 图片_i → summary line
EntryCounts = Counter[tuple[str, str]]  # (category, canonical entry without its count) → how many


@dataclass(slots=True)
class Tally:
    """Entries counted with their multiplicity. A share of nothing is None."""

    right: int = 0  # in both
    written: int = 0
    true: int = 0

    @property
    def precision(self) -> float | None:
        return _share(self.right, self.written)

    @property
    def recall(self) -> float | None:
        return _share(self.right, self.true)

    @property
    def f1(self) -> float | None:
        return _share(2 * self.right, self.written + self.true)

    def add(self, other: "Tally") -> None:
        self.right += other.right
        self.written += other.written
        self.true += other.true

    def to_dict(self) -> dict[str, Any]:
        counts = {"right": self.right, "written": self.written, "true": self.true}
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1, **counts}


@dataclass(slots=True)
class SummaryFigures:
    """The figures of one mission, or of all."""

    groups: int = 0  # in the truth
    unwritten: int = 0  # of these groups
    photos: int = 0
    identical: int = 0  # photos whose line is the reference's, character by character
    unknown: int = 0  # written entries with words outside the vocabulary; ×N is one entry here
    odd_counts: int = 0  # written entries with no count, ×0 or more than ×100
    categories: dict[str, Tally] = field(default_factory=dict)  # 类别 → its entries

    @property
    def identical_share(self) -> float | None:
        return _share(self.identical, self.photos)

    @property
    def entries(self) -> Tally:
        total = Tally()
        for tally in self.categories.values():
            total.add(tally)
        return total

    def add_group(self, truth: Summaries, written: Summaries | None) -> None:
        self.groups += 1
        self.unwritten += written is None
        for photo in {**truth, **(written or {})}:
            self.add_photo(truth.get(photo), (written or {}).get(photo))

    def add_photo(self, truth: str | None, written: str | None) -> None:
        self.photos += 1
        self.identical += truth == written
        entries = parse(written or "").entries
        self.unknown += sum(any(word_problems(entry)) for entry in entries)
        self.odd_counts += sum(any(count_problems(entry)) for entry in entries)
        true_entries, written_entries = count_entries(truth or ""), count_entries(written or "")
        for category, entry in true_entries | written_entries:
            true, wrote = true_entries[category, entry], written_entries[category, entry]
            self.categories.setdefault(category, Tally()).add(Tally(min(true, wrote), wrote, true))

    def add(self, other: "SummaryFigures") -> None:
        self.groups += other.groups
        self.unwritten += other.unwritten
        self.photos += other.photos
        self.identical += other.identical
        self.unknown += other.unknown
        self.odd_counts += other.odd_counts
        for category, tally in other.categories.items():
            self.categories.setdefault(category, Tally()).add(tally)

    def to_dict(self) -> dict[str, Any]:
        return {
            "groups": self.groups,
            "groups_not_written": self.unwritten,
            "photos": self.photos,
            "identical": self.identical,
            "identical_share": self.identical_share,
            "unknown_entries": self.unknown,
            "odd_counts": self.odd_counts,
            "entries": self.entries.to_dict(),
            "categories": {name: self.categories[name].to_dict() for name in ordered_categories(self.categories)},
        }


@dataclass(frozen=True, slots=True)
class Score:
    """What `yanshou score` tells."""

    overall: SummaryFigures
    missions: Mapping[str, SummaryFigures]  # in the order of the truth file
    not_in_truth: tuple[GroupKey, ...]  # written, but nothing to compare with

    @property
    def warnings(self) -> list[str]:
        warnings = [f"group {key} is not in the truth: left out" for key in self.not_in_truth[:NAMED]]
        if (more := len(self.not_in_truth) - NAMED) > 0:
            warnings.append(f"{more} more groups are not in the truth: left out. --json names all of them")
        return warnings

    def to_dict(self) -> dict[str, Any]:
        """For --json: shares between 0 and 1, null where there is nothing to share."""
        return {
            "overall": self.overall.to_dict(),
            "missions": {name: part.to_dict() for name, part in self.missions.items()},
            "not_in_truth": [key._asdict() for key in self.not_in_truth],
        }


def score(truth: Path, stage_a: Sequence[Path], known: Missions, missions: Container[str] | None = None) -> Score:
    """Compares files. `missions`, by their own names, limits what counts; None counts all of the truth."""
    expected = _read([truth], TruthRecord, known, missions, "Correct the file.")
    if not expected:
        limit = "" if missions is None else " of the missions asked for"
        raise InputError(f"{truth}: no group{limit} to compare with. Check the file and --mission.")
    return compare(expected, _read(stage_a, StageARecord, known, missions, SUMMARIZE_AGAIN))


def compare(truth: Mapping[GroupKey, Summaries], written: Mapping[GroupKey, Summaries]) -> Score:
    """The figures over all groups of the truth."""
    missions: dict[str, SummaryFigures] = {}
    for key, summaries in truth.items():
        missions.setdefault(key.mission, SummaryFigures()).add_group(summaries, written.get(key))
    overall = SummaryFigures()
    for part in missions.values():
        overall.add(part)
    return Score(overall, missions, tuple(key for key in written if key not in truth))


def count_entries(line: str) -> EntryCounts:
    """The line's entries as a multiset, each count capped at COUNT_LIMIT."""
    counts: EntryCounts = Counter()
    for entry in parse(line).canonical().entries:
        category = entry.category if entry.category in VOCABULARY else OTHER
        number = 1 if entry.count is None else min(entry.count, COUNT_LIMIT)
        counts[category, str(replace(entry, count=None))] += number
    return counts


def _read(
    paths: Iterable[Path],
    record_type: type[TruthRecord] | type[StageARecord],
    known: Missions,
    missions: Container[str] | None,
    advice: str,
) -> dict[GroupKey, Summaries]:
    read = read_groups(paths, record_type, known, advice, any_mission=True)  # comparing lines takes no rule
    return {record.key: record.per_image for _, record in read if missions is None or record.mission in missions}


def ordered_categories(categories: Iterable[str]) -> list[str]:
    order = [*VOCABULARY, OTHER]
    return sorted(categories, key=order.index)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
