"""A canvas in photo pixels: drawn at twice the size with a small tilt, then unevenly lit, blurred and made noisy.

`Canvas` is the whole photo. `Pen` draws one item in the item's own units (origin at its centre), at a position and
scale of the canvas.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

Colour = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]

OVERSAMPLING = 2  # drawn at this multiple and averaged down, because PIL's shapes have hard edges
SHRINK = 0.92  # drawn a little smaller than the photo, so that the tilt moves no corner out of it
SHADOW: Colour = (0, 0, 0, 70)


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's built-in font. It has no Chinese characters, so brands are shown by their logos."""
    return ImageFont.load_default(size)


@lru_cache(maxsize=16)
def noise_bank(sigma: int) -> Image.Image:
    """1024 × 1024 pixels of noise around 128 to crop from: generating noise per photo costs more than the photo."""
    noise = np.random.default_rng(sigma).normal(128, sigma, (1024, 1024, 3))
    return Image.fromarray(noise.round().clip(0, 255).astype(np.uint8))


class Canvas:
    """A photo being drawn. Coordinates are pixels of the finished photo, before the tilt."""

    def __init__(self, width: int, height: int, background: Colour, tilt_degrees: float) -> None:
        self.size = (width, height)
        self.image = Image.new("RGB", (width * OVERSAMPLING, height * OVERSAMPLING), background)
        self.draw = ImageDraw.Draw(self.image, "RGBA")
        angle, scale = math.radians(tilt_degrees), SHRINK * OVERSAMPLING
        self._cos, self._sin = math.cos(angle) * scale, math.sin(angle) * scale

    def point(self, x: float, y: float) -> Point:
        """The position of (x, y) on the oversampled image."""
        width, height = self.size
        dx, dy = x - width / 2, y - height / 2
        return (
            self._cos * dx - self._sin * dy + width / 2 * OVERSAMPLING,
            self._sin * dx + self._cos * dy + height / 2 * OVERSAMPLING,
        )

    def pen(self, x: float, y: float, scale: float) -> "Pen":
        """A pen whose origin is (x, y), with `scale` pixels per unit."""
        return Pen(self, x, y, scale)

    def finish(self, rng: Random) -> Image.Image:
        """The photo: averaged down, unevenly lit, slightly out of focus, with sensor noise."""
        photo = self.image.reduce(OVERSAMPLING)
        photo = ImageChops.multiply(photo, _light(rng, photo.size))
        blur = rng.choice((0.0, 0.0, 0.4, 0.7, 1.0))
        if blur:
            photo = photo.filter(ImageFilter.BoxBlur(blur))
        return _noisy(photo, rng)


def _light(rng: Random, size: tuple[int, int]) -> Image.Image:
    """The light of a room, to multiply with: a 3 × 4 grid of levels of one colour temperature, stretched to `size`."""
    warmth = rng.uniform(-12, 12)
    lamp = Image.new("RGB", (3, 4))
    for x in range(3):
        for y in range(4):
            level = rng.uniform(170, 255)
            lamp.putpixel((x, y), (min(255, int(level + warmth)), int(level), min(255, int(level - warmth))))
    return lamp.resize(size, Image.Resampling.BILINEAR)


def _noisy(photo: Image.Image, rng: Random) -> Image.Image:
    bank = noise_bank(rng.randint(1, 9))
    x, y = rng.randrange(bank.width - photo.width), rng.randrange(bank.height - photo.height)
    return ImageChops.add(photo, bank.crop((x, y, x + photo.width, y + photo.height)), 1, -128)


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws one item in its own units: (0, 0) is its centre, y grows downward, one unit is `scale` pixels."""

    canvas: Canvas
    x: float
    y: float
    scale: float

    def at(self, x: float, y: float, scale: float = 1.0) -> "Pen":
        """A pen for a part of this item."""
        return Pen(self.canvas, self.x + x * self.scale, self.y + y * self.scale, self.scale * scale)

    def polygon(self, points: Sequence[Point], fill: Colour, outline: Colour | None = None) -> None:
        placed = [self._place(p) for p in points]
        self.canvas.draw.polygon(placed, fill=fill, outline=outline, width=max(1, round(self.scale * 2)))

    def rect(self, x0: float, y0: float, x1: float, y1: float, fill: Colour, outline: Colour | None = None) -> None:
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, outline)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: Colour) -> None:
        """A raised plate: shadow below, light edge above."""
        self.rect(x0 + 2, y0 + 2.5, x1 + 2, y1 + 2.5, SHADOW)
        self.rect(x0, y0, x1, y1, fill)
        self.line([(x0, y0), (x1, y0)], shade(fill, 1.25), 1.2)
        self.line([(x0, y1), (x1, y1)], shade(fill, 0.6), 1.2)

    def line(self, points: Sequence[Point], fill: Colour, width: float) -> None:
        placed = [self._place(p) for p in points]
        self.canvas.draw.line(placed, fill=fill, width=max(1, round(width * self.scale * OVERSAMPLING)), joint="curve")

    def disc(self, x: float, y: float, r: float, fill: Colour, outline: Colour | None = None) -> None:
        (cx, cy), radius = self._place((x, y)), r * self.scale * OVERSAMPLING
        box = (cx - radius, cy - radius, cx + radius, cy + radius)
        self.canvas.draw.ellipse(box, fill=fill, outline=outline, width=max(1, round(self.scale * 2)))

    def text(self, x: float, y: float, text: str, size: float, fill: Colour) -> None:
        """Text centred on (x, y), `size` units high."""
        face = font(max(6, round(size * self.scale * OVERSAMPLING)))
        self.canvas.draw.text(self._place((x, y)), text, fill=fill, font=face, anchor="mm")

    def _place(self, p: Point) -> Point:
        return self.canvas.point(self.x + p[0] * self.scale, self.y + p[1] * self.scale)


def shade(colour: Colour, factor: float) -> Colour:
    """A lighter (> 1) or darker (< 1) colour."""
    r, g, b = (min(255, int(c * factor)) for c in colour[:3])
    return (r, g, b)


def vary(rng: Random, colour: Colour, by: int = 14) -> Colour:
    """The colour with a random shift of at most `by` in brightness and 4 per channel, as makers differ."""
    shift = rng.randint(-by, by)
    r, g, b = (max(0, min(255, c + shift + rng.randint(-4, 4))) for c in colour[:3])
    return (r, g, b)
