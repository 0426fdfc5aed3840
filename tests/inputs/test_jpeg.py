"""`yanshou.inputs.jpeg`: a JPEG gives exactly the pixels that were saved, or an error that says what is missing."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from support.jpegs import END, one_scan_per_colour, restart_marks, scan_starts, segment
from support.photos import encoded, noise, picture

from yanshou.errors import PhotoError
from yanshou.inputs import jpeg
from yanshou.inputs.jpeg_structure import scans

PHOTO = noise(1, 168, 120).crop((4, 4, 164, 116))  # its blocks lie across those of the JPEG: no block is flat
SAVED = {
    "plain": {}, "optimized": {"optimize": True}, "no subsampling": {"subsampling": 0},
    "restarts": {"restart_marker_blocks": 3}, "progressive": {"progressive": True},
    "progressive with restarts": {"progressive": True, "restart_marker_rows": 2},
}  # fmt: skip
MODES = ("L", "RGB", "CMYK")


def decoded(contents: bytes) -> bytes:
    return jpeg.decode(contents).tobytes()


def by_pillow(contents: bytes) -> bytes:
    with Image.open(io.BytesIO(contents)) as opened:
        return opened.tobytes()


@pytest.fixture(params=[(name, mode) for name in SAVED for mode in MODES], ids="-".join)
def saved(request):
    name, mode = request.param
    return encoded(PHOTO.convert(mode), **SAVED[name])


def test_whole_photo_needs_no_end_mark_and_may_be_padded(saved):
    expected = by_pillow(saved)
    ends = (END, b"", b"\xff", END + b"trailer", b"\xff" * 16 + END, b"\xff" * 600)
    for tail in (*ends, bytes(1), bytes(512), bytes(5000), bytes(512) + END):
        assert decoded(saved[:-2] + tail) == expected, tail[:4]


def test_cut_photo_is_an_error_however_it_ends(saved):
    start, end = scan_starts(saved)[0] + 10 + 2 * 3, len(saved) - 2
    for length in range(start, end - 60, (end - start) // 12):
        for tail in (END, b"", bytes(512), bytes(512) + END):
            with pytest.raises((PhotoError, OSError)):
                decoded(saved[:length] + tail)


def test_without_end_mark_not_one_pixel_may_be_missing(saved):
    expected, refused = by_pillow(saved), 0
    for missing in range(1, 60):
        try:
            assert decoded(saved[: -2 - missing]) == expected
        except PhotoError:
            refused += 1
    assert refused >= 57  # some files end with a byte that nothing depends on


def test_data_that_ends_in_a_stuffed_byte_is_not_taken_for_padding():
    wanted = (seed for seed in range(2000) if encoded(noise(seed, 16, 16), quality=95)[-4:-2] == b"\xff\0")
    contents = encoded(noise(next(wanted), 16, 16), quality=95)
    for tail in (END, b"", bytes(600)):
        assert decoded(contents[:-2] + tail) == by_pillow(contents)


@pytest.mark.parametrize("cut", range(1, 10))
def test_progressive_photo_without_its_last_scans_is_an_error_and_not_blurred(cut):
    contents = encoded(PHOTO, progressive=True)
    starts = scan_starts(contents)
    assert len(starts) == 10
    with pytest.raises(PhotoError, match="some of its scans are missing"):
        decoded(contents[: starts[-cut]] + END)


def test_progressive_photo_without_a_scan_in_the_middle_is_an_error():
    contents = encoded(PHOTO, progressive=True)
    starts = scan_starts(contents)
    for number in range(1, len(starts) - 1):
        with pytest.raises((PhotoError, OSError)):
            decoded(contents[: starts[number]] + contents[starts[number + 1] :])


def test_photo_of_one_scan_per_colour_is_read_and_proven():
    contents = one_scan_per_colour(PHOTO)
    expected, starts = by_pillow(contents), scan_starts(contents)
    assert np.abs(np.frombuffer(expected, np.uint8).astype(int) - np.frombuffer(PHOTO.tobytes(), np.uint8)).mean() < 8
    for tail in (END, b"", bytes(512), END + b"trailer"):
        assert decoded(contents[:-2] + tail) == expected
    for start in starts[1:]:  # grey, or without one colour difference
        with pytest.raises(PhotoError, match="scans are missing"):
            decoded(contents[:start] + END)
    for start in starts:
        with pytest.raises(PhotoError, match=r"ends early, before its end mark"):
            decoded(contents[: start + 200] + END)
    for number, start in enumerate(starts[:2]):  # a scan cut in the middle, the next one whole
        with pytest.raises(PhotoError, match="marker inside the compressed data"):
            decoded(contents[: start + 300] + contents[starts[number + 1] :])


def test_restart_markers_that_nobody_announced_are_an_error():
    contents = encoded(PHOTO, restart_marker_blocks=5)
    interval = re.search(rb"\xff\xdd\0\x04..", contents)
    assert interval
    with pytest.raises(PhotoError, match="none are announced"):
        decoded(contents.replace(interval[0], b""))
    with pytest.raises(PhotoError, match="none are announced"):
        decoded(contents.replace(interval[0], segment(0xDD, b"\0\0")))


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_missing_swapped_and_cut_restart_intervals_are_errors(options):
    contents = encoded(PHOTO, restart_marker_blocks=5, **options)
    marks = restart_marks(contents)
    first, second = contents[marks[0] : marks[1]], contents[marks[1] : marks[2]]
    swapped = contents[: marks[0]] + second + first + contents[marks[2] :]
    lost = contents[: marks[0]] + contents[marks[1] :]
    eight_lost = contents[: marks[0]] + contents[marks[8] :]  # the markers count to 8: their order is right
    shortened = contents[: marks[1] - 40] + contents[marks[1] :]
    for damaged in (swapped, lost, eight_lost, shortened):
        with pytest.raises(PhotoError):
            decoded(damaged)


def test_many_small_intervals_are_all_needed():
    contents = encoded(PHOTO, restart_marker_blocks=1)
    (scan,) = scans(contents)
    assert scan.intervals == len(scan.segments) == 70
    assert decoded(contents) == by_pillow(contents)
    tail = contents[scan.segments[30][0] - 2 : -2]
    with pytest.raises(PhotoError, match="30 of 70 restart intervals"):
        decoded(contents.replace(tail, b""))


def test_restart_markers_of_a_scanner_behind_the_last_interval_are_passed_over():
    for options in ({}, {"restart_marker_blocks": 5}):
        contents = encoded(PHOTO, **options)
        for more in (b"\xff\xd2", b"\xff\xd0junk" * 20_000):
            assert decoded(contents[:-2] + more + END) == by_pillow(contents)
            (scan,) = scans(contents[:-2] + more + END)
            assert len(scan.segments) == scan.intervals


def test_lost_sector_is_an_error_and_flat_areas_are_not():
    contents = bytearray(encoded(PHOTO, quality=95))
    middle = (scan_starts(bytes(contents))[0] + len(contents)) // 2
    contents[middle : middle + 512] = bytes(512)
    with pytest.raises(PhotoError, match="lost sector"):
        decoded(bytes(contents))
    for mode in MODES:
        for options in ({}, {"optimize": True}, {"progressive": True}):
            flat = Image.new(mode, (1024, 1024), 255 if mode == "L" else (255,) * len(mode))
            flat.paste(PHOTO.convert(mode), (0, 0))
            whole = encoded(flat, **options)
            assert decoded(whole) == by_pillow(whole)


@pytest.mark.parametrize(("marker", "cause"), [
    (0xC9, "arithmetic"), (0xCA, "arithmetic"), (0xCD, "arithmetic"), (0xC3, "lossless"), (0xC5, "hierarchical"),
])  # fmt: skip
def test_processes_of_which_no_part_can_be_proven_are_refused_in_words(marker, cause):
    contents = encoded(PHOTO).replace(b"\xff\xc0", bytes([0xFF, marker]))
    with pytest.raises(PhotoError, match=cause) as caught:
        decoded(contents)
    assert "Save it as JPEG" in caught.value.advice
    with pytest.raises(PhotoError, match="12 bits per colour"):
        decoded(encoded(PHOTO).replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"))


def test_file_of_endless_scans_is_refused_before_it_is_decoded():
    contents = encoded(PHOTO, progressive=True)
    starts = scan_starts(contents)
    repeated = contents[starts[-1] : -2] * 300  # refines the same bits again and again
    with pytest.raises(PhotoError, match="more than 256 scans"):
        decoded(contents[: starts[0]] + repeated + contents[starts[0] :])


def test_garbage_between_segments_and_comments_behind_the_data_do_not_matter():
    contents = encoded(picture(size=(160, 112)))
    frame = contents.index(b"\xff\xc0")
    for changed in (
        contents[:frame] + b"\xff\xff\xff" + contents[frame:], contents[:frame] + b"junk" + contents[frame:],
        contents[:-2] + segment(0xFE, b"comment") + END, contents[:frame] + segment(0xE5, END * 9) + contents[frame:],
        contents[:-2] + b"\xff\xd0" + END,
    ):  # fmt: skip
        assert decoded(changed) == by_pillow(contents)


def test_thumbnail_and_second_picture_are_not_taken_for_the_photo():
    thumbnail = encoded(PHOTO.resize((40, 28)))
    contents = encoded(PHOTO)
    inside = contents[:2] + segment(0xE1, b"Exif\0\0" + thumbnail) + contents[2:]
    expected = by_pillow(contents)
    assert decoded(inside) == decoded(contents + thumbnail) == expected
    cut = inside[: len(inside) * 2 // 3]
    for behind in (END, thumbnail, b"", END + thumbnail):
        with pytest.raises(PhotoError):
            decoded(cut + behind)


def test_texts_with_windows_line_breaks_are_not_taken_for_converted_ones():
    texts = segment(0xFE, b"one\r\ntwo\r\n" * 4) + segment(0xE1, b"Exif\0\0\r\n\r\n")
    for options in ({"quality": 1, "optimize": True}, {"quality": 100, "optimize": True, "progressive": True}):
        plain = encoded(Image.new("RGB", (400, 300), (90, 90, 90)), **options)
        assert decoded(plain[:2] + texts + plain[2:]) == by_pillow(plain)
        tables = plain.index(b"\xff\xc4" if "progressive" in options else b"\xff\xda")
        assert decoded(plain[:tables] + texts + plain[tables:]) == by_pillow(plain)


def test_converted_line_breaks_are_found_beside_texts_that_have_none():
    contents = encoded(PHOTO).replace(b"\n", b"\r\n")
    with pytest.raises(PhotoError, match="transferred as text, with converted line breaks"):
        jpeg.decode(contents[:2] + segment(0xFE, b"one\ntwo\n") + contents[2:])
