"""Compares summaries with reference summaries: identical lines, and precision, recall and F1 of entries.

A reference line (truth.jsonl has one line per group):

    {"group_id": "QC-20241022-0015063", "mission": "BBU接地线检查", "label": "pass",
     "per_image": {"图片_1": "电线/捆扎整齐×2，标签/5G-BBU-接地线×1", "图片_2": "无关图片×1"}}

Rules of the comparison:

- Groups are matched by mission, label and group id, photos by their key 图片_i. Every group of the truth counts: if it
  is not written, its lines are not identical and its entries are missed. The same holds for a photo that only one side
  has. Written groups that the truth lacks are reported and left out.
- Lines are identical if their texts are equal. Entries are compared in their canonical spelling, including notes, as
  multisets per photo: ×3 against ×2 is two right and one too many. An entry without ×N counts once. A count above ×100
  counts as 100: a model that repeated itself once wrote ×17953, which would outweigh a thousand photos.
- Entries of a category outside the vocabulary are counted under 其他. Written entries with unknown words or impossible
  counts are also counted separately; `yanshou.schema.summary.problems` names them.
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
MAX_NAMED = 5  # groups that warnings name

Summaries = Mapping[str, str]  # 图片_i → summary line
EntryCounts = Counter[tuple[str, str]]  # (category, canonical entry without its count) → number


@dataclass(slots=True)
class Tally:
    """Numbers of entries, counted with their ×N. A share of no entries is None."""

    right: int = 0  # in both lines
    written: int = 0
    true: int = 0  # in the truth

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
    """The figures of one mission, or of all missions together."""

    groups: int = 0  # groups of the truth
    unwritten: int = 0  # groups of the truth that are not written
    photos: int = 0
    identical: int = 0  # photos whose line equals that of the truth, character by character
    unknown: int = 0  # written entries with words outside the vocabulary; an entry with ×N counts once
    odd_counts: int = 0  # written entries with no count, ×0, or more than ×100
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
    """The result of `yanshou score`."""

    overall: SummaryFigures
    missions: Mapping[str, SummaryFigures]  # in the order of the truth file
    not_in_truth: tuple[GroupKey, ...]  # written groups without a reference

    @property
    def warnings(self) -> list[str]:
        warnings = [f"group {key} is left out: it is not in the truth" for key in self.not_in_truth[:MAX_NAMED]]
        if (more := len(self.not_in_truth) - MAX_NAMED) > 0:
            warnings.append(f"{more} more groups are left out: they are not in the truth. --json names all of them")
        return warnings

    def to_dict(self) -> dict[str, Any]:
        """For --json: shares are between 0 and 1, or null if there is nothing to count."""
        return {
            "overall": self.overall.to_dict(),
            "missions": {name: part.to_dict() for name, part in self.missions.items()},
            "not_in_truth": [key._asdict() for key in self.not_in_truth],
        }


def score(truth: Path, stage_a: Sequence[Path], known: Missions, missions: Container[str] | None = None) -> Score:
    """Compares files. `missions`: the names of the missions to compare; None compares all of the truth."""
    expected = _read([truth], TruthRecord, known, missions, "Correct the file.")
    if not expected:
        limit = "" if missions is None else " of the given missions"
        raise InputError(f"{truth}: no group{limit} to compare with. Check the file and --mission.")
    return compare(expected, _read(stage_a, StageARecord, known, missions, SUMMARIZE_AGAIN))


def compare(truth: Mapping[GroupKey, Summaries], written: Mapping[GroupKey, Summaries]) -> Score:
    """Compares summaries of groups, for all groups of the truth."""
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
    read = read_groups(paths, record_type, known, advice, any_mission=True)  # a comparison needs no rule
    return {record.key: record.per_image for _, record in read if missions is None or record.mission in missions}


def ordered_categories(categories: Iterable[str]) -> list[str]:
    order = [*VOCABULARY, OTHER]
    return sorted(categories, key=order.index)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
