"""Draws a scene: arranges its items in the photo, draws background and foreground, and draws unrelated photos.

The photo is a grid of cells of about 78 × 70 pixels (times the zoom). A device takes two rows of cells and a shield
one, both at least three cells wide; every other item takes one cell. Nothing overlaps, so every item that the truth
names is visible.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image

from yanshou.world.canvas import Canvas, Colour, Pen, vary
from yanshou.world.items import BOX, ROW, draw_device, draw_shield, draw_small
from yanshou.world.scene import Device, Item, Scene, Wide

SIZES = ((320, 480), (480, 320), (384, 512), (300, 450))  # width × height; the processor resizes the last
CELL = (76.0, 68.0)  # width × height in pixels at zoom 1
TILT = 4.0  # degrees at most, to either side
FOOT = 30  # pixels at the bottom kept for the watermark
ZOOMS = (1.6, 1.3, 1.0)

WALLS: tuple[Colour, ...] = ((112, 116, 122), (162, 160, 152), (72, 78, 88), (138, 146, 150), (190, 186, 178))
SURNAMES = ("Ouyang", "Shangguan", "Zhuge", "Ximen", "Dongfang", "Murong")
GIVEN = ("Yibing", "Qingshan", "Mingyue", "Fanxing", "Chenxi", "Luoye")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item is drawn: the bounds of its cells, in pixels."""

    item: Item
    x0: float
    y0: float
    x1: float
    y1: float
    zoom: float


def draw(scene: Scene, rng: Random, size: tuple[int, int] | None = None) -> Image.Image:
    """The photo of a scene, RGB. `size` is width × height; None takes one of SIZES with room for the items."""
    if scene.blank:
        return _blank(scene.blank, rng, size or rng.choice(SIZES))
    size, places = arrange(scene.items, rng, (size,) if size else tuple(rng.sample(SIZES, len(SIZES))))
    wall = vary(rng, rng.choice(WALLS))
    canvas = Canvas(*size, wall, rng.uniform(-TILT, TILT))
    _background(canvas, wall, rng)
    for place in places:
        _item(canvas, place, rng)
    _foreground(canvas, rng)
    _watermark(canvas, rng)
    return canvas.finish(rng)


def fits(items: Sequence[Item], size: tuple[int, int]) -> bool:
    """Whether a photo of this size has room for the items."""
    return _places(items, Random(0), size, 1.0) is not None


def arrange(
    items: Sequence[Item], rng: Random, sizes: Sequence[tuple[int, int]]
) -> tuple[tuple[int, int], list[Place]]:
    """The chosen size and the place of every item: nothing overlaps, nothing leaves the photo.

    A random zoom sets how large items are drawn; if they have no room, smaller zooms follow. The items must fit one of
    the sizes (see `fits`).
    """
    zooms = ZOOMS[rng.choices((0, 1, 2), (2, 3, 4))[0] :]
    for zoom in (*zooms, 1.0):
        for size in sizes:
            places = _places(items, rng, size, zoom)
            if places is not None:
                return size, places
    raise AssertionError(f"no room for {items} in {sizes}")


def _places(items: Sequence[Item], rng: Random, size: tuple[int, int], zoom: float) -> list[Place] | None:
    """Random places for all items, or None if they don't fit."""
    width, height = size[0], size[1] - FOOT
    columns, rows = int(width / (CELL[0] * zoom)), int(height / (CELL[1] * zoom))
    if columns < 1 or rows < 1:
        return None
    cw, ch = width / columns, height / rows
    free = {(c, r) for c in range(columns) for r in range(rows)}
    places = []
    for item in sorted(items, key=lambda i: -_block(i, columns)[1] * 10 - _block(i, columns)[0]):  # largest first
        w, h = _block(item, columns)
        sides = range(columns - w + 1) if w == 1 else (0, columns - w)  # wide items touch an edge that can cut them off
        options = [(c, r) for c in sides for r in range(rows - h + 1) if _cells(c, r, w, h) <= free]
        if w > columns or not options:
            return None
        c, r = rng.choice(sorted(set(options)))
        free -= _cells(c, r, w, h)
        places.append(Place(item, c * cw, r * ch, (c + w) * cw, (r + h) * ch, zoom))
    return places


