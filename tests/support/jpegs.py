"""JPEG files cut up and put together: segments, scans, a non-interleaved file."""

import re
import struct

from PIL import Image

from support.photos import encoded

END = b"\xff\xd9"


def segment(kind: int, body: bytes) -> bytes:
    """A marker with its length and body."""
    return bytes([0xFF, kind]) + struct.pack(">H", len(body) + 2) + body


def app1(body: bytes) -> bytes:
    """The segment of EXIF and XMP."""
    return segment(0xE1, body)


def scan_starts(contents: bytes) -> list[int]:
    """Where the scans begin, at their markers."""
    return [found.start() for found in re.finditer(rb"\xff\xda\0", contents)]


def restart_marks(contents: bytes) -> list[int]:
    """Where the restart markers are."""
    return [found.start() for found in re.compile(rb"\xff[\xd0-\xd7]").finditer(contents, scan_starts(contents)[0])]


def one_scan_per_colour(image: Image.Image, quality: int = 90) -> bytes:
    """A sequential JPEG in YCbCr with three scans: Pillow's files of the three channels, which share their tables."""
    channels = [encoded(channel, quality=quality) for channel in image.convert("YCbCr").split()]
    first = channels[0]
    frame, start = first.index(b"\xff\xc0"), scan_starts(first)[0]
    size = first[frame + 5 : frame + 9]
    parts = b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3))
    scans = b"".join(
        segment(0xDA, bytes([1, number, 0, 0, 63, 0])) + channel[scan_starts(channel)[0] + 10 : -2]
        for number, channel in enumerate(channels, 1)
    )
    tables = first[frame + 13 : start]
    return first[:frame] + segment(0xC0, b"\x08" + size + b"\x03" + parts) + tables + scans + END
