"""Decodes a JPEG and proves at the same time that all its pixels are there.

libjpeg fills what is missing before a marker with grey or blur and only warns, and Pillow drops its warnings. What
tells a whole photo from a part of one is how much data the decoder takes:

    file       FFD8 … FFDA header data │ FFD0 data │ FFD1 data │ FFD9 …
    decoded    FFD8 … FFDA header data FILLER · FFD0 data FILLER · FFD1 data FILLER
                                             └ nothing left over: the segment is whole; something left over: it is cut

Each segment of data is handed to the decoder without the marker behind it, followed by FILLER. If the segment is whole,
the decoder skips the filler as it looks for the marker. If the segment is cut, the decoder waits for more data in the
middle of a block, and bytes are left over. So nothing is decoded twice, and no end mark is needed.

Proven: every segment is whole but for its last one or two blocks of 8×8 pixels, and a file that ends with its data to
the last pixel; no restart marker is missing or out of order; every component and, in progressive files, every bit
of every coefficient has its scan; no lost sector of zero bytes lies in the data, unless zeros are codes for areas of
one colour; line breaks were not converted.
Not proven: bytes in the middle of the data that were changed, inserted or lost otherwise. The data has no checksums,
and its codes soon fall into step again.
Refused because it cannot be proven: arithmetic coding, where missing data is valid data, and lossless JPEG.
"""

import io
import re
import struct
from collections.abc import Iterator, Sequence

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from yanshou.errors import PhotoError
from yanshou.inputs.jpeg_structure import COEFFICIENTS, EOI, PROGRESSIVE, SEQUENTIAL, Frame, Scan, scans, tables
from yanshou.inputs.limits import RECOPY, RESAVE, check_size

MAGIC = b"\xff\xd8\xff"
END = b"\xff\xd9"
FILLER = b"\xff\x00" * 7  # 56 bits of ones, which are no code word; the decoder reads up to 56 bits ahead
OTHER_FILLERS = tuple(bytes([byte]) * 7 for byte in (0x00, 0x5A, 0xA5, 0x96))  # as long, and other pixels if decoded
PROBE = b"\0"  # skipped before a marker, and too little for a decoder that waits in the middle of a block
MAX_SCANS = 256  # encoders write up to a few dozen; a scan of a few bytes can cost as much time as a photo
SECTOR = bytes(256)  # what is certainly zero where a sector of 512 bytes was lost; no photo compresses to this
LINE_FEED = re.compile(rb"(?<!\r)\n")
MANY_LINES = 4  # line feeds; by chance, one in 256 follows a carriage return
TAILS = (0, 1, 2)  # zero bytes of a padded end that may still be data


def decode(data: bytes) -> Image.Image:
    """The decoded first picture. Raises PhotoError, or what Pillow raises for damaged data, if it is not whole."""
    found = _structure(data)
    _check_line_breaks(data, found)
    _check_process(found)
    (start, end), ends_early = found[-1].segments[-1], found[-1].behind is None
    unpadded = _without_padding(data, start, end)
    if end - unpadded >= len(SECTOR) or (unpadded < end and ends_early):
        for tail in TAILS:
            try:
                return _without_end_mark(data[: unpadded + tail])
            except PhotoError:
                continue
        if ends_early:
            cause = (
                f"its last {end - unpadded:,} bytes are zeros, and the photo in front of them cannot be proven whole"
            )
            raise PhotoError(f"the file ends early: {cause}", RECOPY)
    return _without_end_mark(data) if ends_early else _proven(data, found)


def _without_padding(data: bytes, start: int, end: int) -> int:
    """Where the zeros at the end of a segment begin. A zero behind FF is part of it."""
    unpadded = start + len(data[start:end].rstrip(b"\0"))
    return min(end, unpadded + (data[unpadded - 1 : unpadded] == b"\xff"))


def _without_end_mark(data: bytes) -> Image.Image:
    """The decoded picture of a file that ends with its data, or with half of an end mark, proven to the last pixel.

    A cut photo has no end mark either. Its last blocks are missing if the pixels depend on what is put behind the data.
    """
    data = data.rstrip(b"\xff")
    found = _structure(data)
    image = _proven(data, found)
    if any(_proven(data, found, filler).tobytes() != image.tobytes() for filler in OTHER_FILLERS):
        raise PhotoError(_cut(found[-1]), RECOPY)
    return image


class _OpenedJpeg(JpegImageFile):
    """Reads only the first picture of a multi-picture file, and no resolution from EXIF, which is not needed."""

    def _read_dpi_from_exif(self) -> None:
        pass


class _Decoder:
    """libjpeg, fed piece by piece. `left` is what it has not taken, because it waits for more."""

    def __init__(self, image: JpegImageFile) -> None:
        (_, extents, _, args), *_ = image.tile
        image.load_prepare()
        self._decoder = Image._getdecoder(image.mode, "jpeg", args)
        self._decoder.setimage(image.im, extents)
        self.left = b""
        self.finished = False  # all pixels are decoded

    def feed(self, piece: bytes) -> None:
        if self.finished:
            return
        pending = self.left + piece
        taken, error = self._decoder.decode(pending)
        if error < 0:
            raise OSError("libjpeg cannot read it")
        self.finished = taken < 0
        self.left = b"" if self.finished else pending[taken:]

    def close(self) -> None:
        self._decoder.cleanup()


