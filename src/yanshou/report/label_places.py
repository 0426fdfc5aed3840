"""Places for the labels of a plot, so that no label lies on a line or on another label.

    places = LabelPlaces([curve, limit_line], area)
    places.put("limit 5%", [(300, 120, "end"), (300, 140, "end"), …])     the first place that is free

Widths are estimated: a wide character (Chinese) is as wide as the font is high, any other takes 0.6 of it. If no place
is free, the first inside the plot is taken, and the page paints a border of the ground's colour around the text.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple
from unicodedata import east_asian_width

FONT_SIZE = 12.0  # SVG user units, as in the style sheet
MARGIN = 2.0  # between a label and a line

Line = Sequence[tuple[float, float]]  # corners


class Box(NamedTuple):
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """The point of the box that is nearest to a point."""
        return min(max(x, self.left), self.right), min(max(y, self.top), self.bottom)

    def distance(self, x: float, y: float) -> float:
        return math.dist((x, y), self.nearest(x, y))

    def inside(self, other: "Box") -> bool:
        across = other.left <= self.left and self.right <= other.right
        return across and other.top <= self.top and self.bottom <= other.bottom


class Place(NamedTuple):
    """Where an SVG text starts: x and the base line, and the side that x is on."""

    x: float
    y: float
    anchor: str  # start, middle or end

    def box(self, text: str) -> Box:
        width = text_width(text)
        left = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        above, below = 0.85 * FONT_SIZE, 0.2 * FONT_SIZE  # of the base line
        return Box(left - MARGIN, self.y - above - MARGIN, left + width + MARGIN, self.y + below + MARGIN)


@dataclass(slots=True)
class LabelPlaces:
    """The lines and labels of one plot."""

    lines: list[Line]
    area: Box  # labels stay inside
    taken: list[Box] = field(default_factory=list)

    def put(self, text: str, places: Sequence[Place]) -> Place:
        """The first free place inside the plot, or the first inside it. It is taken from then on."""
        found = self.find(text, places)
        if found is None:
            inside = [place for place in places if place.box(text).inside(self.area)]
            found = inside[0] if inside else Place(self.area.left, self.area.bottom, "start")
            self.taken.append(found.box(text))
        return found

    def find(self, text: str, places: Iterable[Place]) -> Place | None:
        """The first free place inside the plot, which is taken from then on. None: there is none."""
        for place in places:
            box = place.box(text)
            if box.inside(self.area) and self._free(box):
                self.taken.append(box)
                return place
        return None

    def _free(self, box: Box) -> bool:
        if any(box.overlaps(other) for other in self.taken):
            return False
        return not any(crosses(box, *ends) for line in self.lines for ends in pairwise(line))


def text_width(text: str) -> float:
    """The estimated width in SVG user units."""
    return sum(FONT_SIZE * (1.0 if east_asian_width(character) in "WF" else 0.6) for character in text)


def crosses(box: Box, start: tuple[float, float], end: tuple[float, float]) -> bool:
    """Whether the straight line from `start` to `end` touches the box (Liang and Barsky, 1984)."""
    first, last = 0.0, 1.0  # the part of the line that lies between the two sides, for x and for y
    for at, to, low, high in zip(start, end, (box.left, box.top), (box.right, box.bottom), strict=True):
        step = to - at
        if step == 0:
            if not low <= at <= high:
                return False
            continue
        one, other = sorted(((low - at) / step, (high - at) / step))
        first, last = max(first, one), min(last, other)
    return first <= last
