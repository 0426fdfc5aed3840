"""Reads a photo file as complete, upright RGB pixels, or raises a PhotoError that says why not.

    load_photo(Path("…/QC-20241022-0015063_1.jpg"), exif="apply")
    │  read once         a regular file, not empty, not huge; a pipe or a dangling link never blocks
    │  type              JPEG or PNG by content, whatever the name; errors name the type of any other file
    │  size              at most MAX_PIXELS by the header, checked before decoding
    │  decode            complete or an error: LOAD_TRUNCATED_IMAGES is switched off
    │  orientation       rotated or mirrored once, according to EXIF; a damaged EXIF block is ignored
    ▼  to_rgb            transparency on white, 16 bits scaled to 8, CMYK and palettes converted
    Photo(image=<PIL.Image.Image mode=RGB size=934x1920>, rotated=False)

Detected: any damage to a PNG, by its checksums; a baseline JPEG (what phones write) that ends early, even if an end
mark was appended, unless only the last few bytes (one or two blocks of 8×8 pixels) are missing.
Not detected: flipped bits inside JPEG data, which has no checksums; a progressive JPEG that was cut and then given an
end mark, which decodes blurred.

Colour profiles are not applied, as in the pipelines that train checkpoints. Of animations and multi-picture files the
first picture is read. The result carries no EXIF, so no later step can rotate it again, and a thumbnail made of it
reveals no GPS position.
"""

import io
import re
import stat
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFile
from PIL.ExifTags import Base
from PIL.Image import Transpose
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from yanshou.errors import PhotoError
from yanshou.settings import ExifMode

MAX_PIXELS = 200_000_000  # width × height; phones make up to 200 megapixels. Pillow's RGB takes 4 bytes per pixel
MAX_BYTES = 512 * 2**20  # of a file, which is read into memory as a whole

TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}  # EXIF orientation → the transposition that undoes it

ADVICE = "Save it as JPEG or PNG or take it out of the folder, then run again: only this group is redone."
RECOPY = "Copy it again from its source or take it out of the folder, then run again: only this group is redone."

# What a file is if it is neither JPEG nor PNG: the first pattern that matches its start. A library such as filetype
# does not know HTML pages, text and zero bytes, and gives MIME types where messages need words.
OTHER_TYPES = (
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "a WebP picture"),
    (re.compile(rb"....ftyp(hei|hev|mif1|msf1)", re.DOTALL), "an HEIC picture"),
    (re.compile(rb"....ftypavi", re.DOTALL), "an AVIF picture"),
    (re.compile(rb"....ftyp", re.DOTALL), "a video"),
    (re.compile(rb"GIF8"), "a GIF picture"),
    (re.compile(rb"BM....\0\0\0\0", re.DOTALL), "a BMP picture"),
    (re.compile(rb"II\*\0|MM\0\*"), "a TIFF picture"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "a JPEG XL picture"),
    (re.compile(rb"%PDF"), "a PDF document"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive or an Office document"),
    (re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE), "an HTML page"),
    (re.compile(rb"\0+\Z"), "nothing but zero bytes"),
    (re.compile(rb"(?:[\t\n\r\x20-\x7e]|[\xc2-\xf4][\x80-\xbf]{1,3})+[\xc2-\xf4]?[\x80-\xbf]{0,2}\Z"), "text"),
)

# Everything that Pillow is known to raise for a damaged file.
DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, OverflowError, IndexError, struct.error, zlib.error)

JPEG_MAGIC = b"\xff\xd8\xff"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo as the model sees it."""

    image: Image.Image  # mode RGB, without EXIF
    rotated: bool  # rotated or mirrored according to the EXIF orientation


def load_photo(photo: Path | Image.Image, exif: ExifMode = "apply") -> Photo:
    """The photo in RGB, upright if `exif` is "apply". A picture in memory is treated like its file. Thread-safe."""
    name = photo if isinstance(photo, Path) else "the picture in memory"
    try:
        image = _decode(_read(photo)) if isinstance(photo, Path) else photo
        turn = TURNS.get(orientation(image)) if exif == "apply" else None
        rgb = to_rgb(image)
        return Photo(rgb.transpose(turn) if turn is not None else rgb, turn is not None)
    except PhotoError as error:  # raised by functions that do not know the name
        raise PhotoError(f"{name}: {error}", error.advice) from error.__cause__
    except MemoryError as error:
        raise PhotoError(f"{name}: not enough memory to decode it", "Use fewer photos at once.") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """A copy in 8-bit RGB: transparency on white, 16 bits scaled and not clipped, all else converted by Pillow."""
    try:
        _load(image)
        if image.mode == "I" or image.mode.startswith("I;16"):
            rgb = _eight_bits(image).convert("RGB")
        elif image.has_transparency_data:
            rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
            rgb = Image.new("RGB", image.size, "white")
            rgb.paste(rgba, mask=rgba.getchannel("A"))
        else:
            rgb = image.convert("RGB")
    except DECODE_ERRORS as error:
        raise PhotoError(f"the photo's data is damaged ({error})", RECOPY) from error
    rgb.info.clear()
    return rgb


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 if there is none or the block is damaged.

    Parsed here because Pillow warns about damaged blocks on stderr, and Python cannot silence warnings per thread.
    """
    exif = image.info.get("exif")
    if not isinstance(exif, bytes):
        return int(image.getexif().get(Base.Orientation, 1))
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, start)
        for number in range(entries):
            tag, kind, count, value = struct.unpack_from(order + "HHIH", tiff, start + 2 + 12 * number)
            if (tag, kind, count) == (Base.Orientation, 3, 1):  # kind 3 is an unsigned short
                return value if value in TURNS else 1
    except struct.error:  # the block ends before its directory does
        pass
    return 1


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would block until something writes to it
            raise PhotoError("not a file but a folder, a pipe or a device", "Take it out of the folder.")
        if status.st_size > MAX_BYTES:
            raise PhotoError(f"{status.st_size:,} bytes is too large for a photo (limit {MAX_BYTES:,})", ADVICE)
        data = path.read_bytes()
    except FileNotFoundError as error:
        cause = "the link's target does not exist" if path.is_symlink() else "there is no such file"
        raise PhotoError(cause, RECOPY) from error
    except OSError as error:
        cause = f"cannot be read ({error.strerror or error})"
        raise PhotoError(cause, "Check its permissions and the disk, then run again.") from error
    if not data:
        raise PhotoError("the file is empty (0 bytes)", RECOPY)
    return data


