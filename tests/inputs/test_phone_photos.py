"""Photos as phones, cameras, chats and editors write them: the pixels that every viewer shows, or the right words."""

import io
import re
import struct
import zlib

import pytest
from PIL import Image, ImageOps
from PIL.ExifTags import Base
from support.hostile import png_chunk
from support.jpegs import END, app1, segment
from support.photos import encoded, noise, oriented, picture

from yanshou.errors import PhotoError
from yanshou.inputs.images import load_photo

PHOTO = noise(9, 164, 116).crop((4, 4, 164, 116))
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(range(256)) * 20 + END + b"\xff\xd8\xff\xe0"
SAMSUNG = b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data1732790000000SEFHk\0\0\0\x01\0\0\0\0\0\x01\x0a" + bytes(16) + b"SEFT"
GAIN_MAP = encoded(picture("L", (40, 28)))  # as large as Ultra HDR makes it


def exif(turn: int, thumbnail: bytes = b"") -> bytes:
    block = Image.Exif()
    block[Base.Orientation], block[Base.Make] = turn, "SAMSUNG"
    return app1(block.tobytes() + thumbnail)


def upright(contents: bytes) -> Image.Image:
    with Image.open(io.BytesIO(contents)) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")


@pytest.fixture
def load(tmp_path):
    def _load(contents: bytes):
        path = tmp_path / "IMG_20241022_101530.jpg"
        path.write_bytes(contents)
        return load_photo(path)

    return _load


BASE = encoded(PHOTO, quality=92)
FIRST = BASE[:2]


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize(("name", "contents"), {
    "motion photo": lambda head: head + BASE[2:] + MP4,
    "motion photo with its name between": lambda head: head + BASE[2:] + b"MotionPhoto_Data" + MP4,
    "Samsung's trailer": lambda head: head + BASE[2:] + SAMSUNG,
    "Samsung's motion photo": lambda head: head + BASE[2:] + MP4 + SAMSUNG,
    "Ultra HDR": lambda head: head + segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4)) + BASE[2:] + GAIN_MAP,
    "thumbnail turned otherwise": lambda head: head + exif(1, oriented(8)) + BASE[2:],
    "Photoshop": lambda head: head + segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x03\xed\0\0\0\0\0\x02ab") + BASE[2:],
    "half of an ICC profile": lambda head: head + segment(0xE2, b"ICC_PROFILE\0\x01\x02" + bytes(500)) + BASE[2:],
    "a chat's comment": lambda head: head + segment(0xFE, b"Lavc58.54.100\0") + BASE[2:],
    "end mark twice": lambda head: head + BASE[2:] + END,
    "padded with FF": lambda head: head + BASE[2:-2] + b"\xff" * 5 + END,
    "padded to a sector": lambda head: head + BASE[2:] + bytes(2048),
}.items())  # fmt: skip
def test_what_phones_add_changes_neither_pixels_nor_orientation(name, contents, turn, load):
    expected = upright(BASE)
    if turn == 6:
        expected = expected.transpose(Image.Transpose.ROTATE_270)
    photo = load(contents(FIRST + exif(turn)))
    assert photo.rotated == (turn == 6), name
    assert photo.image.tobytes() == expected.tobytes(), name


def test_multi_picture_photo_gives_its_first_picture_upright(load):
    block = Image.Exif()
    block[Base.Orientation] = 6
    second = PHOTO.transpose(Image.Transpose.ROTATE_180)
    contents = encoded(PHOTO, "MPO", save_all=True, append_images=[second], exif=block.tobytes())
    photo = load(contents)
    assert photo.rotated
    assert photo.image.tobytes() == upright(contents).tobytes()
    behind = contents.index(b"\xff\xd8\xff", 100)
    for cut in (behind - 200, behind - 900):  # the first picture is cut, the second one is whole
        with pytest.raises(PhotoError):
            load(contents[:cut] + contents[behind:])


