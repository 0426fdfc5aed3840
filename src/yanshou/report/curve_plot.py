"""A curve of false releases against false blocks as a drawing: the line, marks, lines of limits, and a label beside each.

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

from yanshou.report.curve import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Curve, Mark, Point, ticks, x_of, y_of
from yanshou.report.label_places import Box, LabelPlaces, Line, Place

AREA = Box(LEFT, TOP, WIDTH - RIGHT, HEIGHT - BOTTOM)
NEAR = 10.0  # from a mark to its label


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that were asked for, as shares; None: none."""

    release: float | None = None  # --max-false-release
    block: float | None = None  # --max-false-block


class Labelled(NamedTuple):
    """A line or a point with its label."""

    line: Line  # a point is a line of one corner
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class CurvePlot:
    """Everything that the template draws of one curve, in SVG user units."""

    curve: Curve
    limits: tuple[Labelled, ...]
    marks: tuple[Labelled, ...]

    @property
    def points(self) -> str:
        """The attribute `points` of an SVG polyline."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.curve.line)

    @classmethod
    def of(cls, curve: Curve, limits: Limits, texts: Mapping[str, str]) -> "CurvePlot":
        lines = list(_limit_lines(limits))
        places = LabelPlaces([curve.line, *(line for line, _ in lines), *map(_around, curve.marks)], AREA)
        named = [(line, texts["limit"].format(limit=f"{share * 100:g}%")) for line, share in lines]
        return cls(
            curve,
            tuple(Labelled(line, text, places.put(text, _beside_line(line))) for line, text in named),
            tuple(_labelled(mark, texts, places) for mark in curve.marks),
        )

    def to_script(self, limits: Limits) -> dict[str, Any]:
        """For the page's script: a point is x, y, false blocks, false releases and threshold."""
        first = self.curve.points[0]
        return {
            "passes": first.false_block.of,
            "fails": first.false_release.of,
            "limits": [limits.release, limits.block],
            "start": self.curve.start,
            "mark": _values(self.curve.marks[0].point),
            "points": [_values(point) for point in self.curve.points],
        }


def plot_frame() -> dict[str, Any]:
    """What the drawings of all curves share: the size, the plot's area, and the ticks of both axes."""
    return {"width": WIDTH, "height": HEIGHT, "area": AREA, "ticks": ticks()}


def _values(point: Point) -> list[float | None]:
    return [round(point.x, 2), round(point.y, 2), point.false_block.count, point.false_release.count, point.threshold]


def _limit_lines(limits: Limits) -> Iterable[tuple[Line, float]]:
    if limits.release is not None:
        y = y_of(limits.release)
        yield ((AREA.left, y), (AREA.right, y)), limits.release
    if limits.block is not None:
        x = x_of(limits.block)
        yield ((x, AREA.top), (x, AREA.bottom)), limits.block


def _beside_line(line: Line) -> Iterable[Place]:
    """Above the line from right to left, then below it; right of an upright line from top to bottom, then left of it."""
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
    return Labelled(((point.x, point.y),), text, places.put(text, _beside_point(point.x, point.y)))


def _beside_point(x: float, y: float) -> Iterable[Place]:
    """Near places first. The curve falls, so the upper right and the lower left of its points are free."""
    for far in (NEAR, 2 * NEAR, 4 * NEAR, 7 * NEAR, 11 * NEAR, 16 * NEAR):
        yield Place(x + NEAR, y - far + 4, "start")
        yield Place(x - NEAR, y + far + 4, "end")
        yield Place(x + NEAR, y + far + 4, "start")
        yield Place(x - NEAR, y - far + 4, "end")
        yield Place(AREA.right - 4, y - far, "end")
        yield Place(AREA.left + 4, y + far + 4, "start")
        yield Place(AREA.left + 4, y - far, "start")


def _around(mark: Mark) -> Line:
    """The outline of a mark, which no label may cover."""
    x, y, r = mark.point.x, mark.point.y, 6.0
    return ((x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r), (x - r, y - r))
