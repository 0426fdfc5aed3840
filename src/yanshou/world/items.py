"""How every item of a scene is drawn, each in a box of 68 × 60 units (devices and shields: a whole rack row).

States that a summary must distinguish differ in shape, not only in colour: a loose screw shows its thread, a rusty one
is brown and rough, bare copper is a fan of strands, a double lug is two wires under one head, a tight bend is a full
ring, louvres rise to the right or fall.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import assert_never

from yanshou.world.canvas import SHADOW, Colour, Pen, Point, shade, vary
from yanshou.world.scene import Device, Fastener, Fibre, Shield, Small, Tag, Wires

STEEL: Colour = (186, 190, 196)
DARK: Colour = (38, 40, 46)
COPPER: Colour = (184, 115, 62)
RUST: Colour = (122, 62, 26)
EARTH: Colour = (96, 160, 48)  # the green of a ground wire
EARTH_STRIPE: Colour = (226, 208, 60)
FIBRE: Colour = (240, 196, 40)
STRANDS: Colour = (244, 138, 52)

BOX = (68.0, 60.0)  # width × height of a small item, in units
ROW = 60.0  # height of a rack row, in units


def draw_small(pen: Pen, item: Small, rng: Random) -> None:
    """Draws an item that fits one cell."""
    match item:
        case Fastener():
            FASTENERS[item.place](pen, item.fault, rng)
        case Fibre():
            _fibre(pen, item, rng)
        case Wires():
            _wires(pen, item, rng)
        case Tag():
            _tag(pen, item, rng)
        case _:
            assert_never(item)


# ---- screws and plugs ------------------------------------------------------------------------------------------------


def _head(pen: Pen, fault: str | None, rng: Random) -> None:
    """A screw head: flush, loose (out by the length of its thread), or rusty."""
    x = y = 0.0
    metal = vary(rng, STEEL, 8)
    if fault == "未拧紧":
        x, y = rng.choice((-1, 1)) * rng.uniform(11, 13), -rng.uniform(11, 13)
        pen.disc(0, 0, 6.5, DARK)
        _thread(pen, (x, y))
    if fault == "生锈":
        _rust(pen, rng)
        metal = vary(rng, RUST, 12)
    pen.disc(x + 1.5, y + 2, 9.5, SHADOW)
    pen.disc(x, y, 9, metal, shade(metal, 0.6))
    turn = rng.uniform(0, math.pi / 2)
    for quarter in (0.0, math.pi / 2):
        cx, cy = 5.5 * math.cos(turn + quarter), 5.5 * math.sin(turn + quarter)
        pen.line([(x - cx, y - cy), (x + cx, y + cy)], shade(metal, 0.35), 2.2)


def _thread(pen: Pen, end: Point) -> None:
    """The shaft of a loose screw, from its hole at (0, 0) to its head."""
    pen.line([(0, 0), end], (150, 152, 158), 8)
    ux, uy = _unit(*end)
    for step in range(1, int(math.hypot(*end)), 3):
        x, y = ux * step, uy * step
        pen.line([(x - uy * 4, y + ux * 4), (x + uy * 4, y - ux * 4)], (66, 66, 72), 1.1)


def _rust(pen: Pen, rng: Random) -> None:
    for _ in range(14):
        angle, radius = rng.uniform(0, 2 * math.pi), rng.uniform(5, 15)
        spot = (math.cos(angle) * radius, math.sin(angle) * radius)
        pen.disc(*spot, rng.uniform(2, 4.5), (*vary(rng, RUST, 18)[:3], 200))


def _ground_wire(pen: Pen, fault: str | None, rng: Random, toward: Point) -> None:
    """Lug and ground wire from the screw at the centre, with bare copper between them if that is the fault."""
    dx, dy = toward
    bare = 19 if fault == "露铜" else 0
    if bare:
        _strands(pen, toward, rng)
    start = 14 + bare
    pen.line([(dx * start, dy * start), (dx * 46, dy * 46)], vary(rng, EARTH, 10), 7)
    pen.line([(dx * start, dy * start), (dx * 46, dy * 46)], EARTH_STRIPE, 2.2)
    pen.line([(0, 0), (dx * 15, dy * 15)], shade(STEEL, 0.9), 9)
    pen.disc(0, 0, 11, shade(STEEL, 0.85), shade(STEEL, 0.5))


def _strands(pen: Pen, toward: Point, rng: Random) -> None:
    """Bare copper that fans out from the lug."""
    dx, dy = toward
    for spread in (-5, -3, -1, 1, 3, 5):
        near, far = spread * 0.4, spread * 1.1
        ends = [(dx * 11 - dy * near, dy * 11 + dx * near), (dx * 31 - dy * far, dy * 31 + dx * far)]
        pen.line(ends, vary(rng, STRANDS, 10), 1.6)


def _wired_screw(pen: Pen, fault: str | None, rng: Random, down: bool) -> None:
    toward = (rng.uniform(-0.35, 0.35), 0.62) if down else (0.85, rng.uniform(0.1, 0.4))
    if fault == "复接":
        _ground_wire(pen, None, rng, (0.62, 0.5))
        _ground_wire(pen, None, rng, (-0.62, 0.5))
    else:
        _ground_wire(pen, fault, rng, toward)
    _head(pen, fault, rng)


def _ear_screw(pen: Pen, fault: str | None, rng: Random) -> None:
    """BBU安装螺丝: a screw in the slot of a rack ear, between empty square holes."""
    ear = vary(rng, (208, 208, 204), 12)
    pen.box(-19, -29, 19, 29, ear)
    for y in (-22, 22):
        pen.rect(-5, y - 4, 5, y + 4, DARK)
    pen.rect(-15, -9, 15, 9, shade(ear, 0.55))
    _head(pen, fault, rng)


def _cabinet_screw(pen: Pen, fault: str | None, rng: Random) -> None:
    """机柜处接地螺丝: a screw on the cabinet's dark plate, beside the earth symbol."""
    pen.box(-33, -29, 33, 29, vary(rng, (72, 84, 104), 10))
    for i, half in enumerate((8, 5.5, 3)):
        pen.line([(-23 - half, -16 + i * 4), (-23 + half, -16 + i * 4)], (236, 236, 236), 1.8)
    pen.line([(-23, -26), (-23, -16)], (236, 236, 236), 1.8)
    _wired_screw(pen, fault, rng, down=False)


