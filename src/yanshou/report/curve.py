"""The curve of false releases against false blocks (a DET curve): what a stricter threshold P gains, and what it costs.

    false releases / human fails
    100 % ┤·
          │ ╲                    from P above every p_pass (lower right: nothing is released)
     25 % ┤  ╲                   to P = 0 (upper left: everything is released)
      1 % ┤    ╲__●_____         ● the verdicts of the report
          └──┬────┬─────┬──
            1 %  25 %  100 %     false blocks / human passes

The denominators are those of `metrics.py`, so the mark agrees with the table: a human pass without a verdict is a false
block at every P. scikit-learn's `roc_curve` and `det_curve` cannot count such groups, because they have no score. There
is no curve without groups of both labels, or if a verdict has no p_pass (the rules give no probability). Both axes have
a square-root scale, which enlarges the region near zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.metrics import Counts, Rate

WIDTH, HEIGHT = 364.0, 290.0  # SVG user units
LEFT, RIGHT, TOP, BOTTOM = 62.0, 16.0, 14.0, 50.0  # margins for the labels
TICKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)


class Point(NamedTuple):
    """The errors if the verdict is pass for p_pass ≥ threshold."""

    threshold: float | None  # None: above every p_pass
    false_block: Rate  # of human passes
    false_release: Rate  # of human fails

    @property
    def x(self) -> float:
        return x_of(self.false_block.count / self.false_block.of)

    @property
    def y(self) -> float:
        return y_of(self.false_release.count / self.false_release.of)


class Mark(NamedTuple):
    """A point of the curve that has a name: the verdicts of the report, or a threshold of the policy."""

    name: str  # key of the report's texts
    point: Point


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve to draw."""

    points: tuple[Point, ...]  # corners and the thresholds that are marked, strictest P first
    marks: tuple[Mark, ...]  # the one that the page explains first is the first

    @property
    def line(self) -> list[tuple[float, float]]:
        """The corners of an SVG polyline."""
        return [(point.x, point.y) for point in self.points]

    @property
    def start(self) -> int:
        """The number of the point that is nearest to the first mark."""
        mark = self.marks[0].point
        distances = [(point.x - mark.x) ** 2 + (point.y - mark.y) ** 2 for point in self.points]
        return distances.index(min(distances))

    @classmethod
    def of(
        cls, groups: Sequence[JudgedGroup], threshold: float | None, policy: Mapping[str, float] | None = None
    ) -> "Curve | None":
        """The curve of the labelled groups. `threshold`: behind the verdicts; `policy`: thresholds by name."""
        labelled = [group for group in groups if group.label]
        counts = Counts.of((group.label, group.verdict) for group in labelled)
        scores = [(group.p_pass, group.label == "fail") for group in labelled if group.verdict]
        known = [(p, failed) for p, failed in scores if p is not None]
        if not (known and len(known) == len(scores) and counts.human_passes and counts.human_fails):
            return None
        points = trade_off(known, counts.human_passes, counts.human_fails)
        verdicts = Point(threshold, counts.false_block, counts.false_release)
        marks = [Mark(name, at_threshold(points, p)) for name, p in (policy or {}).items()]
        marks.append(Mark("as_written" if threshold is None else "chosen", verdicts))
        return cls(tuple(_with_marks(_corners(points), marks)), tuple(marks))


def trade_off(scores: Iterable[tuple[float, bool]], passes: int, fails: int) -> list[Point]:
    """One point per distinct p_pass, highest first. `scores`: p_pass, and whether the human label is fail."""
    released_passes, released_fails = 0, 0
    points = [Point(None, Rate(passes, passes), Rate(0, fails))]
    for p, equal in groupby(sorted(scores, reverse=True), key=lambda score: score[0]):
        for _, failed in equal:
            released_fails += failed
            released_passes += not failed
        points.append(Point(p, Rate(passes - released_passes, passes), Rate(released_fails, fails)))
    return points


def at_threshold(points: Sequence[Point], threshold: float) -> Point:
    """The errors at any threshold: those of the lowest p_pass that it still releases."""
    released = [point for point in points if point.threshold is None or point.threshold >= threshold]
    return released[-1]._replace(threshold=threshold)


def ticks() -> list[tuple[str, float, float]]:
    """Label, x on the lower axis, y on the left axis."""
    return [(f"{share:.0%}", x_of(share), y_of(share)) for share in TICKS]


def x_of(share: float) -> float:
    """The place on the lower axis."""
    return LEFT + float(share**0.5) * (WIDTH - LEFT - RIGHT)


def y_of(share: float) -> float:
    """The place on the left axis."""
    return HEIGHT - BOTTOM - float(share**0.5) * (HEIGHT - TOP - BOTTOM)


def _corners(points: Sequence[Point]) -> Iterable[Point]:
    """Leaves out the inner points of horizontal and vertical stretches, which do not change the line."""
    yield points[0]
    for before, point, after in zip(points, points[1:], points[2:], strict=False):
        horizontal = before.false_release == point.false_release == after.false_release
        vertical = before.false_block == point.false_block == after.false_block
        if not (horizontal or vertical):
            yield point
    if len(points) > 1:
        yield points[-1]


def _with_marks(points: Iterable[Point], marks: Iterable[Mark]) -> list[Point]:
    """The points and the marked thresholds, strictest first. At one place, a marked threshold is the one that is kept.

    Verdicts as written have no threshold, and may lie beside the curve.
    """
    marked = [mark.point for mark in marks if mark.point.threshold is not None]
    known = {(point.false_block, point.false_release): point for point in [*points, *reversed(marked)]}
    return sorted(known.values(), key=lambda point: (-point.false_block.count, point.false_release.count))
