"""`yanshou.inputs.png`: the picture that was written, or an error for any chunk that is not intact."""

import io
import random
import struct
import zlib

import pytest
from PIL import Image
from support.hostile import png_chunk
from support.photos import encoded, noise, picture

from yanshou.errors import PhotoError
from yanshou.inputs import png
from yanshou.inputs.images import DECODE_ERRORS, load_photo

HARMLESS = (b"tEXt", b"zTXt", b"iTXt", b"tIME", b"pHYs", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"bKGD", b"hIST", b"sPLT")
GREY, RGB, PALETTE = 0, 2, 3  # colour types


def png_of(rows: bytes, *extra: bytes, size=(4, 4), bits=8, colours=RGB, interlaced=0, packed=None) -> bytes:
    """A PNG whose chunks are all intact, whatever is in them."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colours, 0, 0, interlaced))
    data = png_chunk(b"IDAT", zlib.compress(rows) if packed is None else packed)
    return png.MAGIC + header + b"".join(extra) + data + png_chunk(b"IEND", b"")


def row(*values: int) -> bytes:
    """Four pixels in RGB behind the number of the filter that changes nothing."""
    return b"\0" + bytes(values) * 4


def with_chunk(kind: bytes, body: bytes, broken: bool) -> bytes:
    contents, chunk = encoded(picture(), "PNG"), png_chunk(kind, body)
    return contents[:33] + (chunk[:-1] + bytes([chunk[-1] ^ 1]) if broken else chunk) + contents[33:]


@pytest.mark.parametrize("kind", HARMLESS)
def test_wrong_checksum_of_a_chunk_that_is_never_used_is_harmless(kind):
    for broken in (False, True):
        assert png.decode(with_chunk(kind, b"anything\0at all", broken)).tobytes() == picture().tobytes()


@pytest.mark.parametrize("kind", [b"tRNs", b"eXIf", b"vpAg", b"acTL", b"fdAT", b"teXt"])
def test_wrong_checksum_of_any_other_chunk_is_an_error(kind):
    with pytest.raises(PhotoError, match=f"checksum of PNG chunk {kind.decode()} is wrong"):
        png.decode(with_chunk(kind, bytes(13), broken=True))


def test_wrong_checksum_of_a_text_that_may_turn_the_photo_is_an_error():
    for text in (b"Raw profile type exif\0\0x", b"XML:com.adobe.xmp\0\0\0\0\0x"):
        for kind in (b"tEXt", b"iTXt"):
            with pytest.raises(PhotoError, match="checksum"):
                png.decode(with_chunk(kind, text, broken=True))


def test_intact_chunk_that_nobody_knows_is_skipped_unless_the_picture_needs_it():
    assert png.decode(with_chunk(b"caBX", b"provenance", broken=False)).tobytes() == picture().tobytes()
    with pytest.raises(PhotoError, match="chunk CgBI") as caught:  # Apple's own kind of PNG
        png.decode(with_chunk(b"CgBI", bytes(4), broken=False))
    assert "Save it as JPEG or PNG" in caught.value.advice


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
def test_any_flipped_bit_is_an_error_or_changes_nothing(mode, tmp_path):
    contents = encoded(picture(mode), "PNG", **({"transparency": 3} if mode == "P" else {}))
    (tmp_path / "whole.png").write_bytes(contents)
    expected, path, chance = load_photo(tmp_path / "whole.png").image.tobytes(), tmp_path / "1.png", random.Random(1)
    for bit in chance.sample(range(8 * len(contents)), 120):
        damaged = bytearray(contents)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            assert load_photo(path).image.tobytes() == expected
        except PhotoError:
            continue


def test_rows_that_are_missing_are_an_error_and_not_black():
    rows = [row(10, 20, 30), row(40, 50, 60), row(70, 80, 90), row(0, 0, 0)]
    whole = b"".join(rows)
    assert [png.decode(png_of(whole)).getpixel((3, y)) for y in (0, 2)] == [(10, 20, 30), (70, 80, 90)]
    for kept in range(1, 4):
        with pytest.raises(PhotoError, match="rows of the PNG are missing"):
            png.decode(png_of(b"".join(rows[:kept])))
    for packed in (zlib.compress(whole[:26], 0), zlib.compress(whole[:26]) + zlib.compress(whole[26:])):
        with pytest.raises(PhotoError, match="rows of the PNG are missing"):
            png.decode(png_of(b"", packed=packed))
    for packed in (zlib.compress(whole[:30]), zlib.compress(whole)[:-8], b"", b"\0"):
        with pytest.raises(DECODE_ERRORS):
            png.decode(png_of(b"", packed=packed))


def test_black_rows_and_data_that_is_too_long_are_no_error():
    black = Image.new("RGB", (4, 4))
    for rows in (row(0, 0, 0) * 4, row(0, 0, 0) * 9):
        assert png.decode(png_of(rows)).tobytes() == black.tobytes()
    for mode in ("L", "RGB", "RGBA", "P", "1", "LA", "I;16"):
        whole = encoded(Image.new(mode, (33, 17)), "PNG")
        with Image.open(io.BytesIO(whole)) as opened:
            assert png.decode(whole).tobytes() == opened.tobytes()


@pytest.mark.parametrize(
    ("bits", "colours", "channels"), [(8, RGB, 3), (16, RGB, 3), (8, GREY, 1), (1, GREY, 1), (16, GREY, 1)]
)
def test_interlaced_photo_needs_all_seven_passes(bits, colours, channels):
    width, height = 13, 11
    parts, generator = [], random.Random(2)
    for top, down, left, right in png.PASSES:
        columns = len(range(left, width, right))
        for _ in range(top, height, down):
            parts.append(b"\0" + generator.randbytes((columns * bits * channels + 7) // 8))
    whole = b"".join(parts)
    form = {"size": (width, height), "bits": bits, "colours": colours, "interlaced": 1}
    with Image.open(io.BytesIO(png_of(whole, **form))) as opened:
        assert png.decode(png_of(whole, **form)).tobytes() == opened.tobytes()
    for kept in range(1, len(parts), 3):
        with pytest.raises(DECODE_ERRORS):
            png.decode(png_of(b"".join(parts[:kept]), **form))


def test_colour_that_the_palette_does_not_have_is_an_error_and_not_black():
    palette, rows = png_chunk(b"PLTE", bytes([255, 0, 0, 0, 255, 0])), b"".join(b"\0\0\1\0\1" for _ in range(4))
    image = png.decode(png_of(rows, palette, colours=PALETTE)).convert("RGB")
    assert image.getpixel((1, 0)) == (0, 255, 0)
    with pytest.raises(PhotoError, match="colour 2 of a palette of 2"):
        png.decode(png_of(rows[:-1] + b"\2", palette, colours=PALETTE))


def test_first_picture_is_read_whatever_is_behind_it():
    first = noise(3, 40, 30)
    animated = encoded(first, "PNG", save_all=True, append_images=[picture(size=(40, 30))], duration=100)
    for contents in (animated, encoded(first, "PNG") + b"trailer", encoded(first, "PNG") + bytes(512)):
        assert png.decode(contents).convert("RGB").tobytes() == first.tobytes()
    with pytest.raises(PhotoError, match="last chunk of the PNG is missing"):
        png.decode(encoded(first, "PNG")[:-12])
