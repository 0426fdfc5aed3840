"""False releases against false blocks at every P: what a stricter threshold buys, and what it costs.

    false releases / human fails
    100 % ┤·
          │ ╲                    from P above every p_pass (right, below: nothing is released)
     25 % ┤  ╲                   to P = 0 (left, above: all is)
      1 % ┤    ╲__●_____         ● where the verdicts of the report are
          └──┬────┬─────┬──
            1 %  25 %  100 %     false blocks / human passes

The denominators are those of `metrics`, so the mark lies where the table says: a human pass without a verdict is a
false block at every P. There is no curve without groups of both labels, and none where a verdict has no p_pass (the
rules know no probability). Both axes go by the square root: the region that matters is the one near zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from yanshou.evaluate.judged_groups import JudgedGroup
from yanshou.evaluate.metrics import Counts

WIDTH, HEIGHT = 364.0, 290.0  # of the drawing, in its own units
LEFT, RIGHT, TOP, BOTTOM = 62.0, 16.0, 14.0, 50.0  # margins for the labels
TICKS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)


class Point(NamedTuple):
    """What happens where pass is p_pass ≥ threshold."""

    threshold: float | None  # None: above every p_pass
    false_block: float  # of human passes, 0 to 1
    false_release: float  # of human fails, 0 to 1

    @property
    def x(self) -> float:
        return _across(self.false_block)

    @property
    def y(self) -> float:
        return _up(self.false_release)


@dataclass(frozen=True, slots=True)
class Curve:
    """Drawn: its corners, from the strictest P down, and where the verdicts in force lie."""

    points: tuple[Point, ...]
    mark: Point

    @property
    def line(self) -> str:
        """`points` of an SVG polyline."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)

    @classmethod
    def of(cls, groups: Sequence[JudgedGroup], threshold: float | None) -> "Curve | None":
        labelled = [group for group in groups if group.key.label]
        counts = Counts.of((group.key.label, group.verdict) for group in labelled)
        scores = [(group.p_pass, group.key.label == "fail") for group in labelled if group.verdict]
        known = [(p, failed) for p, failed in scores if p is not None]
        if not (known and len(known) == len(scores) and counts.human_passes and counts.human_fails):
            return None
        block, release = counts.false_block.share, counts.false_release.share
        assert block is not None
        assert release is not None
        points = trade_off(known, counts.human_passes, counts.human_fails)
        return cls(tuple(_corners(points)), Point(threshold, block, release))


def trade_off(scores: Iterable[tuple[float, bool]], passes: int, fails: int) -> list[Point]:
    """A point for each distinct p_pass, from the highest down. `scores`: p_pass, and whether a person said fail."""
    released, falsely = 0, 0
    points = [Point(None, 1.0, 0.0)]
    for p, equal in groupby(sorted(scores, reverse=True), key=lambda score: score[0]):
        for _, failed in equal:
            falsely += failed
            released += not failed
        points.append(Point(p, (passes - released) / passes, falsely / fails))
    return points


def ticks() -> list[tuple[str, float, float]]:
    """Label, x on the lower axis, y on the left one."""
    return [(f"{share:.0%}", _across(share), _up(share)) for share in TICKS]


def _corners(points: Sequence[Point]) -> Iterable[Point]:
    """Without the points in the middle of a level or upright stretch: the line is the same."""
    yield points[0]
    for before, point, after in zip(points, points[1:], points[2:], strict=False):
        level = before.false_release == point.false_release == after.false_release
        upright = before.false_block == point.false_block == after.false_block
        if not (level or upright):
            yield point
    if len(points) > 1:
        yield points[-1]


def _across(share: float) -> float:
    return LEFT + float(share**0.5) * (WIDTH - LEFT - RIGHT)


def _up(share: float) -> float:
    return HEIGHT - BOTTOM - float(share**0.5) * (HEIGHT - TOP - BOTTOM)
