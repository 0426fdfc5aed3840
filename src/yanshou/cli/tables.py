"""The tables of figures: a comparison of summaries, an evaluation, a dataset. `run_table.py` has the table of a run."""

from collections.abc import Iterable

from rich.table import Column, Table
from rich.text import Text

from yanshou.cli.run_table import NONE, figure_table, mission_column, name_cell, percent, right_columns
from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.judges import UNKNOWN
from yanshou.evaluate.metrics import Counts, Rate
from yanshou.evaluate.summaries import Score, Tally, ordered_categories
from yanshou.evaluate.worth import Worth
from yanshou.schema.summary import IRRELEVANT
from yanshou.stage_b.card import Card
from yanshou.stage_b.dataset_figures import DatasetFigures
from yanshou.stage_b.reason import OUTCOMES
from yanshou.stage_b.shortcut import Shortcut
from yanshou.stage_b.twins import TwinFigures

KINDS = {"unknown": UNKNOWN.name}  # where the kind of a judge is not its name


def score_tables(score: Score) -> list[Table]:
    """What `yanshou score` prints: figures per mission, and per category (类别) of entries."""
    shares = ("identical", "precision", "recall", "F1")
    missions = figure_table("groups", "not written", "photos", *shares, "unknown", "odd ×N")
    for name, part in (*score.missions.items(), ("all", score.overall)):
        sizes = map(str, (part.groups, part.unwritten, part.photos))
        odd = map(str, (part.unknown, part.odd_counts))
        missions.add_row(name_cell(name), *sizes, percent(part.identical_share), *_entry_shares(part.entries), *odd)
    categories = Table("类别", *right_columns("entries", "written", *shares[1:]), box=None, pad_edge=False)
    for name in ordered_categories(score.overall.categories):
        tally = score.overall.categories[name]
        categories.add_row(name_cell(name), str(tally.true), str(tally.written), *_entry_shares(tally))
    return [missions, categories]


def evaluation_tables(evaluation: Evaluation) -> list[Table]:
    """What `yanshou evaluate` prints: who judged how many groups, how often each kind of verdict is right, and more.

    The judge's name is in the first table; the second has room for its kind.
    """
    sizes = right_columns("groups", "judged", "errors", "no label", "human passes", "human fails")
    judge_column = Column("judge", overflow="fold")
    counted = Table(mission_column(min_width=23), *sizes, judge_column, box=None, pad_edge=False)
    shares = right_columns("accuracy", "balanced", "MCC", "false releases", "false blocks")
    narrow = (0, 1, 0, 0)  # one space between columns: five figures with intervals fit into 120 characters
    figures = Table(mission_column(min_width=23), "verdicts", *shares, box=None, padding=narrow)
    parts = [*evaluation.missions.items(), *([("all", evaluation.overall)] if evaluation.overall else [])]
    for name, part in parts:
        judge = part.judge
        whole = (judge.groups, judge.judged, judge.errors, judge.unlabelled, judge.human_passes, judge.human_fails)
        counted.add_row(name_cell(name), *map(str, whole), name_cell(part.judged_by.name))
        for what, row_name, counts in part.rows():
            who = KINDS.get(part.judged_by.kind, part.judged_by.kind) if what == "judge" else row_name
            cells = _verdict_shares(counts, evaluation.confidence)
            figures.add_row(name_cell(name if what == "judge" else ""), name_cell(who), *map(Text, cells))
    return [counted, figures, *_reason_tables(evaluation), *_worth_tables(evaluation)]


def _reason_tables(evaluation: Evaluation) -> list[Table]:
    """How many reasons hold. No table where no verdict has a reason and a Stage-A line."""
    parts = [*evaluation.missions.items(), *([("all", evaluation.overall)] if evaluation.overall else [])]
    if not any(part.reasons.reasons for _, part in parts):
        return []
    columns = right_columns("reasons", *OUTCOMES, "rules disagree")
    table = Table(mission_column(min_width=20), *columns, box=None, padding=(0, 1, 0, 0))
    for name, part in parts:
        found, confidence = part.reasons, evaluation.confidence
        cells = [with_interval(rate, confidence) for rate in found.outcomes.values()]
        row = [str(found.reasons), *cells, percent(found.other_verdict.share)]
        table.add_row(name_cell(name), *map(Text, row))
    return [table]


def dataset_tables(card: Card) -> list[Table]:
    """What `yanshou dataset` prints: the contents of the files, and what a model can learn from them."""
    contents = figure_table(
        "groups", "pass", "fail", "train", "val", "photos", IRRELEVANT, "entries", "outside vocabulary"
    )
    lessons = figure_table(
        "tokens: median", "p95", "maximum", "contradictions", "their groups", "best accuracy", "rule disagrees"
    )
    for name, part in (*card.missions.items(), ("all", card.overall)):
        contents.add_row(name_cell(name), *_contents(part))
        lessons.add_row(name_cell(name), *_lessons(part))
    return [contents, lessons, _twins_table(card), _shortcuts_table(card)]


