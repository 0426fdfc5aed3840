"""`yanshou.inputs.images`: complete, upright RGB pixels, or a PhotoError that names the photo and the cause."""

import io
import os
import random
import struct
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps
from PIL.ExifTags import Base
from support.hostile import bad_photos, good_photos, png_bomb, png_chunk
from support.photos import ORIENTATIONS, encoded, oriented, picture

from yanshou.errors import PhotoError
from yanshou.inputs import images, limits
from yanshou.inputs.images import load_photo, to_rgb
from yanshou.inputs.orientation import TURNS

quick = settings(max_examples=60, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")  # as yanshou.inputs.orientation does
        yield


@pytest.fixture
def write(tmp_path):
    def _write(contents: bytes, name: str = "图片 1.jpg") -> Path:
        path = tmp_path / name
        path.write_bytes(contents)
        return path

    return _write


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("name", bad_photos())
def test_error_of_an_unreadable_photo_names_file_cause_and_cure(name, write):
    contents, cause = bad_photos()[name]
    path = write(contents)
    with pytest.raises(PhotoError) as caught:
        load_photo(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert cause in str(caught.value)
    assert caught.value.advice
    assert caught.value.step == "load"


@pytest.mark.parametrize("name", good_photos())
def test_readable_photo_is_rgb_without_metadata(name, write):
    for contents in good_photos()[name]:
        photo = load_photo(write(contents))
        assert photo.image.mode == "RGB"
        assert type(photo.image) is Image.Image
        assert photo.image.info == {}
        assert dict(photo.image.getexif()) == {}


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("turn", ORIENTATIONS)
def test_all_eight_orientations_come_out_upright(turn, kind, write):
    contents = oriented(turn, kind)
    with Image.open(io.BytesIO(contents)) as opened:
        upright = ImageOps.exif_transpose(opened)
    photo = load_photo(write(contents))
    assert np.array_equal(pixels(photo.image), pixels(upright))
    assert photo.rotated == (turn != 1)


def test_oriented_photo_matches_its_scene(write):
    scene, exif = picture(), Image.Exif()
    for turn, method in TURNS.items():
        inverse = {Image.Transpose.ROTATE_90: 4, Image.Transpose.ROTATE_270: 2}.get(method)
        stored = scene.transpose(Image.Transpose(inverse) if inverse is not None else method)
        exif[Base.Orientation] = turn
        photo = load_photo(write(encoded(stored, "PNG", exif=exif.tobytes())))
        assert np.array_equal(pixels(photo.image), pixels(scene)), turn


@pytest.mark.parametrize("turn", ORIENTATIONS)
def test_exif_can_be_ignored(turn, write):
    contents = oriented(turn)
    photo = load_photo(write(contents), "ignore")
    assert photo.image.size == picture().size
    assert not photo.rotated


def test_picture_in_memory_is_treated_like_its_file(write):
    contents = oriented(6)
    with Image.open(io.BytesIO(contents)) as opened:
        in_memory = load_photo(opened)
        assert load_photo(ImageOps.exif_transpose(opened)).rotated is False  # the caller has rotated it
    from_file = load_photo(write(contents))
    assert in_memory.rotated
    assert from_file.rotated
    assert np.array_equal(pixels(in_memory.image), pixels(from_file.image))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "MPO"])
def test_picture_that_is_only_opened_is_proven_like_its_file(kind, write):
    contents = encoded(picture(size=(256, 256)), kind, quality=95)
    cut = contents[: len(contents) // 2] + b"\xff\xd9"
    with Image.open(write(contents)) as opened:
        assert np.array_equal(pixels(load_photo(opened).image), pixels(load_photo(write(contents)).image))
        assert opened.size == (256, 256)
        opened.load()  # still possible
    with Image.open(write(cut)) as opened, pytest.raises(PhotoError, match="the picture in memory: the"):
        load_photo(opened)
    with Image.open(write(contents)) as opened:
        opened.draft("RGB", (64, 64))
        assert load_photo(opened).image.size == opened.size
    with Image.open(write(contents)) as opened:
        pass
    with pytest.raises(PhotoError, match="closed before it was read"):
        load_photo(opened)


def test_orientation_set_on_a_picture_in_memory_counts():
    image = picture()
    image.getexif()[Base.Orientation] = 8
    assert load_photo(image).image.size == (32, 48)


def test_photo_with_damaged_exif_is_read_and_nothing_is_printed(write):
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12"
    path = write(encoded(picture(), exif=exif))
    script = f"from pathlib import Path; from yanshou.inputs.images import load_photo; load_photo(Path({str(path)!r}))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout + ran.stderr == ""


@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpeg_is_an_error_wherever_it_is_cut(progressive, write):
    contents = encoded(picture(), progressive=progressive)
    for length in range(2, len(contents) - 1, 7):
        with pytest.raises(PhotoError):
            load_photo(write(contents[:length]))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 3}, {"subsampling": 0}])