def _bar_screw(pen: Pen, fault: str | None, rng: Random) -> None:
    """地排处接地螺丝: a screw on a copper bar, between empty holes."""
    bar = vary(rng, COPPER, 12)
    pen.box(-34, -19, 34, 14, bar)
    for x in (-26, 26):
        pen.disc(x, -3, 5, shade(bar, 0.3))
    _wired_screw(pen.at(0, -2), fault, rng, down=True)


def _bbu_plug(pen: Pen, fault: str | None, rng: Random) -> None:
    """BBU端光纤插头: a blue twin plug in the metal cage of a dark front."""
    pen.box(-32, -28, 32, 24, vary(rng, (52, 54, 60), 8))
    for x in (-22, 22):
        pen.rect(x - 8, -22, x + 8, -6, STEEL)
        pen.rect(x - 6, -20, x + 6, -8, DARK)
    pen.rect(-10, -22, 10, -4, (222, 224, 228))
    pen.rect(-8, -20, 8, -6, (12, 12, 14))
    _plug(pen, fault, vary(rng, (40, 92, 190), 14), seat=-14)


def _odf_plug(pen: Pen, fault: str | None, rng: Random) -> None:
    """ODF端光纤插头: a green plug in a row of adapters on a pale panel."""
    pen.box(-34, -28, 34, 24, vary(rng, (226, 224, 214), 8))
    for x in (-23, 23):
        pen.rect(x - 8, -22, x + 8, -4, (42, 128, 84))
        pen.disc(x, -13, 4.5, (236, 236, 230))
    pen.rect(-11, -24, 11, -2, (24, 92, 58))
    pen.rect(-7, -20, 7, -6, (10, 26, 18))
    _plug(pen, fault, vary(rng, (60, 172, 96), 14), seat=-12)


def _plug(pen: Pen, fault: str | None, body: Colour, seat: float) -> None:
    """A plug that is fully inserted, or hangs out and shows its white ferrule."""
    out = 17 if fault else 0
    if out:
        pen.rect(-2.5, seat + 2, 2.5, seat + out + 2, (250, 250, 250))
    top = seat + out
    pen.line([(0, top + 20), (3, 32)], FIBRE, 3)
    pen.rect(-7, top, 7, top + 15, body, shade(body, 0.6))
    pen.rect(-4, top + 15, 4, top + 22, shade(body, 0.5))


