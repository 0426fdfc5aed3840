"""A mission folder with everything that can be wrong with photos: one bad thing per group, between good groups.

folder/                                  folder is the mission's folder
└── 审核通过/
    ├── QC-20241022-0000001 空文件/图片_1.jpg    → "empty"
    ├── QC-20241022-0000101 eight turns/…        → "ok"
    └── …
"""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.ExifTags import Base

ORIENTATIONS = range(1, 9)


def picture(mode: str = "RGB", size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Four coloured quarters on a gradient: its eight orientations all look different."""
    width, height = size
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    for place, colour in (((0, 0), "red"), ((width // 2, 0), "lime"), ((0, height // 2), "blue")):
        image.paste(colour, (*place, place[0] + width // 2, place[1] + height // 2))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The picture as the bytes of a file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def oriented(orientation: int, kind: str = "JPEG", **options: Any) -> bytes:
    """A file with an EXIF orientation."""
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    return encoded(picture(), kind, exif=exif.tobytes(), **options)


def png_chunk(kind: bytes, contents: bytes) -> bytes:
    """One chunk of a PNG with its checksum."""
    return struct.pack(">I", len(contents)) + kind + contents + struct.pack(">I", zlib.crc32(kind + contents))


def png_bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    """A PNG of a few bytes that would take gigabytes to decode."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + data + png_chunk(b"IEND", b"")


def bad_photos() -> dict[str, tuple[bytes, str]]:
    """Name → what the file holds, and a word of the cause that must be reported."""
    jpeg, png = encoded(picture()), encoded(picture(), "PNG")
    return {
        "空文件": (b"", "empty"),
        "text": ("这不是照片\n".encode(), "text"),
        "zero bytes only": (bytes(4096), "zero bytes"),
        "truncated": (jpeg[: len(jpeg) * 2 // 3], "ends early"),
        "truncated, end mark added": (jpeg[: len(jpeg) * 2 // 3] + b"\xff\xd9", "ends early"),
        "truncated PNG": (png[: len(png) * 2 // 3], "ends early"),
        "damaged PNG": (png[:60] + b"\0\xff\0" + png[63:], "damaged"),
        "bomb": (png_bomb(), "megapixels"),
        "webp": (encoded(picture(), "WEBP"), "WebP"),
        "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "HEIC"),
        "gif": (encoded(picture("P"), "GIF"), "GIF"),
    }


def good_photos() -> dict[str, list[bytes]]:
    """Name → the contents of the group's photos, all of which can be read."""
    sixteen = Image.linear_gradient("L").resize((48, 32)).convert("I").point(lambda grey: grey * 257).convert("I;16")
    return {
        "plain": [encoded(picture())],
        "图片 with spaces": [encoded(picture()), encoded(picture(), "PNG")],
        "emoji 📷": [encoded(picture())],
        "站点【A】（复测）": [encoded(picture(), progressive=True)],
        "eight turns": [oriented(orientation) for orientation in ORIENTATIONS],
        "cmyk": [encoded(picture("CMYK"))],
        "grey": [encoded(picture("L")), encoded(picture("1"), "PNG")],
        "16 bits": [encoded(sixteen, "PNG")],
        "palette with alpha": [encoded(picture("P"), "PNG", transparency=3), encoded(picture("RGBA"), "PNG")],
        "animated": [
            encoded(picture(), "PNG", save_all=True, append_images=[picture("L").convert("RGB")]),
            encoded(picture(), "MPO", save_all=True, append_images=[picture()]),
        ],
    }


def build_hostile_mission(folder: Path, label_dir: str = "审核通过") -> dict[str, str]:
    """Writes the mission; returns "ok" or the word of the cause for each group. `label_dir=""` is the flat layout.

    Beside the groups lie things that are skipped: an empty group, hidden files, a folder called `x.jpg`, a HEIC file.
    """
    expected, parent = {}, folder / label_dir
    for number, (name, (contents, cause)) in enumerate(bad_photos().items(), 1):
        group = f"QC-20241022-{number:07d} {name}"
        _write(parent / group, [encoded(picture()), contents])
        expected[group] = cause
    for number, (name, photos) in enumerate(good_photos().items(), 101):
        group = f"QC-20241022-{number:07d} {name}"
        _write(parent / group, photos)
        expected[group] = "ok"
    _clutter(parent, parent / group)
    return expected


def _write(group: Path, photos: list[bytes]) -> None:
    group.mkdir(parents=True)
    for number, contents in enumerate(photos, 1):
        (group / f"图片_{number}.jpg").write_bytes(contents)


def _clutter(parent: Path, group: Path) -> None:
    (parent / "QC-20241022-0000999 empty group").mkdir()
    (parent / ".DS_Store").write_bytes(b"\0")
    (group / "._图片_1.jpg").write_bytes(b"\0")
    (group / "x.jpg").mkdir()
    (group / "IMG_0001.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
