"""The table of a run, and the parts that all tables share. Imports no figures: a run starts fast.

Columns of numbers are aligned right. A share is shown as a percentage, and as a dash where there are no cases to count.
"""

from collections.abc import Sequence

from rich.table import Column, Table
from rich.text import Text

from yanshou.cli.run_progress import PHOTOS, per_second
from yanshou.pipeline.mission_result import MissionResult
from yanshou.text import printable

NONE = "–"  # a share of nothing


def run_table(results: Sequence[MissionResult], unit: str = PHOTOS) -> Table:
    """What a run did, one row per mission that was started.

    Left out: speeds where no model answered, stale lines and deaths of workers where there are none.
    """
    answered, photos = any(result.photos for result in results), unit == PHOTOS
    names = ["written", "failed", "skipped as done"]
    if answered:
        speed = per_second(unit)
        names += [unit, "rotated", speed, "waited for photos"] if photos else [unit, speed]
    if stale := any(result.stale for result in results):
        names.append("stale")
    if deaths := any(result.worker_deaths for result in results):
        names.append("dead workers")
    table = figure_table(*names)
    for result in started(results):
        cells = [str(count) for count in (result.written, result.failed, result.skipped)]
        if answered:
            cells += _speeds(result, photos)
        if stale:
            cells.append(NONE if result.stale is None else str(result.stale))
        if deaths:
            cells.append(str(result.worker_deaths))
        table.add_row(name_cell(result.mission), *cells)
    return table


def started(results: Sequence[MissionResult]) -> list[MissionResult]:
    """The missions that have more to show than their error."""
    return [result for result in results if not result.error or result.written or result.failed or result.skipped]


def percent(share: float | None, digits: int = 1) -> str:
    """0.5 → 50.0%; a dash for None."""
    return NONE if share is None else f"{share:.{digits}%}"


def _speeds(result: MissionResult, photos: bool) -> list[str]:
    rate, waited = (f"{result.images_per_s:.2f}", percent(result.waited, 0)) if result.photos else (NONE, NONE)
    return [str(result.photos), str(result.rotated), rate, waited] if photos else [str(result.photos), rate]


def figure_table(*figures: str, min_width: int = 20) -> Table:
    """One row per mission, figures to its right."""
    return Table(mission_column(min_width), *right_columns(*figures), box=None, pad_edge=False)


def name_cell(name: str) -> Text:
    """A name from outside: no markup is read in it, and its width is that of its printable characters."""
    return Text(printable(name))


def mission_column(min_width: int) -> Column:
    return Column("mission", overflow="fold", min_width=min_width)


def right_columns(*headers: str) -> Sequence[Column]:
    return [Column(header, justify="right") for header in headers]