FASTENERS: dict[str, Callable[[Pen, str | None, Random], None]] = {
    "BBU安装螺丝": _ear_screw,
    "机柜处接地螺丝": _cabinet_screw,
    "地排处接地螺丝": _bar_screw,
    "ODF端光纤插头": _odf_plug,
    "BBU端光纤插头": _bbu_plug,
}


# ---- fibres, wires, labels -------------------------------------------------------------------------------------------


def _course(gentle: bool, rng: Random) -> list[Point]:
    """The path of a fibre through its box, from left to right: a soft wave, or a line with one full ring."""
    rise = rng.choice((-1, 1)) * rng.uniform(5, 11)
    wave = [(float(x), rise * math.sin(x / 34 * math.pi / 1.6)) for x in range(-33, 34, 3)]
    if gentle:
        return wave
    r, side = rng.uniform(12, 14), rng.choice((-1, 1))
    ring = [(r * math.sin(t / 12 * 2 * math.pi), side * r * (1 - math.cos(t / 12 * 2 * math.pi))) for t in range(13)]
    return [(x, 0.0) for x in range(-33, 0, 3)] + ring + [(x, 0.0) for x in range(3, 34, 3)]


def _fibre(pen: Pen, fibre: Fibre, rng: Random) -> None:
    course = _course(fibre.gentle, rng)
    if not fibre.gentle:  # centred, so that the ring stays inside the box
        lift = sum(y for _, y in course) / len(course)
        course = [(x, y - lift) for x, y in course]
    pen.line([(x + 1.5, y + 3) for x, y in course], SHADOW, 6)
    half = len(course) // 2
    match fibre.protection:
        case None:
            pen.line(course, vary(rng, FIBRE, 12), 2.8)
        case "蛇形管":
            _corrugated(pen, course, rng)
        case "铠装":
            _armoured(pen, course, rng)
        case _:
            _armoured(pen, course[half:], rng)
            _corrugated(pen, course[: half + 1], rng)


def _corrugated(pen: Pen, course: Sequence[Point], rng: Random) -> None:
    """A corrugated plastic tube: wide and pale, with ribs across."""
    pale = vary(rng, (236, 234, 226), 8)
    pen.line(course, pale, 12)
    for (x0, y0), (x1, y1) in pairwise(course):
        dx, dy = _unit(x1 - x0, y1 - y0)
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        pen.line([(x - dy * 6, y + dx * 6), (x + dy * 6, y - dx * 6)], (70, 70, 74), 1.1)


def _armoured(pen: Pen, course: Sequence[Point], rng: Random) -> None:
    """An armoured tube: narrow and blue-grey, with a bright steel winding."""
    steel = vary(rng, (66, 88, 136), 10)
    pen.line(course, steel, 8)
    for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(course)):
        if i % 2:
            dx, dy = _unit(x1 - x0, y1 - y0)
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            pen.line(
                [(x - dy * 4 - dx * 2, y + dx * 4 - dy * 2), (x + dy * 4 + dx * 2, y - dx * 4 + dy * 2)], STEEL, 1.8
            )


def _unit(dx: float, dy: float) -> Point:
    length = math.hypot(dx, dy) or 1.0
    return dx / length, dy / length


WIRE_COLOURS: tuple[Colour, ...] = ((34, 84, 178), (190, 44, 40), (30, 30, 32), (64, 146, 62))


def _wires(pen: Pen, wires: Wires, rng: Random) -> None:
    """Wires from top to bottom: parallel with two white ties, or each on its own path."""
    colours = rng.sample(WIRE_COLOURS, wires.count)
    offset = -(wires.count - 1) / 2
    for i, colour in enumerate(colours):
        if wires.tied:
            course = [((offset + i) * 8.0, y) for y in (-29.0, 29.0)]
        else:
            start, bulge = (offset + i) * 15, rng.choice((-1, 1)) * rng.uniform(8, 13)
            course = [(start + bulge * math.sin((y + 29) / 58 * 2 * math.pi), float(y)) for y in range(-29, 30, 4)]
        pen.line([(x + 1.5, y + 1) for x, y in course], SHADOW, 6)
        pen.line(course, vary(rng, colour, 8), 5)
    if wires.tied:
        for y in (-15, 13):
            half_width = wires.count * 4 + 4
            pen.rect(-half_width, y - 2.5, half_width, y + 2.5, (246, 246, 242), (150, 150, 146))