def _twins_table(card: Card) -> Table:
    """Groups with the same lines, and what their labels say."""
    table = figure_table("twin sets", "their groups", "labels differ", "label noise")
    for name, part in (*card.missions.items(), ("all", card.overall)):
        table.add_row(name_cell(name), *_twins(part.twins))
    return table


def _shortcuts_table(card: Card) -> Table:
    """The feature that predicts the label best, per mission."""
    feature = Column("strongest feature", overflow="fold")
    table = Table(mission_column(min_width=23), feature, "feature AUC", "where", box=None, pad_edge=False)
    for name, part in card.missions.items():
        table.add_row(name_cell(name), *map(name_cell, _shortcut(part.shortcut)))
    return table


def _twins(twins: TwinFigures) -> Iterable[str]:
    yield from (str(twins.sets), str(twins.groups), percent(twins.disagreement))
    noise = twins.label_noise
    yield f"{percent(noise.share)} [{noise.low * 100:.1f}–{noise.high * 100:.1f}]" if noise else NONE


def _shortcut(shortcut: Shortcut | None) -> Iterable[str]:
    if shortcut is None:
        return (NONE, NONE, NONE)
    remark = " (in the rule)" if shortcut.in_rule else " (perhaps by chance)" if shortcut.low <= 0.5 else ""
    return (shortcut.feature + remark, _decimals(shortcut.auc), shortcut.direction)


def _worth_tables(evaluation: Evaluation) -> list[Table]:
    """How good p_pass is beside a learned baseline, and the one feature that predicts the label best."""
    if not any(part.comparison or part.calibration or part.shortcut for part in evaluation.worth.values()):
        return []
    figures = right_columns("AUC", "learned AUC", "AUC difference", "Brier", "Brier if constant", "feature AUC")
    feature = Column("strongest feature", overflow="fold")
    table = Table(mission_column(min_width=23), *figures[:-1], feature, figures[-1], box=None, padding=(0, 1, 0, 0))
    for name, part in evaluation.worth.items():
        table.add_row(name_cell(name), *map(name_cell, (*_comparison_cells(part), *_shortcut_cells(part.shortcut))))
    return [table]


def _comparison_cells(part: Worth) -> Iterable[str]:
    found, against = part.calibration, part.comparison
    yield _decimals(found.auc if found else None)
    yield _decimals(against.baseline_auc if against else None)
    gap = against.auc_difference if against else None
    yield f"{gap.value:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]" if gap else NONE
    yield _decimals(found.brier if found else None)
    yield _decimals(found.base_rate_brier if found else None)


def _shortcut_cells(shortcut: Shortcut | None) -> Iterable[str]:
    """Dashes for a feature that may predict the label by chance."""
    return (shortcut.feature, _decimals(shortcut.auc)) if shortcut and shortcut.low > 0.5 else (NONE, NONE)


def _decimals(figure: float | None) -> str:
    return NONE if figure is None else f"{figure:.2f}"


def _entry_shares(tally: Tally) -> Iterable[str]:
    return map(percent, (tally.precision, tally.recall, tally.f1))


def _verdict_shares(counts: Counts, confidence: float) -> Iterable[str]:
    yield with_interval(counts.accuracy, confidence)
    yield percent(counts.balanced_accuracy)
    yield _decimals(counts.mcc)
    for rate in (counts.false_release, counts.false_block):
        yield counted(rate, confidence)


def counted(rate: Rate, confidence: float) -> str:
    """1: 33.3% [6.1–79.2]"""
    return f"{rate.count}: {with_interval(rate, confidence)}" if rate.of else NONE


def with_interval(rate: Rate, confidence: float) -> str:
    """33.3% [6.1–79.2]"""
    interval = rate.interval(confidence)
    if interval is None:
        return NONE
    low, high = (f"{bound * 100:.1f}" for bound in interval)
    return f"{percent(rate.share)} [{low}–{high}]"


def _contents(part: DatasetFigures) -> list[str]:
    labels, sides = part.labels(), (sum(part.train.values()), sum(part.val.values()))
    counts = (part.groups, labels["pass"], labels["fail"], *sides, part.photos)
    return [*map(str, counts), percent(part.irrelevant_share), str(part.entries), percent(part.unknown_share)]


def _lessons(part: DatasetFigures) -> list[str]:
    tokens = part.prompt_tokens
    counts = (tokens.median, tokens.p95, tokens.maximum, part.contradictions, part.contradicting_groups)
    against = NONE if part.against_rule is None else f"{part.against_rule} ({percent(part.against_rule_share)})"
    return [*map(str, counts), percent(part.best_accuracy, digits=2), against]
