"""Photos as phones, chats and copies damage them: whole files, and every kind of damage with a seed."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice

from support.jpegs import END, one_scan_per_colour
from support.photos import encoded, noise, oriented

SECTOR = 512  # bytes
LAST_BLOCKS = 64  # bytes: more than the last two blocks, which cannot be proven if something follows them

Damage = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Damaged:
    """A damaged file, and the whole one."""

    photo: str  # what the whole file is
    kind: str  # of the damage
    whole: bytes
    contents: bytes


def whole_photos() -> dict[str, bytes]:
    """One file of each kind that phones, cameras and chats write."""
    image = noise(5, 168, 128).crop((4, 4, 164, 124))  # its blocks lie across those of the JPEG
    return {
        "JPEG": encoded(image, quality=90),
        "JPEG, optimized": encoded(image, optimize=True, quality=95, subsampling=0),
        "JPEG, grey": encoded(image.convert("L")),
        "JPEG, restart markers": encoded(image, restart_marker_rows=1),
        "JPEG, one scan per colour": one_scan_per_colour(image),
        "JPEG, turned": oriented(6),
        "progressive JPEG": encoded(image, progressive=True),
        "progressive JPEG, restart markers": encoded(image, progressive=True, restart_marker_blocks=20),
        "PNG": encoded(image, "PNG"),
        "PNG, palette": encoded(image.convert("P"), "PNG", transparency=3),
        "PNG, grey": encoded(image.convert("L"), "PNG", optimize=True),
    }


def _cut(contents: bytes, chance: random.Random, kept: int = LAST_BLOCKS) -> bytes:
    return contents[: chance.randrange(4, len(contents) - kept)]


def _span(contents: bytes, chance: random.Random) -> slice:
    """A sector, where sectors lie."""
    start = SECTOR * chance.randrange(1, max(2, len(contents) // SECTOR))
    return slice(start, min(start + SECTOR, len(contents)))


def _replace(contents: bytes, place: slice, by: bytes) -> bytes:
    return contents[: place.start] + by + contents[place.stop :]


def _overwrite(byte: int | None) -> Damage:
    def damage(contents: bytes, chance: random.Random) -> bytes:
        place = _span(contents, chance)
        length = place.stop - place.start
        return _replace(contents, place, chance.randbytes(length) if byte is None else bytes([byte]) * length)

    return damage


def _swap(contents: bytes, chance: random.Random) -> bytes:
    one, other = _span(contents, chance), _span(contents, chance)
    return _replace(_replace(contents, one, contents[other]), other, contents[one])


def _flip(contents: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(contents)
    damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _insert(contents: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(2, len(contents))
    return contents[:place] + chance.randbytes(chance.choice([1, 2, 100])) + contents[place:]


DAMAGES: dict[str, Damage] = {
    "cut": lambda contents, chance: _cut(contents, chance, kept=2),
    "cut, end mark added": lambda contents, chance: _cut(contents, chance) + END,
    "cut, filled with zeros": lambda contents, chance: _cut(contents, chance) + bytes(chance.choice([1, 9, 300, 4096])),
    "cut, zeros, end mark": lambda contents, chance: _cut(contents, chance) + bytes(chance.choice([300, 4096])) + END,
    "cut, filled with FF": lambda contents, chance: _cut(contents, chance) + b"\xff" * 600,
    "cut, another photo behind it": lambda contents, chance: _cut(contents, chance) + contents,
    "sector of zeros": _overwrite(0),
    "sector of FF": _overwrite(0xFF),
    "sector of noise": _overwrite(None),
    "sector lost": lambda contents, chance: _replace(contents, _span(contents, chance), b""),
    "sector twice": lambda contents, chance: _replace(contents, (at := _span(contents, chance)), contents[at] * 2),
    "sectors swapped": _swap,
    "flipped bit": _flip,
    "bytes inserted": _insert,
    "line breaks converted": lambda contents, _: contents.replace(b"\n", b"\r\n"),
    "read as text": lambda contents, _: contents.decode(errors="replace").encode(),
    "end mark lost": lambda contents, _: contents[:-2],
    "end mark lost, padded": lambda contents, chance: contents[:-2] + bytes(chance.choice([1, 100, 4096])),
    "padded behind the end": lambda contents, chance: contents + bytes(chance.choice([1, 512])),
    "video behind the end": lambda contents, chance: contents + b"\0\0\0\x18ftypmp42" + chance.randbytes(600),
}


def damaged_photos(seed: int, count: int) -> Iterator[Damaged]:
    """Every kind of photo with every kind of damage, in turn."""
    chance, photos = random.Random(seed), whole_photos()
    pairs = cycle([(photo, kind) for photo in photos for kind in DAMAGES])
    for photo, kind in islice(pairs, count):
        yield Damaged(photo, kind, photos[photo], DAMAGES[kind](photos[photo], chance))


SEQUENTIAL_JPEGS = (
    "JPEG", "JPEG, optimized", "JPEG, grey", "JPEG, restart markers", "JPEG, one scan per colour", "JPEG, turned"
)  # fmt: skip
PROGRESSIVE_JPEGS = ("progressive JPEG", "progressive JPEG, restart markers")
JPEGS = (*SEQUENTIAL_JPEGS, *PROGRESSIVE_JPEGS)

# Damage that leaves no trace: kind → the kinds of photos in which it may pass. A JPEG has no checksums, so bytes that
# were changed, inserted or lost in the middle of its data cannot be seen, and zeros are valid bits of the last scans of
# a progressive file.
UNPROVABLE = {
    "sector of noise": JPEGS, "sector lost": JPEGS, "sector twice": JPEGS, "sectors swapped": JPEGS,
    "flipped bit": JPEGS, "bytes inserted": JPEGS, "sector of zeros": PROGRESSIVE_JPEGS,
    "cut, zeros, end mark": PROGRESSIVE_JPEGS,
    "cut, another photo behind it": JPEGS,  # cut inside EXIF or a table, whose rest is then the other photo's header
}  # fmt: skip
