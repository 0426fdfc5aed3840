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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from yanshou.evaluate.judged_groups import JudgedGroup
from yanshou.evaluate.metrics import Counts

WIDTH, HEIGHT = 364.0, 290.0  # SVG user units
LEFT, RIGHT, TOP, BOTTOM = 62.0, 16.0, 14.0, 50.0  # margins for the labels
TICKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)


class Point(NamedTuple):
    """The error rates if the verdict is pass for p_pass ≥ threshold."""

    threshold: float | None  # None: above every p_pass
    false_block: float  # share of human passes, 0 to 1
    false_release: float  # share of human fails, 0 to 1

    @property
    def x(self) -> float:
        return _x(self.false_block)

    @property
    def y(self) -> float:
        return _y(self.false_release)


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve to draw."""

    points: tuple[Point, ...]  # corners, strictest P first
    mark: Point  # the verdicts of the report

    @property
    def line(self) -> str:
        """The attribute `points` of an SVG polyline."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)

    @classmethod
    def of(cls, groups: Sequence[JudgedGroup], threshold: float | None) -> "Curve | None":
        labelled = [group for group in groups if group.label]
        counts = Counts.of((group.label, group.verdict) for group in labelled)
        scores = [(group.p_pass, group.label == "fail") for group in labelled if group.verdict]
        known = [(p, failed) for p, failed in scores if p is not None]
        if not (known and len(known) == len(scores) and counts.human_passes and counts.human_fails):
            return None
        block, release = counts.false_block.share, counts.false_release.share
        assert block is not None
        assert release is not None
        points = trade_off(known, counts.human_passes, counts.human_fails)
        return cls(tuple(_corners(points)), Point(threshold, block, release))


def trade_off(scores: Iterable[tuple[float, bool]], passes: int, fails: int) -> list[Point]:
    """One point per distinct p_pass, highest first. `scores`: p_pass, and whether the human label is fail."""
    released_passes, released_fails = 0, 0
    points = [Point(None, 1.0, 0.0)]
    for p, equal in groupby(sorted(scores, reverse=True), key=lambda score: score[0]):
        for _, failed in equal:
            released_fails += failed
            released_passes += not failed
        points.append(Point(p, (passes - released_passes) / passes, released_fails / fails))
    return points


def ticks() -> list[tuple[str, float, float]]:
    """Label, x on the lower axis, y on the left axis."""
    return [(f"{share:.0%}", _x(share), _y(share)) for share in TICKS]


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


def _x(share: float) -> float:
    return LEFT + float(share**0.5) * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - float(share**0.5) * (HEIGHT - TOP - BOTTOM)
