"""The tables of `yanshou review-export`: how far readers agree, and how long a group takes them."""

from collections.abc import Iterator

from rich.table import Column, Table

from yanshou.cli.run_table import NONE, name_cell, percent, right_columns
from yanshou.cli.tables import with_interval
from yanshou.review.agreement import ANSWERS, CONFIDENCE, DRAWS, Agreement, ReaderAgreement, Seconds
from yanshou.review.reader_figures import ReaderFigures

DRAWN, CHOSEN, ALL = "random share", "chosen groups", "all pairs"


def reader_tables(figures: ReaderFigures) -> list[Table]:
    """Agreement, answers of one reader against another's, and seconds; without a pair, seconds alone."""
    tables = [_agreement_table(figures.agreement), _confusion_table(figures.agreement)]
    return [
        *(tables if figures.agreement.pooled.pairs else []),
        *([_seconds_table(figures)] if figures.seconds else []),
    ]


def agreement_lines(found: ReaderAgreement) -> Iterator[str]:
    """What a reader of the tables has to know."""
    if found.not_blind:
        yield f"{found.not_blind} groups with two readers do not count: one of them had seen the machine's side"
    if not found.pooled.pairs:
        yield "agreement: no figure, because no group has two readers who saw nothing of the machine's side"
        return
    if found.chosen.pairs:
        yield (
            f"{CHOSEN}: the first answer contradicts the folder's label, or is one that an audit does not take. Such "
            f"answers are wrong more often than others, so readers' agreement is that of the {DRAWN}"
        )
    for name, part in _parts(found):
        if part.pairs and part.kappa is None:
            yield f"{name}: kappa is undefined, because all answers are the same"
        elif part.pairs and part.interval is None:
            yield f"{name}: kappa has no interval, because all draws of the pairs give the same value"
        elif part.pairs and part.undefined_draws:
            yield f"{name}: the interval leaves out {part.undefined_draws} of {DRAWS} draws without a kappa"
    yield (
        f"in brackets: {CONFIDENCE * 100:g}% intervals, Wilson's for the same answer, for kappa a bootstrap of the "
        "pairs; kappa is low where nearly all answers are the same"
    )


def _agreement_table(found: ReaderAgreement) -> Table:
    figures = right_columns("pairs", "same answer", "kappa", *(f"{answer}" for answer in ANSWERS))
    table = Table(Column("two readers", overflow="fold", min_width=14), *figures, box=None, pad_edge=False)
    for name, part in (*_parts(found), *_readers(found)):
        shares = [percent(rate.share) for rate in part.prevalence.values()]
        table.add_row(name_cell(name), str(part.pairs), with_interval(part.raw, CONFIDENCE), _kappa(part), *shares)
    return table


def _confusion_table(found: ReaderAgreement) -> Table:
    """One reader's answer / the other's: of all pairs in the order of reading, of two readers in that of the names."""
    cells = right_columns(*(f"{one}/{other}" for one in ANSWERS for other in ANSWERS))
    table = Table(Column("answers", overflow="fold", min_width=9), *cells, box=None, padding=(0, 1, 0, 0))
    for name, part in ((ALL, found.pooled), *_readers(found)):
        table.add_row(name_cell(name), *map(str, part.table.ravel().tolist()))
    return table


def _seconds_table(figures: ReaderFigures) -> Table:
    columns = right_columns("groups", "median s", "90% within s")
    table = Table(Column("seconds per group", overflow="fold", min_width=14), *columns, box=None, pad_edge=False)
    for name, found in (("all readers", figures.seconds), *figures.of_reader.items()):
        table.add_row(name_cell(name), *_seconds(found))
    return table


def _seconds(found: Seconds | None) -> tuple[str, str, str]:
    return (str(found.groups), f"{found.median:.1f}", f"{found.p90:.1f}") if found else (NONE, NONE, NONE)


def _parts(found: ReaderAgreement) -> tuple[tuple[str, Agreement], ...]:
    return (DRAWN, found.drawn), (CHOSEN, found.chosen)


def _readers(found: ReaderAgreement) -> Iterator[tuple[str, Agreement]]:
    for (one, other), part in found.readers.items():
        yield f"{one} / {other}", part


def _kappa(part: Agreement) -> str:
    """0.40 [0.15, 0.62]"""
    if part.kappa is None:
        return NONE
    return f"{part.kappa:.2f}" + (f" [{part.interval[0]:.2f}, {part.interval[1]:.2f}]" if part.interval else "")
