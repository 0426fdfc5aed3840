"""`yanshou.inputs.orientation`: photos are turned exactly as Pillow's `exif_transpose` turns them."""

import io
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from PIL.ExifTags import Base
from PIL.PngImagePlugin import PngInfo
from support.hostile import png_chunk
from support.jpegs import app1
from support.photos import ORIENTATIONS, encoded, oriented, picture

from yanshou.inputs.images import load_photo
from yanshou.inputs.orientation import EXIF_ERRORS, TURNS, turn_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")  # pytest resets the filters
quick = settings(
    max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG, FLOAT = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11)
CODES = {BYTE: "B", SHORT: "H", LONG: "I", SBYTE: "b", UNDEFINED: "B", SSHORT: "h", SLONG: "i", FLOAT: "f"}
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{}"/></x:xmpmeta>'


def tiff(kind: int, value: int, count: int = 1, order: str = "<", others: int = 0) -> bytes:
    """An EXIF block, without the prefix of JPEG, whose orientation comes after `others` other tags."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, others + 1)
    entries = b"".join(struct.pack(order + "HHII", 0x100 + number, LONG, 1, number) for number in range(others))
    stored = struct.pack(order + CODES.get(kind, "I"), value).ljust(4, b"\0")[:4]
    return head + entries + struct.pack(order + "HHI", Base.Orientation, kind, count) + stored + bytes(4)


def jpeg_with(*segments: bytes) -> bytes:
    contents = encoded(picture())
    return contents[:2] + b"".join(segments) + contents[2:]


def png_with(exif: bytes, behind_the_pixels: bool = False) -> bytes:
    contents = encoded(picture(), "PNG")
    place = contents.index(b"IEND") - 4 if behind_the_pixels else 33
    return contents[:place] + png_chunk(b"eXIf", exif) + contents[place:]


def raw_profile(exif: bytes, compressed: bool = True, name: str = "exif") -> bytes:
    """As ImageMagick writes EXIF into a PNG."""
    texts = PngInfo()
    texts.add_text(f"Raw profile type {name}", f"\n{name}\n{len(exif):8}\n{exif.hex()}\n", zip=compressed)
    return encoded(picture(), "PNG", pnginfo=texts)


def xmp_png(turn: int) -> bytes:
    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", XMP.format(turn))
    return encoded(picture(), "PNG", pnginfo=texts)


def as_the_library(contents: bytes) -> Image.Image | None:
    """exif_transpose's picture; None where it fails, on the block as a whole or as it writes the block back."""
    with Image.open(io.BytesIO(contents)) as opened:
        opened.load()
        try:
            return ImageOps.exif_transpose(opened).convert("RGB")
        except EXIF_ERRORS:
            return None


def assert_as_the_library(contents, path):
    path.write_bytes(contents)
    photo, expected = load_photo(path), as_the_library(contents)
    if expected:
        assert photo.image.size == expected.size
        assert photo.image.tobytes() == expected.tobytes()
    return photo


@pytest.mark.parametrize("kind", [SHORT, LONG, SSHORT, SLONG, FLOAT])
@pytest.mark.parametrize("turn", [3, 6, 8])
def test_every_number_type_turns_the_photo_in_jpeg_and_png(kind, turn, tmp_path):
    exif = tiff(kind, turn, others=3)
    forms = [
        jpeg_with(app1(b"Exif\0\0" + exif)), jpeg_with(app1(b"Exif\0\0Exif\0\0" + exif)), png_with(exif),
        png_with(b"Exif\0\0" + exif), png_with(exif, behind_the_pixels=True), raw_profile(b"Exif\0\0" + exif),
        raw_profile(exif, compressed=False),
    ]  # fmt: skip
    for contents in forms:
        assert assert_as_the_library(contents, tmp_path / "图片 1.jpg").rotated


