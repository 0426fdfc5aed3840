"""The reliability plot of a mission: p_pass against the share of human passes, with intervals, counts and the diagonal.

100 % ┤            ╱ ┃12        a point below the diagonal: the judge promises more than people confirm
      │         ╱ ┃● 118
      │      ╱ ●┃ 120
      │ ●   ╱
      └──┬────┬─────┬──
         mean p_pass of the bin
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from yanshou.evaluate.calibration import Bin, Calibration
from yanshou.report.curve import HEIGHT, WIDTH
from yanshou.report.curve_plot import AREA
from yanshou.report.label_places import LabelPlaces, Line, Place

SIDES = ((1, "start"), (-1, "end"))  # right and left of a point
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
DIAGONAL = ((AREA.left, AREA.bottom), (AREA.right, AREA.top))


class BinDrawn(NamedTuple):
    """One point: its place, the ends of its interval, and its number of groups with a place for it."""

    x: float
    y: float
    low: float  # lower end of the interval, which is the greater y
    high: float
    groups: str
    place: Place | None  # None: there is no room, so the number is in the table alone
    row: Mapping[str, str]  # for the table below the plot


@dataclass(frozen=True, slots=True)
class CalibrationPlot:
    """Everything that the template draws, in SVG user units."""

    bins: tuple[BinDrawn, ...]
    brier: str
    base_rate_brier: str

    @classmethod
    def of(cls, calibration: Calibration, confidence: float) -> "CalibrationPlot":
        intervals = [_interval(one, confidence) for one in calibration.bins]
        places = LabelPlaces([DIAGONAL, *(line for one, ends in intervals for line in _outline(one, ends))], AREA)
        return cls(
            bins=tuple(_drawn(one, interval, places) for one, interval in intervals),
            brier=f"{calibration.brier:.3f}",
            base_rate_brier=f"{calibration.base_rate_brier:.3f}",
        )


def calibration_frame() -> dict[str, Any]:
    """What the reliability plots of all missions share."""
    ticks = [(f"{share:.0%}", x_of(share), y_of(share)) for share in TICKS]
    return {"width": WIDTH, "height": HEIGHT, "area": AREA, "ticks": ticks, "diagonal": DIAGONAL}


def x_of(share: float) -> float:
    """The place on the lower axis."""
    return AREA.left + share * (AREA.right - AREA.left)


def y_of(share: float) -> float:
    """The place on the left axis."""
    return AREA.bottom - share * (AREA.bottom - AREA.top)


def _interval(one: Bin, confidence: float) -> tuple[Bin, tuple[float, float]]:
    interval = one.passes.interval(confidence)
    assert interval is not None  # no bin is empty
    return one, interval


def _outline(one: Bin, interval: tuple[float, float]) -> Iterable[Line]:
    """What no number may cover: the interval and the point."""
    x, y, (low, high) = x_of(one.mean), y_of(one.passes.count / one.passes.of), interval
    yield (x, y_of(low)), (x, y_of(high))
    yield (x - 4, y), (x + 4, y)


def _drawn(one: Bin, interval: tuple[float, float], places: LabelPlaces) -> BinDrawn:
    share = one.passes.count / one.passes.of
    x, y, (low, high) = x_of(one.mean), y_of(share), interval
    count = f"{one.passes.of:,}"
    beside = [Place(x + side * 7, y + down, anchor) for down in (4, -8, 16) for side, anchor in SIDES]
    row = {
        "range": f"{one.low:.3g}–{one.high:.3g}",
        "mean": f"{one.mean:.1%}",
        "share": f"{share:.1%} [{low * 100:.1f}–{high * 100:.1f}]",
        "count": count,
    }
    return BinDrawn(x, y, y_of(low), y_of(high), count, places.find(count, beside), row)