def test_cut_jpeg_with_an_appended_end_mark_is_an_error_and_not_grey(mode, options, write):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 64, 3), np.uint8)).convert(mode)
    contents = encoded(noise, **(options if mode == "RGB" or "subsampling" not in options else {}))
    start = contents.index(b"\xff\xda") + 14
    for length in range(start, len(contents) - 100, len(contents) // 40):
        with pytest.raises(PhotoError):
            load_photo(write(contents[:length] + b"\xff\xd9"))


def test_marker_inside_the_compressed_data_is_an_error_and_not_grey(write):
    contents = encoded(picture(size=(256, 256)), quality=95)
    middle = (contents.index(b"\xff\xda") + len(contents)) // 2
    with pytest.raises(PhotoError, match="damaged"):
        load_photo(write(contents[:middle] + b"\xff\xe1" + contents[middle:]))


@quick
@given(
    st.integers(1, 70), st.integers(1, 70), st.sampled_from(["L", "RGB", "CMYK"]), st.booleans(), st.booleans(),
    st.integers(1, 100), st.integers(0, 5), st.sampled_from([b"", b"trailer", b"\xff\xd8\xff\xd9", bytes(40)]),
)  # fmt: skip
def test_complete_jpeg_decodes_as_pillow_decodes_it(
    write, width, height, mode, progressive, optimize, quality, restart, trailer
):
    options = {"restart_marker_blocks": restart} if restart else {}
    contents = encoded(
        picture(mode, (width, height)), progressive=progressive, optimize=optimize, quality=quality, **options
    )
    with Image.open(io.BytesIO(contents)) as opened:
        expected = pixels(opened)
    assert np.array_equal(pixels(load_photo(write(contents + trailer)).image), expected)


def test_truncated_photo_is_an_error_even_if_another_library_allows_truncated_images(write, monkeypatch):
    contents = encoded(picture(), progressive=True)
    for cut in (contents[:-40], encoded(picture(), "PNG")[:-40]):
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        with pytest.raises(PhotoError):
            load_photo(write(cut))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_bytes_give_a_photo_error_or_a_picture(kind, write):
    chance = random.Random(0)
    whole = oriented(6, kind)
    for _ in range(400):
        contents = bytearray(whole)
        for _ in range(chance.choice([1, 1, 3, 10])):
            contents[chance.randrange(len(contents))] = chance.randrange(256)
        try:
            assert load_photo(write(bytes(contents))).image.mode == "RGB"
        except PhotoError:
            continue


def test_any_flipped_bit_of_png_pixels_is_an_error(write):
    contents = encoded(picture(), "PNG")
    data = contents.index(b"IDAT") + 4
    for position in range(data, len(contents) - 12, 5):
        flipped = bytearray(contents)
        flipped[position] ^= 1
        with pytest.raises(PhotoError):
            load_photo(write(bytes(flipped)))


def test_png_without_its_palette_is_an_error_and_not_grey(write):
    contents = encoded(picture("P"), "PNG")
    start = contents.index(b"PLTE") - 4
    end = start + 12 + int.from_bytes(contents[start : start + 4], "big")
    with pytest.raises(PhotoError, match="palette"):
        load_photo(write(contents[:start] + contents[end:]))


def test_decompression_bomb_is_refused_by_its_header(write):
    with pytest.raises(PhotoError, match="50,000 × 50,000 is 2,500 megapixels"):
        load_photo(write(png_bomb()))
    jpeg = bytearray(encoded(picture()))
    size = jpeg.index(b"\xff\xc0") + 5
    jpeg[size : size + 4] = struct.pack(">HH", 65_000, 65_000)
    with pytest.raises(PhotoError, match="megapixels"):
        load_photo(write(bytes(jpeg)))


def test_pixel_limit_is_not_that_of_pillow(write, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert load_photo(write(encoded(picture()))).image.size == (48, 32)
    monkeypatch.setattr(limits, "MAX_PIXELS", 48 * 32 - 1)
    with pytest.raises(PhotoError, match="megapixels"):
        load_photo(write(encoded(picture())))


def test_huge_file_is_refused_before_it_is_read(write, monkeypatch):
    monkeypatch.setattr(images, "MAX_BYTES", 100)
    with pytest.raises(PhotoError, match="too large"):
        load_photo(write(encoded(picture())))


def test_sixteen_bits_are_scaled_and_not_clipped(write):
    values = np.linspace(0, 65_535, 64 * 64).reshape(64, 64)
    path = write(encoded(Image.fromarray(values.astype(np.uint16)), "PNG"))
    grey = pixels(load_photo(path).image)[..., 0]
    assert np.array_equal(grey, (values.astype(np.uint16) / 257).round().astype(int))
    for mode in ("I", "I;16", "I;16B"):
        assert to_rgb(Image.new(mode, (1, 1), 65_535)).getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bit_colour_is_scaled(write):
    row = b"\0" + struct.pack(">6H", 65_535, 0, 0, 0, 32_896, 65_535)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    see_through = png_chunk(b"tRNS", struct.pack(">3H", 65_535, 0, 0))
    for extra in (b"", see_through):
        chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(row)) + png_chunk(b"IEND", b"")
        image = load_photo(write(b"\x89PNG\r\n\x1a\n" + chunks)).image
        assert image.getpixel((1, 0)) == (0, 128, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "La", "RGBa"])