def test_cmyk_of_adobe_is_inverted_as_the_library_inverts_it(load):
    contents = encoded(PHOTO.convert("CMYK"))
    adobe = re.search(rb"\xff\xee\0\x0eAdobe\0.{5}(.)", contents[:200], re.DOTALL)
    assert adobe
    ycck = contents[: adobe.start(1)] + b"\x02" + contents[adobe.end(1) :]
    plain = contents.replace(contents[adobe.start() : adobe.end(1)], b"")
    for form in (contents, ycck, plain):
        assert load(form).image.tobytes() == upright(form).tobytes()
    assert load(encoded(Image.new("CMYK", (16, 16)))).image.getpixel((3, 3)) == (255, 255, 255)


def test_jpeg_in_rgb_and_without_code_tables_is_read_as_the_library_reads_it(load):
    rgb = encoded(PHOTO, keep_rgb=True)
    assert load(rgb).image.tobytes() == upright(rgb).tobytes()
    tables = re.search(rb"\xff\xc4.*?(?=\xff\xda)", BASE, re.DOTALL)  # left out in frames of a camera's video stream
    assert tables
    frame = BASE.replace(tables[0], b"")
    assert load(frame).image.tobytes() == upright(BASE).tobytes()
    with pytest.raises(PhotoError, match="ends early"):
        load(frame[: len(frame) // 2] + END)


@pytest.mark.parametrize(("kind", "what"), [
    ("WEBP", "a WebP picture"), ("GIF", "a GIF picture"), ("BMP", "a BMP picture"), ("TIFF", "a TIFF picture"),
    ("AVIF", "an AVIF picture"), ("PDF", "a PDF document"),
])  # fmt: skip
def test_other_type_under_the_name_of_a_jpeg_is_named(kind, what, load):
    with pytest.raises(PhotoError, match=f"not a photo but {what}") as caught:
        load(encoded(PHOTO, kind))
    assert "Save it as JPEG or PNG" in caught.value.advice


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1", b"msf1"])
def test_photo_of_an_iphone_under_the_name_of_a_jpeg_is_named(brand, load):
    with pytest.raises(PhotoError, match="not a photo but an HEIC picture"):
        load(b"\0\0\0\x24ftyp" + brand + b"\0\0\0\0mif1MiHBMiHE" + bytes(400))


@pytest.mark.parametrize(("start", "what"), [
    (BASE.decode(errors="replace").encode(), "a file that was transferred as text"),
    (encoded(PHOTO, "PNG").replace(b"\r\n", b"\n"), "a file that was transferred as text"),
    (encoded(PHOTO, "PNG").decode(errors="replace").encode(), "a file that was transferred as text"),
    ("﻿<!DOCTYPE html><title>登录</title>".encode(), "an HTML page"),
    (b'{"errcode":40001,"errmsg":"invalid credential"}', "text"),
    (b"data:image/jpeg;base64,/9j/4AAQSkZJRgABAQ", "text"),
])  # fmt: skip
def test_what_a_failed_transfer_leaves_is_named(start, what, load):
    with pytest.raises(PhotoError, match=f"not a photo but {what}"):
        load(start)


def test_transparency_and_depth_are_shown_as_on_white_paper(load):
    see_through = picture("RGBA")
    see_through.putalpha(Image.new("L", see_through.size, 0))
    assert load(encoded(see_through, "PNG")).image.getpixel((5, 5)) == (255, 255, 255)
    grey = Image.merge("LA", (Image.new("L", (4, 4), 0), Image.new("L", (4, 4), 128)))
    assert load(encoded(grey, "PNG")).image.getpixel((1, 1)) == (127, 127, 127)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 4, 0, 0, 0))  # grey and alpha of 16 bits
    row = struct.pack(">B4H", 0, 0, 65_535, 0, 0)
    deep = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(row)) + png_chunk(b"IEND", b"")
    assert [load(deep).image.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 0), (255, 255, 255)]
