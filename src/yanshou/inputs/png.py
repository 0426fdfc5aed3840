"""Decodes a PNG whose chunks are intact, and refuses any other.

    89 PNG │ IHDR │ PLTE tRNS eXIf │ tEXt iCCP … │ IDAT IDAT … │ IEND │ anything
             └ kept: the first picture and what turns it         └ every row is there
                                     └ left out: texts and profiles, which may unpack to gigabytes, and animations

A chunk is length, kind, contents and a checksum over kind and contents. One flipped bit can turn a chunk that changes
the pixels into one of a kind that nobody knows, so a wrong checksum is harmless only in chunks of known, unused kinds.
"""

import io
import struct
import zlib

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from yanshou.errors import PhotoError
from yanshou.inputs.limits import RECOPY, RESAVE, check_size

MAGIC = b"\x89PNG\r\n\x1a\n"
PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf")  # what makes the picture and turns it upright
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
TURNING_TEXTS = (b"Raw profile type exif", b"XML:com.adobe.xmp")  # keywords of texts that may hold an orientation
UNUSED = (
    b"tIME", b"pHYs", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"bKGD", b"hIST", b"sPLT", b"sBIT", b"cICP", b"oFFs", *TEXTS
)  # fmt: skip
# Of each pass of an interlaced picture: first row, step of rows, first column, step of columns.
PASSES = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2), (1, 2, 0, 1))
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type → samples per pixel
BLOCK = 2**20  # bytes that are inflated at once


def size(head: bytes) -> tuple[int, int] | None:
    """Width and height, if the file begins with its header."""
    return struct.unpack_from(">II", head, 16) if head[12:16] == b"IHDR" and len(head) >= 24 else None


def decode(data: bytes) -> Image.Image:
    """The decoded first picture. Raises PhotoError, or what Pillow raises for damaged data, if it is not whole."""
    if found := size(data):
        check_size(*found)
    chunks = _chunks(data)
    image = PngImageFile(io.BytesIO(MAGIC + b"".join(chunks)))
    if image.mode == "P" and image.palette is None:  # Pillow would assume a palette of greys
        raise PhotoError("the photo's data is damaged: the palette of the PNG is missing", RECOPY)
    interlaced = bool(image.info.get("interlace"))
    image.load()
    if (interlaced or _last_row_is_blank(image)) and not _inflates_to(_expected(chunks[0]), chunks):
        raise PhotoError("the photo's data ends early: rows of the PNG are missing", RECOPY)
    _check_palette(image)
    return image


def _chunks(data: bytes) -> list[bytes]:
    """The chunks that make the picture and turn it, whole and intact."""
    kept, position, kind = [], len(MAGIC), b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise PhotoError("the file ends early: the last chunk of the PNG is missing", RECOPY)
        length, kind = struct.unpack_from(">I4s", data, position)
        chunk = data[position : position + 12 + length]
        turning = kind in TEXTS and chunk[8:80].split(b"\0", 1)[0] in TURNING_TEXTS
        if kind in PIXELS or kind not in UNUSED or turning:
            _check(chunk, length)
        if kind in PIXELS or turning:
            kept.append(chunk)
        position += 12 + length
    return kept


def _check(chunk: bytes, length: int) -> None:
    """Raises PhotoError for a chunk that is cut, damaged, or of a kind that is needed and unknown."""
    kind = chunk[4:8]
    name = kind.decode("ascii", "backslashreplace")
    if len(chunk) < 12 + length:
        raise PhotoError(f"the file ends early or is damaged in PNG chunk {name}", RECOPY)
    if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
        raise PhotoError(f"the photo's data is damaged: the checksum of PNG chunk {name} is wrong", RECOPY)
    if kind not in PIXELS and kind[:1].isupper():  # a capital letter: the picture cannot be read without this chunk
        raise PhotoError(f"a PNG with a chunk {name}, which no standard knows", RESAVE)


def _last_row_is_blank(image: Image.Image) -> bool:
    """Whether the last row is all zeros, as Pillow leaves it if the data ends before."""
    width, height = image.size
    return image.crop((0, height - 1, width, height)).getbbox(alpha_only=False) is None


def _inflates_to(expected: int, chunks: list[bytes]) -> bool:
    """Whether the pixels unpack to this number of bytes or more."""
    unpacker, total = zlib.decompressobj(), 0
    for chunk in chunks:
        packed = chunk[8:-4] if chunk[4:8] == b"IDAT" else b""
        while packed and not unpacker.eof and total < expected:
            total += len(unpacker.decompress(packed, BLOCK))
            packed = unpacker.unconsumed_tail
    return total + len(unpacker.flush(BLOCK)) >= expected


def _expected(header: bytes) -> int:
    """Number of bytes of all rows, each with the number of its filter in front."""
    width, height, bits, colours, interlaced = struct.unpack_from(">IIBBxxB", header, 8)
    pixel = bits * CHANNELS[colours]
    passes = PASSES if interlaced else ((0, 1, 0, 1),)
    rows = [(len(range(top, height, down)), len(range(left, width, right))) for top, down, left, right in passes]
    return sum(count * (1 + (columns * pixel + 7) // 8) for count, columns in rows if columns)


def _check_palette(image: Image.Image) -> None:
    """Raises PhotoError if a pixel names a colour that the palette does not have; Pillow makes it black."""
    if image.mode == "P" and image.palette is not None:
        highest = max(colour for colour, count in enumerate(image.histogram()) if count)
        colours = len(image.palette.palette) // 3
        if highest >= colours:
            cause = f"a pixel has colour {highest} of a palette of {colours}"
            raise PhotoError(f"the photo's data is damaged: {cause}", RECOPY)
