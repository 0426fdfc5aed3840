"""The structure of a JPEG file: its frame, its scans and where their compressed data lies. Decodes nothing.

FFD8 │ tables, texts │ FFC0 frame │ FFDA scan │ data FFD0 data FFD1 data │ FFDA scan │ data … │ FFD9
                                                └──┘      └──┘      └──┘  segments of one scan
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

SOI, EOI, SOS, DHT, DRI, TEM = 0xD8, 0xD9, 0xDA, 0xC4, 0xDD, 0x01  # kinds of markers
RESTARTS = range(0xD0, 0xD8)
TEXTS = (*range(0xE0, 0xF0), 0xFE)  # what makes no picture: EXIF, profiles, thumbnails, comments
FRAMES = frozenset(range(0xC0, 0xD0)) - {DHT, 0xC8, 0xCC}  # kinds of markers that begin a frame: one per process
SEQUENTIAL, PROGRESSIVE = (0xC0, 0xC1), 0xC2  # processes with Huffman codes
MARKER = re.compile(rb"\xff[^\x00\xff]")  # not FF 00, a stuffed byte
START = len(b"\xff\xd8")  # of the first marker after that of the file
COEFFICIENTS = 64  # of a block


@dataclass(frozen=True, slots=True)
class Frame:
    """What the frame's header says."""

    process: int  # kind of its marker
    bits: int  # per sample
    width: int
    height: int
    sampling: dict[int, tuple[int, int]]  # component → horizontal and vertical sampling factor

    def units(self, components: tuple[int, ...]) -> int:
        """Number of MCUs of a scan of these components: a lone component's blocks, else blocks of all together."""
        widest = max(across for across, _ in self.sampling.values())
        highest = max(down for _, down in self.sampling.values())
        if len(components) > 1:
            return _ceil(self.width, 8 * widest) * _ceil(self.height, 8 * highest)
        across, down = self.sampling[components[0]]
        return _ceil(_ceil(self.width * across, widest), 8) * _ceil(_ceil(self.height * down, highest), 8)


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan, with what the segments before it say about it."""

    frame: Frame
    components: tuple[int, ...]
    band: tuple[int, int]  # first and last coefficient; progressive files only
    approximation: tuple[int, int]  # lowest bit of the coefficients before and after the scan; progressive files only
    intervals: int  # number of segments that the restart interval asks for
    zeros_are_data: bool  # many zero bytes may be data: areas of one colour
    segments: tuple[tuple[int, int], ...]  # start and end of the data between two markers, at most `intervals`
    restarts: bytes  # kinds of the restart markers behind the segments
    end: int
    behind: int | None  # kind of the marker at the end; None: the file ends

    @property
    def in_order(self) -> bool:
        """Whether the restart markers count 0 to 7 again and again."""
        return all(kind == RESTARTS[number % 8] for number, kind in enumerate(self.restarts[: self.intervals - 1]))


@dataclass(slots=True)
class _Tables:
    """What the segments before a scan have said so far."""

    frame: Frame | None = None
    interval: int = 0  # MCUs between two restart markers; 0: none
    zeros: dict[int, int] = field(default_factory=dict)  # class × 16 + number of a code table → what zeros stand for

    def read(self, kind: int, body: bytes) -> None:
        if kind in FRAMES:
            self.frame = _frame(kind, body)
        elif kind == DRI:
            (self.interval,) = struct.unpack_from(">H", body)
        elif kind == DHT:
            while len(body) > 17:  # a table: its number, 16 counts, and the symbols from the shortest code on
                self.zeros[body[0]] = body[17]
                body = body[17 + sum(body[1:17]) :]

    def scan(self, data: bytes, start: int, body: bytes) -> Scan:
        """The scan whose header is `body` and whose data begins at `start`."""
        if self.frame is None:
            raise ValueError("a scan without a frame")
        parts = [(body[1 + 2 * number], body[2 + 2 * number]) for number in range(body[0])]
        first, last, bits = body[1 + 2 * body[0] : 4 + 2 * body[0]]
        components = tuple(part for part, _ in parts)
        intervals = _ceil(self.frame.units(components), self.interval) if self.interval else 1
        zeros_are_data = self._zeros_are_data(tuple(table for _, table in parts), first, bits >> 4)
        segments, restarts, end, behind = _segments(data, start, intervals)
        return Scan(
            self.frame, components, (first, last), (bits >> 4, bits & 15), intervals, zeros_are_data,
            segments, restarts, end, behind,
        )  # fmt: skip

    def _zeros_are_data(self, tables: tuple[int, ...], first: int, refined: int) -> bool:
        """Whether codes of zeros stand for blocks without change (symbol 0), or the scan has bits without codes."""
        assert self.frame is not None
        if self.frame.process == PROGRESSIVE and refined:
            return True
        direct = self.frame.process != PROGRESSIVE or first == 0  # the scan has DC coefficients
        others = self.frame.process != PROGRESSIVE or first > 0  # the scan has AC coefficients
        needed = {table >> 4 for table in tables if direct} | {16 + (table & 15) for table in tables if others}
        return not any(self.zeros.get(number) for number in needed)


def scans(data: bytes) -> Iterator[Scan]:
    """The scans of the first picture, in order. Ends at the end mark, or where the file ends or has no structure."""
    tables, position = _Tables(), START
    while True:
        scan = None
        for kind, start, end in _headers(data, position):
            if kind == SOS:
                scan = tables.scan(data, end, data[start:end])
            elif kind in FRAMES or kind in (DRI, DHT):
                tables.read(kind, data[start:end])
        if scan is None:
            return
        yield scan
        position = scan.end


def frame(head: bytes) -> Frame | None:
    """The frame of a file that begins with these bytes; None if its header is not in them."""
    found = next(((kind, head[start:end]) for kind, start, end in _headers(head, START) if kind in FRAMES), None)
    try:
        return _frame(*found) if found else None
    except struct.error:
        return None


def tables(data: bytes) -> bytes:
    """What the segments in front of the first scan say about the picture: no texts, profiles and thumbnails."""
    return b"".join(data[start:end] for kind, start, end in _headers(data, START) if kind not in TEXTS)


def _headers(data: bytes, position: int) -> Iterator[tuple[int, int, int]]:
    """Kind of each marker from `position` on, and start and end of what belongs to it, up to the header of a scan."""
    while (marker := MARKER.search(data, position)) and marker[0][1] != EOI:
        kind, position = marker[0][1], marker.end()
        if kind in RESTARTS or kind in (SOI, TEM):  # these stand alone
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        yield kind, position + 2, position + length
        if kind == SOS:
            return
        position += length


def _segments(data: bytes, start: int, wanted: int) -> tuple[tuple[tuple[int, int], ...], bytes, int, int | None]:
    """The first segments, kinds of the restart markers behind them, end of the scan, and kind of the marker there.

    Scanners write more restart markers than announced; they are passed over.
    """
    segments: list[tuple[int, int]] = []
    restarts = bytearray()
    for marker in MARKER.finditer(data, start):
        kind = marker[0][1]
        if len(segments) < wanted:
            segments.append((start, marker.start()))
            restarts += marker[0][1:] if kind in RESTARTS else b""
            start = marker.end()
        if kind not in RESTARTS:
            return tuple(segments), bytes(restarts), marker.start(), kind
    if len(segments) < wanted:
        segments.append((start, len(data)))
    return tuple(segments), bytes(restarts), len(data), None


def _frame(kind: int, body: bytes) -> Frame:
    bits, height, width, count = struct.unpack_from(">BHHB", body)
    parts = [struct.unpack_from(">BB", body, 6 + 3 * number) for number in range(count)]
    return Frame(kind, bits, width, height, {part: (factors >> 4 or 1, factors & 15 or 1) for part, factors in parts})


def _ceil(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
