"""What a dataset holds, as `dataset.card.json`.

    {"settings": {"stage_a": […], "val_fraction": 0.1, …},
     "files": {"train.jsonl": {"groups": 2235, "rows": 2235, "sha256": "…"}, …},
     "overall": {"groups": 2484, "photos": 8218, "train": {"pass": …, "fail": …}, "val": …, "best_accuracy": …, …},
     "missions": {"挡风板安装检查": {the same figures}, …},
     "contradictions": [{"mission": …, "summaries": […], "passed": ["QC-…"], "failed": ["QC-…"]}, …],
     "left_out": [{"group_id": …, "mission": …, "label": …, "reason": …}], "warnings": ["…"]}

Contradictions are groups of one mission with the same summaries, text by text and in any order, and different labels.
A model that judges by the summaries answers all of them alike, so it is wrong on the rarer label of each: what is left
is `best_accuracy`, which no model can pass. The figures cover train and val together, not what was left out.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from pydantic import Field

from yanshou.schema.records import GroupRecord, Label, Record
from yanshou.schema.summary import IRRELEVANT, Summary, parse, word_problems
from yanshou.settings import DatasetSettings
from yanshou.stage_b.examples import Example

DATE = re.compile(r"\d{4}-\d\d-\d\d")
LABELS: tuple[Label, ...] = ("pass", "fail")
LabelCounts = dict[Label, int]


class DataFile(Record):
    """One file of the dataset."""

    groups: int
    rows: int  # more than groups where some stand there several times
    sha256: str


class Tokens(Record):
    """Tokens of a prompt; each figure is the count of some prompt (nearest rank)."""

    median: int
    p95: int
    maximum: int


class Part(Record):
    """The figures of one mission, or of all."""

    groups: int
    photos: int
    train: LabelCounts
    val: LabelCounts
    prompt_tokens: Tokens
    irrelevant_photos: int  # whose whole line is 无关图片
    irrelevant_share: float  # of the photos
    entries: int  # ×N is one entry here
    unknown_entries: int  # with words outside the vocabulary
    unknown_share: float  # of the entries
    contradictions: int
    contradicting_groups: int
    best_accuracy: float  # contradictions leave no model more

    def labels(self) -> LabelCounts:
        return {label: self.train[label] + self.val[label] for label in LABELS}


class Contradiction(Record):
    """Groups that say the same and were judged differently."""

    mission: str
    summaries: list[str]  # sorted
    passed: list[str] = Field(min_length=1)  # group ids
    failed: list[str] = Field(min_length=1)

    @property
    def groups(self) -> int:
        return len(self.passed) + len(self.failed)

    @property
    def wrong(self) -> int:
        """How many of them any model gets wrong."""
        return min(len(self.passed), len(self.failed))


class LeftOut(GroupRecord):
    """A group that is in neither file."""

    reason: str

    def __str__(self) -> str:
        return f"group {self.key}: {self.reason}"


class Card(Record):
    """All that `yanshou dataset` tells."""

    settings: dict[str, Any]
    files: dict[str, DataFile]
    overall: Part
    missions: dict[str, Part]
    contradictions: list[Contradiction]
    left_out: list[LeftOut]
    warnings: list[str]


def draw_card(
    settings: DatasetSettings,
    train: Sequence[Example],
    val: Sequence[Example],
    files: Mapping[str, DataFile],
    left_out: Sequence[LeftOut],
) -> Card:
    """The card of a dataset with these two sides, at least one group in each."""
    names = list(dict.fromkeys(example.mission for example in chain(train, val)))
    parts: dict[str, Part] = {}
    contradictions: list[Contradiction] = []
    for name in names:
        own_train = [example for example in train if example.mission == name]
        own_val = [example for example in val if example.mission == name]
        found = find_contradictions([*own_train, *own_val])
        parts[name] = _part(own_train, own_val, found)
        contradictions += found
    return Card(
        settings=settings.model_dump(mode="json", exclude={"output_dir"}),  # the same dataset elsewhere, the same card
        files=dict(files),
        overall=_part(train, val, contradictions),
        missions=parts,
        contradictions=contradictions,
        left_out=list(left_out),
        warnings=[
            *chain.from_iterable(_warnings(*part) for part in parts.items()),
            *_dated([*train, *val]),
            *_omitted(left_out),
        ],
    )


def find_contradictions(examples: Iterable[Example]) -> list[Contradiction]:
    """What the examples say with both labels, in the order of their first groups."""
    ids: dict[tuple[str, tuple[str, ...]], dict[Label, list[str]]] = {}
    for example in examples:
        said = (example.mission, tuple(sorted(example.summaries)))
        ids.setdefault(said, {"pass": [], "fail": []})[example.label].append(example.group_id)
    return [
        Contradiction(mission=mission, summaries=list(summaries), passed=labels["pass"], failed=labels["fail"])
        for (mission, summaries), labels in ids.items()
        if labels["pass"] and labels["fail"]
    ]


def _part(train: Sequence[Example], val: Sequence[Example], contradictions: Sequence[Contradiction]) -> Part:
    examples = [*train, *val]
    summaries = [parse(line) for example in examples for line in example.summaries]
    irrelevant = sum(map(_irrelevant, summaries))
    entries = [entry for summary in summaries for entry in summary.entries]
    unknown = sum(any(word_problems(entry)) for entry in entries)
    return Part(
        groups=len(examples),
        photos=len(summaries),
        train=_labels(train),
        val=_labels(val),
        prompt_tokens=_tokens(sorted(example.tokens for example in examples)),
        irrelevant_photos=irrelevant,
        irrelevant_share=irrelevant / len(summaries),
        entries=len(entries),
        unknown_entries=unknown,
        unknown_share=unknown / len(entries),
        contradictions=len(contradictions),
        contradicting_groups=sum(found.groups for found in contradictions),
        best_accuracy=1 - sum(found.wrong for found in contradictions) / len(examples),
    )


def _irrelevant(summary: Summary) -> bool:
    return [entry.category for entry in summary.canonical().entries] == [IRRELEVANT]


def _labels(examples: Iterable[Example]) -> LabelCounts:
    counts = Counter(example.label for example in examples)
    return {label: counts[label] for label in LABELS}


def _tokens(counts: Sequence[int]) -> Tokens:
    def rank(share: float) -> int:
        return counts[math.ceil(share * len(counts)) - 1]

    return Tokens(median=rank(0.5), p95=rank(0.95), maximum=counts[-1])


def _warnings(mission: str, part: Part) -> Iterable[str]:
    labels = part.labels()
    for label in LABELS:
        if labels[label] == part.groups:
            yield f"{mission}: all {part.groups} groups have the label {label}; one label teaches and measures nothing"
        for name, side in (("train", part.train), ("val", part.val)):
            if labels[label] and not side[label]:
                yield f"{mission}: no group with the label {label} in {name}, there are too few ({labels[label]})"


def _dated(examples: Sequence[Example]) -> Iterable[str]:
    if all(DATE.match(example.group_id) for example in examples):
        yield (
            "all group ids are dates: datasets.load_dataset takes them for times. Use "
            "Dataset.from_list([json.loads(line) for line in open(…)]) where they matter"
        )


def _omitted(left_out: Sequence[LeftOut]) -> Iterable[str]:
    if left_out:
        yield f"{len(left_out)} groups are left out, see left_out in the card. The first: {left_out[0]}"
