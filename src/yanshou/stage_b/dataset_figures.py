"""What a dataset holds, or one of its missions, in figures."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple, Self

from yanshou.missions import Rule
from yanshou.missions.rules import decide
from yanshou.schema.records import Label, Record
from yanshou.schema.summary import IRRELEVANT, Summary, parse, word_problems
from yanshou.stage_b.contradictions import Contradiction, find_contradictions
from yanshou.stage_b.examples import Example
from yanshou.stage_b.shortcut import Shortcut, find_shortcut
from yanshou.stage_b.sides import Sides
from yanshou.stage_b.twins import TwinFigures, TwinSet, find_twins, twin_figures

LABELS: tuple[Label, ...] = ("pass", "fail")
LabelCounts = dict[Label, int]


class Pitfalls(NamedTuple):
    """What makes groups hard to learn from, or too easy."""

    contradictions: list[Contradiction]
    twins: list[TwinSet]
    against_rule: int | None  # groups whose label the mission's rule contradicts; None: the rules are not known
    shortcut: Shortcut | None  # of one mission

    @classmethod
    def of_mission(cls, examples: Sequence[Example], rule: Rule | None) -> Self:
        return cls(
            find_contradictions(examples),
            find_twins((example.labelled_key, example.summaries) for example in examples),
            sum(_contradicts(rule, example) for example in examples) if rule else None,
            find_shortcut(((example.label, example.summaries) for example in examples), rule),
        )

    @classmethod
    def of_all(cls, missions: Sequence["Pitfalls"]) -> Self:
        return cls(
            list(chain.from_iterable(part.contradictions for part in missions)),
            list(chain.from_iterable(part.twins for part in missions)),
            _total(part.against_rule for part in missions),
            None,
        )


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


def dataset_figures(sides: Sides, pitfalls: Pitfalls) -> DatasetFigures:
    """The figures of these groups, of which there is at least one."""
    examples, contradictions, against = sides.all, pitfalls.contradictions, pitfalls.against_rule
    summaries = [parse(line) for example in examples for line in example.summaries]
    irrelevant = sum(map(_irrelevant, summaries))
    entries = [entry for summary in summaries for entry in summary.entries]
    unknown = sum(any(word_problems(entry)) for entry in entries)
    return DatasetFigures(
        groups=len(examples),
        photos=len(summaries),
        train=_labels(sides.train),
        val=_labels(sides.val),
        prompt_tokens=_tokens(sorted(example.tokens for example in examples)),
        irrelevant_photos=irrelevant,
        irrelevant_share=irrelevant / len(summaries),
        entries=len(entries),
        unknown_entries=unknown,
        unknown_share=unknown / len(entries),
        contradictions=len(contradictions),
        contradicting_groups=sum(found.groups for found in contradictions),
        best_accuracy=1 - sum(found.wrong for found in contradictions) / len(examples),
        against_rule=against,
        against_rule_share=None if against is None else against / len(examples),
        twins=twin_figures(pitfalls.twins),
        shortcut=pitfalls.shortcut,
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
