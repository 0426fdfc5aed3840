"""Reads a photo file as complete, upright RGB pixels, or raises a PhotoError that says why not.

    load_photo(Path("…/QC-20241022-0015063_1.jpg"), exif="apply")
    │  open              a regular file, not empty, not huge; a pipe or a dangling link never blocks
    │  type and size     JPEG or PNG by content, whatever the name; at most MAX_PIXELS by the header
    │  memory            waits until the photos that are being decoded leave enough (photo_memory.py)
    │  decode            complete or an error (jpeg.py and png.py say what is proven)
    │  orientation       turned as Pillow's exif_transpose turns it; a damaged EXIF block is ignored
    ▼  to_rgb            transparency on white, 16 bits scaled to 8, CMYK and palettes converted
    Photo(image=<PIL.Image.Image mode=RGB size=934x1920>, rotated=False)

Colour profiles are not applied, as in the pipelines that train checkpoints. Of animations and multi-picture files the
first picture is read, and what is behind it (a phone's video or depth map) is ignored. The result carries no EXIF, so
no later step can rotate it again, and a thumbnail made of it reveals no GPS position.
"""

import re
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from yanshou.errors import PhotoError
from yanshou.inputs import jpeg, png
from yanshou.inputs.limits import MAX_BYTES, RECOPY, RESAVE
from yanshou.inputs.orientation import turn_of
from yanshou.inputs.photo_memory import DECODING, decoding_bytes
from yanshou.settings import ExifMode

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
    (re.compile(rb"\x89PNG|\xef\xbf\xbd(PNG|.*JFIF|.*Exif)", re.DOTALL), "a file that was transferred as text"),
    (re.compile(rb"%PDF"), "a PDF document"),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive or an Office document"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html)", re.IGNORECASE), "an HTML page"),
    (re.compile(rb"\0+\Z"), "nothing but zero bytes"),
    (re.compile(rb"(?:[\t\n\r\x20-\x7e]|[\xc2-\xf4][\x80-\xbf]{1,3})+[\xc2-\xf4]?[\x80-\xbf]{0,2}\Z"), "text"),
)

# Everything that Pillow and the readers of the two formats are known to raise for a damaged file.
DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, OverflowError, IndexError, KeyError, struct.error, zlib.error
)  # fmt: skip

DECODERS = ((jpeg.MAGIC, jpeg.decode), (png.MAGIC, png.decode))
HEAD = 2**20  # bytes that are read before memory is reserved; the header of the picture is almost always in them


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo as the model sees it."""

    image: Image.Image  # mode RGB, without EXIF
    rotated: bool  # rotated or mirrored according to the EXIF orientation


def load_photo(photo: Path | Image.Image, exif: ExifMode = "apply") -> Photo:
    """The photo in RGB, upright if `exif` is "apply". A picture in memory is treated like its file. Thread-safe."""
    with decoded_photo(photo, exif) as decoded:
        return decoded


@contextmanager
def decoded_photo(photo: Path | Image.Image, exif: ExifMode = "apply") -> Iterator[Photo]:
    """`load_photo` for threads that scale the photo down: its memory stays reserved until the end of the block."""
    if isinstance(photo, Image.Image):
        with _named("the picture in memory"):
            decoded = _upright(_from_its_file(photo), photo, exif)
        yield decoded
        return
    with ExitStack() as reserved:
        with _named(photo):
            image = _decode(_read(photo, reserved))
            decoded = _upright(image, image, exif)
        yield decoded


@contextmanager
def _named(name: Path | str) -> Iterator[None]:
    """Puts the photo's name in front of errors, which are raised by functions that do not know it."""
    try:
        yield
    except PhotoError as error:
        raise PhotoError(f"{name}: {error}", error.advice) from error.__cause__
    except MemoryError as error:
        raise PhotoError(f"{name}: not enough memory to decode it", "Use fewer photos at once.") from error


def _from_its_file(image: Image.Image) -> Image.Image:
    """A picture that was opened and not loaded yet, decoded from its file; any other one as it is."""
    if not isinstance(image, (JpegImageFile, PngImageFile)) or not image.tile or image.tell() != 0:
        return image  # made in memory, loaded, or a later frame
    if image.fp is None or image.fp.closed:
        raise PhotoError("it was closed before it was read", "Load it before its file is closed, or give its path.")
    if image.decoderconfig:  # scaled by draft()
        return image
    image.fp.seek(0)
    return _decode(image.fp.read())


def _upright(image: Image.Image, exif_of: Image.Image, exif: ExifMode) -> Photo:
    """The picture in RGB, turned by the EXIF of `exif_of`."""
    rgb = to_rgb(image)
    turn = turn_of(exif_of) if exif == "apply" else None
    return Photo(rgb.transpose(turn) if turn is not None else rgb, turn is not None)


def to_rgb(image: Image.Image) -> Image.Image:
    """A copy in 8-bit RGB: transparency on white, 16 bits scaled and not clipped, all else converted by Pillow."""
    try:
        _refuse_truncated_images()
        image.load()
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


def _read(path: Path, reserved: ExitStack) -> bytes:
    """The file's content, when there is memory to decode it; `reserved` gives the memory back."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would block until something writes to it
            raise PhotoError("not a file but a folder, a pipe or a device", "Take it out of the folder.")
        if status.st_size > MAX_BYTES:
            raise PhotoError(f"{status.st_size:,} bytes is too large for a photo (limit {MAX_BYTES:,})", RESAVE)
        with path.open("rb") as file:
            head = file.read(min(HEAD, status.st_size))
            reserved.enter_context(DECODING.reserve(decoding_bytes(head, status.st_size)))
            data = head + file.read()
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
    decode = next((decode for magic, decode in DECODERS if data.startswith(magic)), None)
    if decode is None:
        raise PhotoError(f"not a photo but {_what_it_is(data)}", RESAVE)
    _refuse_truncated_images()
    try:
        return decode(data)
    except PhotoError:  # a ValueError too, but one that already says what is wrong
        raise
    except DECODE_ERRORS as error:
        raise PhotoError(f"the photo's data is damaged or ends early ({error})", RECOPY) from error


def _refuse_truncated_images() -> None:
    """Switches off, for the process, that Pillow fills missing pixels with grey.

    Other libraries switch it on when they are imported. All threads write the same value, so no lock is needed.
    """
    ImageFile.LOAD_TRUNCATED_IMAGES = False


def _what_it_is(data: bytes) -> str:
    start = data[:512]
    return next((what for pattern, what in OTHER_TYPES if pattern.match(start)), "of an unknown type")


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey scaled to 8 bits and rounded: 65,535 becomes 255. Pillow's own conversion clips at 255."""
    import numpy as np  # imported here because it takes 0.1 s and 16-bit photos are rare

    values = np.asarray(image).clip(0, 65_535).astype(np.uint32)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))