class _Coverage:
    """Which bits of which coefficients the scans so far have given."""

    def __init__(self, frame: Frame) -> None:
        self._progressive = frame.process == PROGRESSIVE
        self._lowest: dict[int, list[int | None]] = {part: [None] * COEFFICIENTS for part in frame.sampling}

    def add(self, scan: Scan) -> None:
        """Raises PhotoError if a scan before this one is missing."""
        first, last = scan.band if self._progressive else (0, COEFFICIENTS - 1)
        before, after = scan.approximation if self._progressive else (0, 0)
        for part in scan.components:
            for coefficient in range(first, last + 1):
                if (self._lowest[part][coefficient] or 0) != before:
                    raise PhotoError("the photo's data is damaged: one of its scans is missing", RECOPY)
                self._lowest[part][coefficient] = after

    @property
    def complete(self) -> bool:
        return all(bit == 0 for bits in self._lowest.values() for bit in bits)


def _check_line_breaks(data: bytes, found: Sequence[Scan]) -> None:
    """Raises PhotoError for a file that was transferred as text: every line feed has got a carriage return in front.

    Texts and profiles in the file may have such lines of their own.
    """
    picture = data[found[0].segments[0][0] : found[-1].end] if found else b""
    parts = (tables(data), picture)
    if not any(map(LINE_FEED.search, parts)) and sum(part.count(b"\n") for part in parts) >= MANY_LINES:
        raise PhotoError("the photo's data is damaged: it was transferred as text, with converted line breaks", RECOPY)


def _structure(data: bytes) -> list[Scan]:
    try:
        return list(scans(data))
    except (struct.error, IndexError, KeyError, ValueError) as error:
        raise PhotoError("the file ends early or is damaged in a header of the JPEG", RECOPY) from error


def _check_process(found: Sequence[Scan]) -> None:
    if not found:
        raise PhotoError("the file ends early: the JPEG has no compressed data", RECOPY)
    frame = found[0].frame
    check_size(frame.width, frame.height)
    if len(found) > MAX_SCANS:
        raise PhotoError(f"a JPEG with more than {MAX_SCANS} scans, each of which would be decoded", RESAVE)
    if frame.process not in (*SEQUENTIAL, PROGRESSIVE):
        what = "arithmetic coding" if frame.process > 0xC8 else "a lossless or hierarchical process"
        raise PhotoError(f"a JPEG with {what}, which cannot be proven whole", RESAVE)
    if frame.bits != 8:
        raise PhotoError(f"a JPEG with {frame.bits} bits per colour, not 8", RESAVE)


def _proven(data: bytes, found: Sequence[Scan], filler: bytes = FILLER) -> Image.Image:
    """The decoded picture, of which every segment that `found` names is whole."""
    image = _OpenedJpeg(io.BytesIO(data))
    check_size(*image.size)
    decoder = _Decoder(image)
    try:
        for scan, piece in _pieces(data, found):
            decoder.feed(piece + filler)
            decoder.feed(PROBE if not decoder.left else b"")
            if decoder.left:
                raise PhotoError(_cut(scan), RECOPY)
        decoder.feed(END)
    finally:
        decoder.close()
    if not decoder.finished:
        raise PhotoError("the photo's data ends early: some of its scans are missing", RECOPY)
    image.tile, image.fp = [], None
    return image


def _pieces(data: bytes, found: Sequence[Scan]) -> Iterator[tuple[Scan, bytes]]:
    """The file in pieces that end with a segment each, up to the last segment that the picture needs."""
    coverage, sent = _Coverage(found[0].frame), 0
    for scan in found:
        if coverage.complete:
            return
        coverage.add(scan)
        _check_segments(data, scan)
        for _, end in scan.segments[: scan.intervals]:
            yield scan, data[sent:end]
            sent = end
    if not coverage.complete:
        raise PhotoError("the photo's data ends early: some of its scans are missing", RECOPY)


def _check_segments(data: bytes, scan: Scan) -> None:
    """Raises PhotoError for what can be seen without decoding."""
    if len(scan.segments) < scan.intervals:
        cause = f"{len(scan.segments):,} of {scan.intervals:,} restart intervals are there"
        raise PhotoError(f"the photo's data ends early: {cause}", RECOPY)
    if not scan.in_order:
        raise PhotoError("the photo's data is damaged: its restart markers are out of order", RECOPY)
    start, end = scan.segments[0][0], scan.segments[-1][1]
    if not scan.zeros_are_data and data.find(SECTOR, start, end) >= 0:
        raise PhotoError("the photo's data is damaged: there is a lost sector, all zero bytes, inside it", RECOPY)


def _cut(scan: Scan) -> str:
    """Why a segment of the scan is not whole, as far as what is behind it tells."""
    if scan.intervals == 1 and scan.restarts:
        return "the photo's data is damaged: there are restart markers where none are announced"
    if scan.behind is None:
        return "the file ends early: the photo's data is not whole, and its end mark is missing"
    if scan.behind == EOI:
        return "the photo's data ends early, before its end mark"
    return "the photo's data is damaged: there is a marker inside the compressed data"