def _cells(column: int, row: int, width: int, height: int) -> set[tuple[int, int]]:
    return {(column + i, row + j) for i in range(width) for j in range(height)}


def _block(item: Item, columns: int) -> tuple[int, int]:
    """Columns × rows that an item takes. In a photo too narrow for two wide items, one takes the whole row."""
    if isinstance(item, Wide):
        return (3 if columns >= 6 else max(columns, 3)), (2 if isinstance(item, Device) else 1)
    return 1, 1


def _item(canvas: Canvas, place: Place, rng: Random) -> None:
    if isinstance(place.item, Wide):
        _wide(canvas, place, place.item, rng)
        return
    zoom = place.zoom * rng.uniform(0.92, 1.04)
    slack_x = max(0.0, place.x1 - place.x0 - BOX[0] * zoom) / 2
    slack_y = max(0.0, place.y1 - place.y0 - BOX[1] * zoom) / 2
    x = (place.x0 + place.x1) / 2 + rng.uniform(-slack_x, slack_x)
    y = (place.y0 + place.y1) / 2 + rng.uniform(-slack_y, slack_y)
    draw_small(canvas.pen(x, y, zoom), place.item, rng)


def _wide(canvas: Canvas, place: Place, item: Wide, rng: Random) -> None:
    """A device or shield: completely inside the photo, or cut off by the nearer side edge."""
    rows = 2 if isinstance(item, Device) else 1
    zoom = (place.y1 - place.y0) / (ROW * rows + 10)
    pen = canvas.pen((place.x0 + place.x1) / 2, place.y0 + (ROW / 2 + 3) * zoom, zoom)
    half = (place.x1 - place.x0) / 2 / zoom  # half the width; here and below in the pen's units
    left, right = -half + rng.uniform(14, 24), half - rng.uniform(14, 24)
    if not item.whole:
        at_left = place.x0 <= 0 and (place.x1 < canvas.size[0] - 1 or rng.random() < 0.5)
        left, right = (-half - 60, half - rng.uniform(40, 90)) if at_left else (-half + rng.uniform(40, 90), half + 60)
    seen_left, seen_right = max(left, -half), min(right, half)
    logo_x = (seen_left + seen_right) / 2 + rng.uniform(-0.25, 0.25) * (seen_right - seen_left)
    if isinstance(item, Device):
        draw_device(pen, item, left, right, logo_x, rng)
    else:
        draw_shield(pen, item, left, right, logo_x, rng)


def _background(canvas: Canvas, wall: Colour, rng: Random) -> None:
    """The cabinet: bays, rails, and cables of other equipment."""
    width, height = canvas.size
    pen = canvas.pen(0, 0, 1)
    for _ in range(rng.randint(1, 4)):
        x, y = rng.uniform(-20, width), rng.uniform(-20, height)
        pen.rect(x, y, x + rng.uniform(60, 220), y + rng.uniform(60, 260), vary(rng, wall, 18))
    for x in (rng.uniform(0, 12), width - rng.uniform(0, 12)):
        pen.line([(x, -30), (x, height + 30)], vary(rng, (90, 92, 98)), rng.uniform(3, 7))
    for _ in range(rng.randint(0, 2)):
        _cable(pen, canvas, vary(rng, (48, 48, 52), 10), rng)


def _foreground(canvas: Canvas, rng: Random) -> None:
    """In a quarter of the photos a thin cable crosses the view and hides a little of what is behind it."""
    if rng.random() < 0.25:
        _cable(canvas.pen(0, 0, 1), canvas, (26, 26, 28), rng, width=3.5)