def test_transparency_becomes_white(mode):
    way = {"RGBa": "RGBA", "La": "LA"}.get(mode, mode)
    black = Image.new(way, (2, 2), (0, 0, 0, 0) if way == "RGBA" else (0, 0))
    assert to_rgb(black.convert(mode)).getpixel((0, 0)) == (255, 255, 255)


def test_transparent_palette_entry_and_colour_become_white(write):
    palette = Image.new("P", (2, 2), 1)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    for transparency, expected in ((1, (255, 255, 255)), (0, (0, 0, 255)), (b"\xff\x80", (127, 127, 255))):
        path = write(encoded(palette, "PNG", transparency=transparency))
        assert load_photo(path).image.getpixel((0, 0)) == expected
    for mode, colour in (("L", 0), ("RGB", (0, 0, 0)), ("1", 0)):
        path = write(encoded(Image.new(mode, (2, 2), 0), "PNG", transparency=colour))
        assert load_photo(path).image.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "F"])
def test_picture_in_memory_keeps_its_colours(mode):
    rgb = to_rgb(Image.new("RGB", (2, 2), "white").convert(mode))
    assert rgb.getpixel((0, 0)) == (255, 255, 255)


def test_to_rgb_does_not_change_the_original():
    image = picture()
    image.info["comment"] = "mine"
    to_rgb(image).paste("white", (0, 0, 48, 32))
    assert image.info == {"comment": "mine"}
    assert np.array_equal(pixels(image), pixels(picture()))


def test_first_picture_of_an_animation_is_read(write):
    for contents in good_photos()["animated"]:
        with Image.open(io.BytesIO(contents)) as opened:
            first = pixels(opened)
        assert np.array_equal(pixels(load_photo(write(contents)).image), first)


def test_anything_but_a_file_is_an_error_and_never_blocks(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, cause in {
        "folder": "not a file", "link": "target does not exist", "pipe": "not a file", "loop": "cannot be read",
        "gone": "no such file",
    }.items():  # fmt: skip
        with pytest.raises(PhotoError, match=cause):
            load_photo(tmp_path / f"{name}.jpg")


def test_many_threads_read_what_one_thread_reads(write):
    paths = [
        write(contents, f"{name} {number}.jpg")
        for name, group in good_photos().items()
        for number, contents in enumerate(group)
    ]
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(load_photo, paths * 5))
    for photo, path in zip(parallel, paths * 5, strict=True):
        assert photo.image.tobytes() == load_photo(path).image.tobytes()