def _decode(data: bytes) -> Image.Image:
    """The complete first picture. Not by Image.open, which warns about large photos and about unusual EXIF."""
    if data.startswith(JPEG_MAGIC):
        opener = _open_jpeg
    elif data.startswith(PNG_MAGIC):
        opener = _open_png
    else:
        raise PhotoError(f"not a photo but {_what_it_is(data)}", ADVICE)
    try:
        image = opener(data)
        _load(image)
    except PhotoError:  # a ValueError too, but one that already says what is wrong
        raise
    except DECODE_ERRORS as error:
        raise PhotoError(f"the photo's data is damaged or ends early ({error})", RECOPY) from error
    return image


def _load(image: Image.Image) -> None:
    """Decodes all pixels, with the process-wide switch off that makes Pillow fill missing pixels with grey.

    Other libraries turn the switch on when they are imported. All threads write the same value, so no lock is needed.
    """
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    image.load()


class _Jpeg(JpegImageFile):
    """Reads only the first picture of a multi-picture file, and no resolution from EXIF, which is not needed."""

    def _read_dpi_from_exif(self) -> None:
        pass


END = b"\xff\xd9"
STUFFED = b"\xff\x00"  # how JPEG data writes a byte FF; FF before another byte begins a marker
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not FF 00, a stuffed byte, nor FF D0 to D7, a restart
AFTER_END = STUFFED * 8  # 64 bits of ones, which are no code word; the decoder reads up to 57 bits ahead


def _open_jpeg(data: bytes) -> Image.Image:
    """The JPEG ready to be decoded, without the end mark if it is baseline data.

    If data is missing before an end mark, libjpeg silently fills the rest with grey. Without an end mark it asks for
    more data, and Pillow reports a truncated file. So without the mark complete data decodes and cut data is an error.
    """
    image = _Jpeg(io.BytesIO(data))
    _check_size(*image.size)
    assert image.fp is not None
    start = image.fp.tell()  # of the compressed data, after the header of the first scan
    single_scan = data.startswith(b"\xff\xda", start - 8 - 2 * image.layers) and "progressive" not in image.info
    if not single_scan:
        return image
    marker = MARKER.search(data, start)
    if marker and marker[0] == END:
        image = _Jpeg(io.BytesIO(data[: marker.start()] + AFTER_END))
        image.decodermaxblock = len(data)  # decodes in one piece; between pieces, threads compete for Python's lock
        return image
    if data.find(END, start) < 0:
        raise PhotoError("the file ends early: the end mark of the JPEG data is missing", RECOPY)
    raise PhotoError("the photo's data is damaged: there is a marker inside the compressed data", RECOPY)


def _open_png(data: bytes) -> Image.Image:
    """The PNG ready to be decoded, made of the chunks of the first picture and its orientation, which are checked.

    Texts and colour profiles, which may unpack to gigabytes, and the frames of an animation are left out.
    """
    if data[12:16] == b"IHDR" and len(data) >= 24:
        _check_size(*struct.unpack_from(">II", data, 16))
    kept, position, kind = [PNG_MAGIC], len(PNG_MAGIC), b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise PhotoError("the file ends early: the last chunk of the PNG is missing", RECOPY)
        length, kind = struct.unpack_from(">I4s", data, position)
        chunk = data[position : position + 12 + length]  # length, kind, contents, checksum
        intact = len(chunk) == 12 + length and zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND") and not intact:
            raise PhotoError(f"the file ends early or is damaged in PNG chunk {kind.decode()}", RECOPY)
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND") or (kind == b"eXIf" and intact):
            kept.append(chunk)
        position += 12 + length
    image = PngImageFile(io.BytesIO(b"".join(kept)))
    if image.mode == "P" and image.palette is None:  # Pillow would assume a palette of greys
        raise PhotoError("the photo's data is damaged: the palette of the PNG is missing", RECOPY)
    return image


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        cause = f"{width:,} × {height:,} is {width * height // 10**6:,} megapixels (limit {MAX_PIXELS // 10**6})"
        raise PhotoError(cause, "Scale it down or take it out of the folder, then run again.")


def _what_it_is(data: bytes) -> str:
    start = data[:512]
    return next((what for pattern, what in OTHER_TYPES if pattern.match(start)), "of an unknown type")


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits and rounded: 65,535 becomes 255. Pillow's own conversion clips at 255."""
    import numpy as np  # imported here because it takes 0.1 s and 16-bit photos are rare

    values = np.asarray(image).astype(np.int64).clip(0, 65_535)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))
