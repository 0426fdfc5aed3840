"""The tables of a comparison, for the terminal and for compare.html: cells as text, in one language."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from yanshou.compare.comparison import Comparison
from yanshou.compare.run_differences import RunDifferences
from yanshou.compare.summaries_compared import SummaryComparison, SummaryFigures
from yanshou.compare.verdicts_compared import VerdictComparison, VerdictFigures
from yanshou.evaluate.summaries import ordered_categories

NONE = "–"  # nothing to count

Texts = Mapping[str, str]
FiguresT = TypeVar("FiguresT")


@dataclass(frozen=True, slots=True)
class FigureTable:
    """One table: names in the first column, figures in the others."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def figure_tables(comparison: Comparison, texts: Texts) -> list[FigureTable]:
    found = comparison.found
    if isinstance(found, SummaryComparison):
        return [_lines(found, texts), _categories(found.overall, texts)]
    tables = [_flips(found, texts)]
    if found.overall.labelled:
        tables.append(_against_labels(found, texts))
    if found.overall.shifts:
        tables.append(_shifts(found, comparison.runs, texts))
    return tables


def _lines(found: SummaryComparison, texts: Texts) -> FigureTable:
    names = (
        "photos", "identical", "changed", "spelling", "rules_to_pass", "rules_to_fail", "groups", "only_a", "only_b",
    )  # fmt: skip
    rows = (
        (
            name, *_counts(part.photos), _with_share(part.identical, part.photos),
            *_counts(part.changed, part.spelling, part.to_pass, part.to_fail, part.groups, part.only_a, part.only_b),
        )
        for name, part in _parts(found.missions, found.overall, texts)
    )  # fmt: skip
    return FigureTable(_head("mission", names, texts), tuple(rows))


def _categories(figures: SummaryFigures, texts: Texts) -> FigureTable:
    names = ordered_categories(figures.categories)
    rows = (
        (name, *_counts(one.a, one.b, one.lost, one.gained))
        for name, one in ((name, figures.categories[name]) for name in names)
    )
    head = _head("category", ("in_a", "in_b", "lost", "gained"), texts)
    return FigureTable(head, tuple(rows), texts["entries_note"])


def _flips(found: VerdictComparison, texts: Texts) -> FigureTable:
    names = ("groups", "same", "to_pass", "to_fail", "only_a", "only_b")
    rows = (
        (
            name, *_counts(part.groups), _with_share(part.same, part.groups),
            *_counts(part.flips("pass"), part.flips("fail"), part.only_a, part.only_b),
        )
        for name, part in _parts(found.missions, found.overall, texts)
    )  # fmt: skip
    return FigureTable(_head("mission", names, texts), tuple(rows))


def _against_labels(found: VerdictComparison, texts: Texts) -> FigureTable:
    names = (
        "fails_to_pass", "fails_to_fail", "passes_to_fail", "passes_to_pass", "only_a_right", "only_b_right", "mcnemar",
    )  # fmt: skip
    rows = (
        (
            name,
            *_counts(part.flips("pass", "fail"), part.flips("fail", "fail")),
            *_counts(part.flips("fail", "pass"), part.flips("pass", "pass")),
            *_counts(part.only_a_right, part.only_b_right),
            NONE if part.mcnemar is None else f"{part.mcnemar:.3g}",
        )
        for name, part in _parts(found.missions, found.overall, texts)
    )
    return FigureTable(_head("mission", names, texts), tuple(rows), texts["mcnemar_note"])


def _shifts(found: VerdictComparison, runs: RunDifferences, texts: Texts) -> FigureTable:
    names = ("p_groups", "mean", "q5", "q25", "median", "q75", "q95", "cross_a", "cross_b")
    rows = (
        (name, str(len(part.shifts)), *_shift_cells(part), *_crossings(part, runs))
        for name, part in _parts(found.missions, found.overall, texts)
    )
    return FigureTable(_head("mission", names, texts), tuple(rows), texts["shift_note"])


def _shift_cells(part: VerdictFigures) -> list[str]:
    quantiles = part.quantiles()
    if quantiles is None:
        return [NONE] * 6
    return [f"{value:+.4f}" for value in (sum(part.shifts) / len(part.shifts), *quantiles)]


def _crossings(part: VerdictFigures, runs: RunDifferences) -> Iterator[str]:
    for threshold in runs.thresholds:
        crossing = part.crossing(threshold)
        yield NONE if crossing is None else _with_share(crossing, len(part.shifts))


def _parts(missions: Mapping[str, FiguresT], overall: FiguresT, texts: Texts) -> list[tuple[str, FiguresT]]:
    """Each mission, and all of them together where there are several."""
    return [*missions.items(), (texts["all"], overall)] if len(missions) > 1 else list(missions.items())


def _head(first: str, others: Sequence[str], texts: Texts) -> tuple[str, ...]:
    return tuple(texts[name] for name in (first, *others))


def _counts(*numbers: int) -> list[str]:
    return [f"{number:,}" for number in numbers]


def _with_share(count: int, of: int) -> str:
    """1,204 (98.3%)"""
    return f"{count:,} ({count / of:.1%})" if of else NONE