def _tag(pen: Pen, tag: Tag, rng: Random) -> None:
    """A white or yellow label: printed, or smeared and illegible."""
    card = rng.choice(((246, 246, 240), (248, 226, 96)))
    pen.box(-32, -13, 32, 13, card)
    if tag.text:
        pen.text(0, 0, tag.text, 15, (20, 20, 24))
        return
    for _ in range(5):
        x, y = rng.uniform(-24, 14), rng.uniform(-7, 7)
        pen.line([(x, y), (x + rng.uniform(8, 16), y + rng.uniform(-3, 3))], (150, 148, 140), rng.uniform(3, 5))


# ---- devices and shields ---------------------------------------------------------------------------------------------


def _logo(pen: Pen, brand: str) -> None:
    """The maker's logo, 34 units wide: red petals, blue letters, or three slanted bars, on white."""
    pen.rect(-17, -13, 17, 13, (244, 244, 244))
    if brand == "华为":
        for i in range(7):
            angle = math.pi * (i / 6)
            tip = (-11 * math.cos(angle), 7 - 16 * math.sin(angle))
            pen.line([(0, 9), tip], (206, 24, 36), 3.4)
    elif brand == "中兴":
        pen.text(0, 0, "ZTE", 15, (16, 86, 190))
    else:
        for x in (-8, 0, 8):
            pen.line([(x - 4, 8), (x + 4, -8)], (24, 42, 96), 4.2)


def draw_device(pen: Pen, device: Device, left: float, right: float, logo_x: float, rng: Random) -> None:
    """A BBU one row high from `left` to `right`, and in the row below it what its `need` describes."""
    body = vary(rng, rng.choice(((84, 88, 96), (150, 154, 160), (58, 60, 66))), 10)
    pen.box(left, -27, right, 27, body)
    _front(pen, left, right, logo_x, rng)
    _logo(pen.at(logo_x, -2), device.brand)
    below = pen.at(0, ROW)
    match device.need:
        case "无需安装":
            _adjacent_unit(below, left, right, rng)
        case "未配备":
            _open_slot(below, left, right)
        case _:
            draw_shield(below, Shield(device.brand, device.whole, device.need == "配备"), left, right, logo_x, rng)


def _front(pen: Pen, left: float, right: float, logo_x: float, rng: Random) -> None:
    """Ports and lamps, away from the logo and from both ends."""
    x = left + 14
    while x < right - 26:
        if abs(x + 9 - logo_x) > 32:
            pen.rect(x, -12, x + 18, 4, (20, 20, 24), (120, 122, 126))
            pen.disc(x + 9, 14, 2.4, rng.choice(((70, 230, 90), (70, 230, 90), (240, 180, 40), (60, 60, 60))))
        x += 28


def _adjacent_unit(pen: Pen, left: float, right: float, rng: Random) -> None:
    """Another unit that fills the slot: a vertical grille on a pale front."""
    pale = vary(rng, (176, 170, 156), 10)
    pen.box(left, -26, right, 24, pale)
    x = left + 8
    while x < right - 6:
        pen.line([(x, -17), (x, 15)], shade(pale, 0.45), 3)
        x += 8


def _open_slot(pen: Pen, left: float, right: float) -> None:
    """An empty slot: a dark hole with two rails."""
    pen.rect(left, -27, right, 24, (12, 12, 15))
    for y in (-19, 16):
        pen.line([(left, y), (right, y)], (58, 58, 62), 1.6)


def draw_shield(pen: Pen, shield: Shield, left: float, right: float, logo_x: float, rng: Random) -> None:
    """A bright plate with louvres that rise to the right (upright) or fall to the right (upside down)."""
    plate = vary(rng, (214, 218, 222), 8)
    pen.box(left, -25, right, 23, plate)
    lean = 9 if shield.upright else -9
    x = left + 16
    while x < right - 14:
        if abs(x - logo_x) > 27:
            pen.line([(x - lean, 14), (x + lean, -16)], shade(plate, 0.42), 3.6)
        x += 15
    _logo(pen.at(logo_x, -1), shield.brand)
