"""The drawing of a curve: its line, the marks, the lines of limits, and a label beside each.

100 % ┤·
      │ ╲
      │  ╲      ● release threshold 0.93        marks are labelled where neither curve nor limit runs
  5 % ┤╌╌╌╲╌╌╌╌╌╌╌╌╌╌╌ limit 5%                 the line of --max-false-release; that of --max-false-block is upright
      │    ╲________
      └──┬────┬─────┬──
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.promises import Promises
from yanshou.evaluate.threshold import Side
from yanshou.report.confusion import by_mission
from yanshou.report.curve import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Curve, Mark, Point, ticks, x_of, y_of
from yanshou.report.label_places import Box, LabelPlaces, Line, Place
from yanshou.report.promises_shown import percent_text, policy_thresholds
from yanshou.report.provenance import common_threshold
from yanshou.report.slip import slip_sentence

AREA = Box(LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)
NEAR, FAR = 10.0, 22.0  # from a mark to its label; a line joins them if it is farther
STEP = 8  # between the places that are tried


class Limits(NamedTuple):
    """The limits that were asked for, as shares; None: none."""

    release: float | None = None  # --max-false-release
    block: float | None = None  # --max-false-block


class Labelled(NamedTuple):
    """A line or a point with its label."""

    kind: str  # the side of a limit, or the name of a mark
    line: Line  # a point is a line of one corner
    text: str
    place: Place

    @property
    def leader(self) -> Line:
        """The line from a point to its label. Empty: the label is beside it."""
        (x, y), box = self.line[0], self.place.box(self.text)
        return ((x, y), box.nearest(x, y)) if box.distance(x, y) > FAR else ()


@dataclass(frozen=True, slots=True)
class CurvePlot:
    """Everything that the template draws of one curve, in SVG user units."""

    curve: Curve
    asked: Limits
    limits: tuple[Labelled, ...]
    marks: tuple[Labelled, ...]
    sentence: str  # about the first mark

    @property
    def points(self) -> str:
        """The attribute `points` of an SVG polyline."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.curve.line)

    @classmethod
    def of(cls, curve: Curve, asked: Limits, texts: Mapping[str, str]) -> "CurvePlot":
        lines = list(_limit_lines(asked))
        places = LabelPlaces([curve.line, *(line for _, line, _ in lines), *map(_around, curve.marks)], AREA)
        return cls(
            curve=curve,
            asked=asked,
            limits=tuple(_limit(side, line, share, texts, places) for side, line, share in lines),
            marks=tuple(_labelled(mark, texts, places) for mark in curve.marks),
            sentence=slip_sentence(curve.marks[0].point, texts, asked),
        )

    def to_script(self) -> dict[str, Any]:
        """For the page's script: a point is x, y, false blocks, false releases and threshold."""
        first = self.curve.points[0]
        return {
            "passes": first.false_block.of,
            "fails": first.false_release.of,
            "limits": self.asked,
            "points": [_values(point) for point in self.curve.points],
        }


def curve_plots(evaluation: Evaluation, texts: Mapping[str, str]) -> dict[str, CurvePlot]:
    """The plots by mission; all missions together are under "". A mission without a curve has none."""
    threshold = common_threshold(evaluation)
    asked = _asked(evaluation.promises)
    plots = {}
    for name, groups in by_mission(evaluation):
        curve = Curve.of(groups, threshold, policy_thresholds(evaluation.promises, name))
        if curve:
            plots[name] = CurvePlot.of(curve, asked, texts)
    return plots


def plot_frame() -> dict[str, Any]:
    """What the drawings of all curves share: the size, the plot's area, and the ticks of both axes."""
    return {"width": WIDTH, "height": HEIGHT, "area": AREA, "ticks": ticks()}


def _asked(promises: Promises | None) -> Limits:
    """The limits are the same for every mission."""
    return Limits(**{promise.side: promise.limit for _, promise in promises.each()}) if promises else Limits()


def _values(point: Point) -> list[float | None]:
    return [round(point.x, 2), round(point.y, 2), point.false_block.count, point.false_release.count, point.threshold]


def _limit_lines(limits: Limits) -> Iterable[tuple[Side, Line, float]]:
    if limits.release is not None:
        y = y_of(limits.release)
        yield "release", ((AREA.left, y), (AREA.right, y)), limits.release
    if limits.block is not None:
        x = x_of(limits.block)
        yield "block", ((x, AREA.top), (x, AREA.bottom)), limits.block


def _limit(side: Side, line: Line, share: float, texts: Mapping[str, str], places: LabelPlaces) -> Labelled:
    text = texts["limit"].format(limit=percent_text(share))
    return Labelled(side, line, text, places.put(text, list(_beside_line(line))))


def _beside_line(line: Line) -> Iterable[Place]:
    """Above the line, then below it, from right to left; right of an upright line, then left of it, downwards."""
    (x, y), (right, _) = line
    if x == right:
        heights = range(int(AREA.top) + 14, int(AREA.bottom) - 6, 12)
        yield from (Place(x + 5, height, "start") for height in heights)
        yield from (Place(x - 5, height, "end") for height in heights)
    else:
        ends = range(int(AREA.right) - 3, int(AREA.left) + 40, -20)
        yield from (Place(end, y - 6, "end") for end in ends)
        yield from (Place(end, y + 14, "end") for end in ends)


def _labelled(mark: Mark, texts: Mapping[str, str], places: LabelPlaces) -> Labelled:
    point = mark.point
    text = texts[mark.name].format(p=point.threshold)
    return Labelled(
        mark.name, ((point.x, point.y),), text, places.put(text, list(_beside_point(point.x, point.y, text)))
    )


def _beside_point(x: float, y: float, text: str) -> Iterable[Place]:
    """Beside the point, then anywhere, near places first. Right above and left below a point the curve never is."""
    yield Place(x + NEAR, y - 6, "start")
    yield Place(x - NEAR, y + 14, "end")
    anywhere = [
        Place(left, base, "start")
        for left in range(int(AREA.left) + 4, int(AREA.right), STEP)
        for base in range(int(AREA.top) + 14, int(AREA.bottom), STEP)
    ]
    yield from sorted(anywhere, key=lambda place: place.box(text).distance(x, y))


def _around(mark: Mark) -> Line:
    """The outline of a mark, which no label may cover."""
    x, y, r = mark.point.x, mark.point.y, 6.0
    return ((x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r), (x - r, y - r))
