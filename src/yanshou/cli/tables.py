"""Every table that a command prints: a run, a comparison of summaries, an evaluation, a dataset.

Columns of numbers are aligned right. A share is shown as a percentage, and as a dash where there are no cases to count.
"""

from collections.abc import Iterable, Sequence

from rich.table import Column, Table
from rich.text import Text

from yanshou.cli.run_progress import PHOTOS, per_second
from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.metrics import Counts, Rate
from yanshou.evaluate.summaries import Score, Tally, ordered_categories
from yanshou.pipeline.mission_result import MissionResult
from yanshou.schema.summary import IRRELEVANT
from yanshou.stage_b.card import Card, DatasetFigures

NONE = "–"  # a share of nothing


def run_table(results: Sequence[MissionResult], unit: str = PHOTOS) -> Table:
    """What a run did, one row per mission that was started. Speeds are left out where no model answered."""
    answered, photos = any(result.photos for result in results), unit == PHOTOS
    names = ["written", "failed", "skipped as done"]
    if answered:
        speed = per_second(unit)
        names += [unit, "rotated", speed, "waited for photos"] if photos else [unit, speed]
    table = _table(*names)
    for result in started(results):
        cells = [str(count) for count in (result.written, result.failed, result.skipped)]
        if answered:
            cells += _speeds(result, photos)
        table.add_row(Text(result.mission), *cells)
    return table


def started(results: Sequence[MissionResult]) -> list[MissionResult]:
    """The missions that have more to show than their error."""
    return [result for result in results if not result.error or result.written or result.failed or result.skipped]


def score_tables(score: Score) -> list[Table]:
    """What `yanshou score` prints: figures per mission, and per category (类别) of entries."""
    shares = ("identical", "precision", "recall", "F1")
    missions = _table("groups", "not written", "photos", *shares, "unknown", "odd ×N")
    for name, part in (*score.missions.items(), ("all", score.overall)):
        sizes = map(str, (part.groups, part.unwritten, part.photos))
        odd = map(str, (part.unknown, part.odd_counts))
        missions.add_row(Text(name), *sizes, percent(part.identical_share), *_entry_shares(part.entries), *odd)
    categories = Table("类别", *_right("entries", "written", *shares[1:]), box=None, pad_edge=False)
    for name in ordered_categories(score.overall.categories):
        tally = score.overall.categories[name]
        categories.add_row(name, str(tally.true), str(tally.written), *_entry_shares(tally))
    return [missions, categories]


def evaluation_tables(evaluation: Evaluation) -> list[Table]:
    """What `yanshou evaluate` prints: the number of groups, and how often each kind of verdict is right."""
    counted = _table("groups", "judged", "errors", "no label", "human passes", "human fails", min_width=23)
    shares = _right("accuracy", "balanced", "MCC", "false releases", "false blocks")
    narrow = (0, 1, 0, 0)  # one space between columns: five figures with intervals fit into 120 characters
    figures = Table(_mission(min_width=23), "verdicts", *shares, box=None, padding=narrow)
    for name, part in (*evaluation.missions.items(), ("all", evaluation.overall)):
        judge = part.judge
        whole = (judge.groups, judge.judged, judge.errors, judge.unlabelled, judge.human_passes, judge.human_fails)
        counted.add_row(Text(name), *map(str, whole))
        for who, counts in part.rows().items():
            cells = _verdict_shares(counts, evaluation.confidence)
            figures.add_row(Text(name if who == "judge" else ""), who, *map(Text, cells))
    return [counted, figures]


def dataset_tables(card: Card) -> list[Table]:
    """What `yanshou dataset` prints: the contents of the files, and what a model can learn from them."""
    contents = _table("groups", "pass", "fail", "train", "val", "photos", IRRELEVANT, "entries", "outside vocabulary")
    lessons = _table("prompt tokens: median", "p95", "maximum", "contradictions", "their groups", "best accuracy")
    for name, part in (*card.missions.items(), ("all", card.overall)):
        contents.add_row(Text(name), *_contents(part))
        lessons.add_row(Text(name), *_lessons(part))
    return [contents, lessons]


def percent(share: float | None, digits: int = 1) -> str:
    """0.5 → 50.0%; a dash for None."""
    return NONE if share is None else f"{share:.{digits}%}"


def _speeds(result: MissionResult, photos: bool) -> list[str]:
    rate, waited = (f"{result.images_per_s:.2f}", percent(result.waited, 0)) if result.photos else (NONE, NONE)
    return [str(result.photos), str(result.rotated), rate, waited] if photos else [str(result.photos), rate]


def _entry_shares(tally: Tally) -> Iterable[str]:
    return map(percent, (tally.precision, tally.recall, tally.f1))


def _verdict_shares(counts: Counts, confidence: float) -> Iterable[str]:
    yield _with_interval(counts.accuracy, confidence)
    yield percent(counts.balanced_accuracy)
    yield NONE if counts.mcc is None else f"{counts.mcc:.2f}"
    for rate in (counts.false_release, counts.false_block):
        yield f"{rate.count}: {_with_interval(rate, confidence)}" if rate.of else NONE


def _with_interval(rate: Rate, confidence: float) -> str:
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
    return [*map(str, counts), percent(part.best_accuracy, digits=2)]


def _table(*figures: str, min_width: int = 20) -> Table:
    """One row per mission, figures to its right."""
    return Table(_mission(min_width), *_right(*figures), box=None, pad_edge=False)


def _mission(min_width: int) -> Column:
    return Column("mission", overflow="fold", min_width=min_width)


def _right(*headers: str) -> Sequence[Column]:
    return [Column(header, justify="right") for header in headers]