@pytest.mark.parametrize("turn", ORIENTATIONS)
def test_orientation_of_xmp_turns_the_photo_if_exif_has_none(turn, tmp_path):
    xmp = app1(b"http://ns.adobe.com/xap/1.0/\0" + XMP.format(turn).encode())
    silent, other = tiff(SHORT, 1).replace(b"\x12\x01", b"\x12\x02"), tiff(SHORT, 3)
    for contents in (jpeg_with(xmp), jpeg_with(app1(b"Exif\0\0" + silent), xmp), xmp_png(turn)):
        assert assert_as_the_library(contents, tmp_path / "1.jpg").rotated == (turn != 1)
    assert assert_as_the_library(jpeg_with(app1(b"Exif\0\0" + other), xmp), tmp_path / "1.jpg").rotated


def test_exif_in_several_segments_is_one_block(tmp_path):
    exif = tiff(LONG, 6, others=2)
    cut = len(exif) // 2
    contents = jpeg_with(app1(b"Exif\0\0" + exif[:cut]), app1(b"Exif\0\0" + exif[cut:]))
    assert assert_as_the_library(contents, tmp_path / "1.jpg").rotated


def test_profiles_that_the_library_does_not_read_turn_nothing(tmp_path):
    exif = b"Exif\0\0" + tiff(SHORT, 6)
    assert not assert_as_the_library(raw_profile(exif, name="APP1"), tmp_path / "1.png").rotated
    thumbnail = jpeg_with(app1(b"Exif\0\0" + tiff(SHORT, 1) + oriented(6)))  # only the thumbnail is stored rotated
    assert not assert_as_the_library(thumbnail, tmp_path / "1.jpg").rotated


@pytest.mark.parametrize(("kind", "value", "count"), [
    (SHORT, 0, 1), (SHORT, 9, 1), (SHORT, 65_535, 1), (SLONG, -6, 1), (SHORT, 6, 2), (SHORT, 6, 0), (ASCII, 6, 1),
    (UNDEFINED, 6, 1), (BYTE, 6, 1), (SBYTE, 6, 1), (RATIONAL, 6, 1), (99, 6, 1), (LONG, 6, 2**31),
])  # fmt: skip
def test_unusual_tags_turn_what_the_library_turns(kind, value, count, tmp_path):
    for order in "<>":
        exif = tiff(kind, value, count, order)
        for contents in (jpeg_with(app1(b"Exif\0\0" + exif)), png_with(exif)):
            assert_as_the_library(contents, tmp_path / "1.jpg")


@quick
@given(
    st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 99]), st.integers(0, 9), st.integers(0, 3),
    st.sampled_from("<>"), st.integers(0, 5), st.sampled_from(["jpeg", "png", "raw", "split"]), st.randoms(),
)  # fmt: skip
def test_damaged_blocks_of_all_kinds_turn_what_the_library_turns(
    tmp_path, kind, value, count, order, others, form, chance
):
    exif = bytearray(tiff(kind, value, count, order, others))
    for _ in range(chance.choice([0, 0, 1, 3])):
        exif[chance.randrange(len(exif))] = chance.randrange(256)
    block = bytes(exif[: chance.choice([len(exif), chance.randrange(len(exif))])])
    cut = chance.randrange(len(block) + 1)
    contents = {
        "jpeg": lambda: jpeg_with(app1(b"Exif\0\0" + block)), "png": lambda: png_with(block),
        "raw": lambda: raw_profile(block),
        "split": lambda: jpeg_with(app1(b"Exif\0\0" + block[:cut]), app1(b"Exif\0\0" + block[cut:])),
    }[form]()  # fmt: skip
    assert_as_the_library(contents, tmp_path / "1.jpg")


@quick
@given(st.binary(max_size=80), st.sampled_from([b"", b"Exif\0\0II*\0", b"Exif\0\0MM\0*", b"MM\0*\0\0\0\x08"]))
def test_noise_instead_of_exif_turns_nothing_or_what_its_tag_says(noise, start):
    image = picture()
    image.info["exif"] = start + noise
    assert turn_of(image) in (None, *TURNS.values())