def _cable(pen: Pen, canvas: Canvas, colour: Colour, rng: Random, width: float = 8) -> None:
    w, h = canvas.size
    y0, y1, sag = rng.uniform(0, h), rng.uniform(0, h), rng.uniform(-40, 40)
    steps = [(-30 + (w + 60) * t / 12, y0 + (y1 - y0) * t / 12 + sag * math.sin(math.pi * t / 12)) for t in range(13)]
    pen.line(steps, colour, width)


def _watermark(canvas: Canvas, rng: Random) -> None:
    """Date, position and an invented name, burned in as by the upload app."""
    width, height = canvas.size
    when = f"2025-{rng.randint(1, 12):02}-{rng.randint(1, 28):02} {rng.randint(7, 19):02}:{rng.randint(0, 59):02}"
    where = f"N{rng.uniform(20, 45):.4f} E{rng.uniform(90, 125):.4f}"
    who = f"{rng.choice(SURNAMES)} {rng.choice(GIVEN)}"
    for y, text in ((height - 19, f"{when}  {who}"), (height - 8, where)):
        pen = canvas.pen(width / 2, y, 1)
        pen.text(0.7, 0.7, text, 9, (0, 0, 0, 150))
        pen.text(0, 0, text, 9, (250, 250, 250))


def _blank(kind: str, rng: Random, size: tuple[int, int]) -> Image.Image:
    """An unrelated photo."""
    paper = vary(rng, {"drawing": (196, 208, 226), "form": (238, 236, 228), "floor": (150, 142, 132)}[kind], 12)
    canvas = Canvas(*size, paper, rng.uniform(-TILT, TILT))
    BLANK_PAINTERS[kind](canvas, rng)
    _watermark(canvas, rng)
    return canvas.finish(rng)


def _drawing(canvas: Canvas, rng: Random) -> None:
    width, height = canvas.size
    pen, ink = canvas.pen(0, 0, 1), (40, 58, 110)
    for _ in range(rng.randint(8, 14)):
        x, y = rng.uniform(10, width - 80), rng.uniform(10, height - 80)
        w, h = rng.uniform(30, 120), rng.uniform(30, 120)
        pen.line([(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)], ink, 1.4)
    for _ in range(6):
        x, y = rng.uniform(20, width - 60), rng.uniform(20, height - 60)
        pen.line([(x, y), (x + rng.uniform(-90, 90), y + rng.uniform(-90, 90))], ink, 1.2)


def _form(canvas: Canvas, rng: Random) -> None:
    width, height = canvas.size
    pen, row = canvas.pen(0, 0, 1), rng.uniform(18, 30)
    y = 24.0
    while y < height - 40:
        pen.line([(16, y), (width - 16, y)], (90, 90, 94), 1.2)
        for left in range(24, width - 60, rng.randint(48, 76)):
            pen.line([(left, y + row / 2), (left + rng.uniform(14, 36), y + row / 2)], (70, 70, 78), 3)
        y += row
    for x in (16, width * 0.3, width * 0.62, width - 16):
        pen.line([(x, 24), (x, y - row)], (90, 90, 94), 1.2)


def _floor(canvas: Canvas, rng: Random) -> None:
    width, height = canvas.size
    pen, tile = canvas.pen(0, 0, 1), rng.uniform(60, 110)
    for i in range(-2, int(max(width, height) / tile) + 3):
        pen.line([(i * tile, -30), (i * tile * 1.1 - 20, height + 30)], (104, 98, 90), 2.5)
        pen.line([(-30, i * tile), (width + 30, i * tile + 12)], (104, 98, 90), 2.5)
    for _ in range(rng.randint(0, 12)):
        pen.disc(rng.uniform(0, width), rng.uniform(0, height), rng.uniform(1, 4), (120, 112, 102))


BLANK_PAINTERS = {"drawing": _drawing, "form": _form, "floor": _floor}
