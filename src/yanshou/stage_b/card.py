"""The contents of a dataset in figures: `dataset.card.json`.

    {"settings": {"stage_a": […], "val_fraction": 0.1, …},
     "files": {"train.jsonl": {"groups": 2235, "rows": 2235, "sha256": "…"}, …},
     "overall": {"groups": 2484, "photos": 8218, "train": {"pass": …, "fail": …}, "val": …, "best_accuracy": …, …},
     "missions": {"挡风板安装检查": {the same figures}, …},
     (each with "against_rule": 120, "against_rule_share": 0.05,
      "twins": {"sets": 13, "groups": 29, "disagreement": 0.08, "label_noise": {"share": 0.04, …}, …},
      "shortcut": {"feature": "需复核", "auc": 0.9, …})
     "contradictions": [{"mission": …, "summaries": […], "passed": ["QC-…"], "failed": ["QC-…"]}, …],
     "left_out": [{"group_id": …, "mission": …, "label": …, "reason": …}], "warnings": ["…"]}

Contradictions are groups of one mission that have the same summaries, in any order, and different labels. A model that
judges by the summaries gives all of them the same verdict, so it is wrong on the rarer label of each contradiction.
`best_accuracy` is what such a model can reach at best. The figures are about train and val together, without the groups
that were left out.

`against_rule` counts the groups whose label the mission's rule contradicts on these summaries. No reason for such a
label is true, so the reward `grounded` leaves these groups out.

Twins and what their labels say are described in `twins.py`, the shortcut in `shortcut.py`.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from pydantic import Field

from yanshou.missions import Missions, Rule
from yanshou.missions.rules import decide
from yanshou.schema.label_row import LabelsUsed
from yanshou.schema.records import GroupKey, GroupRecord, Label, Record
from yanshou.schema.summary import IRRELEVANT, Summary, parse, word_problems
from yanshou.settings import DatasetSettings
from yanshou.stage_b.examples import Example
from yanshou.stage_b.shortcut import Shortcut, find_shortcut
from yanshou.stage_b.split import share_warnings
from yanshou.stage_b.twins import TwinFigures, TwinSet, find_twins, twin_figures, twin_warnings

DATE = re.compile(r"\d{4}-\d\d-\d\d")
LABELS: tuple[Label, ...] = ("pass", "fail")
LabelCounts = dict[Label, int]


class DataFile(Record):
    """One file of the dataset."""

    groups: int
    rows: int  # more than `groups` where groups are repeated
    sha256: str


class Tokens(Record):
    """Tokens per prompt; each figure is the count of an existing prompt (nearest rank)."""

    median: int
    p95: int
    maximum: int


class DatasetFigures(Record):
    """The figures of one mission, or of all missions."""

    groups: int
    photos: int
    train: LabelCounts
    val: LabelCounts
    prompt_tokens: Tokens
    irrelevant_photos: int  # their whole line is 无关图片
    irrelevant_share: float  # of the photos
    entries: int  # an entry with ×N counts once
    unknown_entries: int  # with words outside the vocabulary
    unknown_share: float  # of the entries
    contradictions: int
    contradicting_groups: int
    best_accuracy: float  # the highest that contradictions allow
    against_rule: int | None  # groups whose label the mission's rule contradicts; null: the rules are not known
    against_rule_share: float | None  # of the groups
    twins: TwinFigures
    shortcut: Shortcut | None  # of one mission; null for all, and where one label is missing

    def labels(self) -> LabelCounts:
        """The groups of each label, train and val together."""
        return {label: self.train[label] + self.val[label] for label in LABELS}


class Contradiction(Record):
    """Groups with the same summaries and different labels."""

    mission: str
    summaries: list[str]  # sorted
    passed: list[str] = Field(min_length=1)  # group ids
    failed: list[str] = Field(min_length=1)

    @property
    def groups(self) -> int:
        return len(self.passed) + len(self.failed)

    @property
    def wrong(self) -> int:
        """The number of these groups that a model gets wrong at least."""
        return min(len(self.passed), len(self.failed))


class LeftOut(GroupRecord):
    """A group that is in neither file, and why."""

    reason: str

    def __str__(self) -> str:
        return f"group {self.key}: {self.reason}"


class Card(Record):
    """The content of `dataset.card.json`."""

    settings: dict[str, Any]
    files: dict[str, DataFile]
    overall: DatasetFigures
    missions: dict[str, DatasetFigures]
    contradictions: list[Contradiction]
    left_out: list[LeftOut]
    labels: LabelsUsed | None  # null: no labels files
    warnings: list[str]


def build_card(
    settings: DatasetSettings,
    train: Sequence[Example],
    val: Sequence[Example],
    files: Mapping[str, DataFile],
    left_out: Sequence[LeftOut],
    warnings: Iterable[str] = (),
    labels: LabelsUsed | None = None,
    missions: Missions | None = None,
) -> Card:
    """The card of a dataset with these two sides, at least one group in each. `warnings`: about what was read.

    `missions`: their rules contradict some labels, and name features that rightly predict the label. None: unknown.
    """
    names = list(dict.fromkeys(example.mission for example in chain(train, val)))
    parts: dict[str, DatasetFigures] = {}
    contradictions: list[Contradiction] = []
    twins: list[TwinSet] = []
    for name in names:
        own_train = [example for example in train if example.mission == name]
        own_val = [example for example in val if example.mission == name]
        own = [*own_train, *own_val]
        found, same = find_contradictions(own), find_twins((example.labelled_key, example.summaries) for example in own)
        rule = missions.get(name).rule if missions else None
        shortcut = find_shortcut(((example.label, example.summaries) for example in own), rule)
        against_rule = sum(_contradicts(rule, example) for example in own) if rule else None
        parts[name] = _figures(own_train, own_val, found, same, shortcut, against_rule)
        contradictions += found
        twins += same
    return Card(
        settings=settings.model_dump(mode="json", exclude={"output_dir"}),  # the same data, the same card
        files=dict(files),
        overall=_figures(train, val, contradictions, twins, None, _total(part.against_rule for part in parts.values())),
        missions=parts,
        contradictions=contradictions,
        left_out=list(left_out),
        labels=labels,
        warnings=[
            *warnings,
            *chain.from_iterable(_warnings(*figures) for figures in parts.items()),
            *share_warnings(
                (example.labelled_key for example in train),
                (example.labelled_key for example in val),
                settings.val_fraction,
            ),
            *_dated([*train, *val]),
            *_omitted(left_out),
        ],
    )


def find_contradictions(examples: Iterable[Example]) -> list[Contradiction]:
    """The contradictions, in the order of their first groups."""
    ids: dict[tuple[str, tuple[str, ...]], dict[Label, list[str]]] = {}
    for example in examples:
        content = (example.mission, tuple(sorted(example.summaries)))
        ids.setdefault(content, {"pass": [], "fail": []})[example.label].append(example.group_id)
    return [
        Contradiction(mission=mission, summaries=list(summaries), passed=labels["pass"], failed=labels["fail"])
        for (mission, summaries), labels in ids.items()
        if labels["pass"] and labels["fail"]
    ]


def _figures(
    train: Sequence[Example],
    val: Sequence[Example],
    contradictions: Sequence[Contradiction],
    twins: Sequence[TwinSet],
    shortcut: Shortcut | None,
    against_rule: int | None,
) -> DatasetFigures:
    examples = [*train, *val]
    summaries = [parse(line) for example in examples for line in example.summaries]
    irrelevant = sum(map(_irrelevant, summaries))
    entries = [entry for summary in summaries for entry in summary.entries]
    unknown = sum(any(word_problems(entry)) for entry in entries)
    return DatasetFigures(
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
        against_rule=against_rule,
        against_rule_share=None if against_rule is None else against_rule / len(examples),
        twins=twin_figures(twins),
        shortcut=shortcut,
    )


def _contradicts(rule: Rule, example: Example) -> bool:
    return decide(rule, map(parse, example.summaries)).passed != (example.label == "pass")


def _total(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


def _irrelevant(summary: Summary) -> bool:
    return [entry.category for entry in summary.canonical().entries] == [IRRELEVANT]


def _labels(examples: Iterable[Example]) -> LabelCounts:
    counts = Counter(example.label for example in examples)
    return {label: counts[label] for label in LABELS}


def _tokens(counts: Sequence[int]) -> Tokens:
    def rank(share: float) -> int:
        return counts[math.ceil(share * len(counts)) - 1]

    return Tokens(median=rank(0.5), p95=rank(0.95), maximum=counts[-1])


def _warnings(mission: str, figures: DatasetFigures) -> Iterable[str]:
    labels = figures.labels()
    for label in LABELS:
        if labels[label] == figures.groups:
            yield (
                f"{mission}: all {figures.groups} groups have the label {label}: nothing can be learned or measured "
                "from one label"
            )
        for name, side in (("train", figures.train), ("val", figures.val)):
            if labels[label] and not side[label]:
                yield f"{mission}: no group with the label {label} in {name}; the mission has too few ({labels[label]})"
    if figures.shortcut and figures.shortcut.suspicious:
        yield figures.shortcut.warning(mission)
    yield from twin_warnings(mission, figures.twins)


def _labelled(example: Example) -> GroupKey:
    return example.labelled_key


def _dated(examples: Sequence[Example]) -> Iterable[str]:
    if all(DATE.match(example.group_id) for example in examples):
        yield (
            "all group ids are dates, which datasets.load_dataset turns into times. To keep them as text, use "
            "Dataset.from_list([json.loads(line) for line in open(…)])"
        )


def _omitted(left_out: Sequence[LeftOut]) -> Iterable[str]:
    if left_out:
        yield f"{len(left_out)} groups are left out; left_out in the card lists them. The first: {left_out[0]}"
