"""A damaged photo gives the pixels of the whole one or is refused, except for the kinds that cannot be proven."""

from collections import Counter

import pytest
from support.damaged_photos import DAMAGES, UNPROVABLE, damaged_photos, whole_photos

from yanshou.errors import PhotoError
from yanshou.inputs.images import load_photo

COUNT = 2_200  # ten files of each kind of photo and damage


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """(kind of photo, kind of damage, "same" | "refused" | "other pixels") → number of files."""
    path = tmp_path_factory.mktemp("damaged") / "图片 1.jpg"

    def pixels(contents):
        path.write_bytes(contents)
        image = load_photo(path).image
        return image.size, image.tobytes()

    expected = {photo: pixels(contents) for photo, contents in whole_photos().items()}
    counts = Counter()
    for damaged in damaged_photos(seed=20261128, count=COUNT):
        try:
            outcome = "same" if pixels(damaged.contents) == expected[damaged.photo] else "other pixels"
        except PhotoError:
            outcome = "refused"
        counts[damaged.photo, damaged.kind, outcome] += 1
    return counts


def total(outcomes, **wanted):
    keys = ("photo", "kind", "outcome")
    return sum(
        number
        for key, number in outcomes.items()
        if all(value in key[keys.index(name)] for name, value in wanted.items())
    )


def test_other_pixels_come_only_from_damage_that_cannot_be_proven(outcomes):
    other = {(photo, kind) for photo, kind, outcome in outcomes if outcome == "other pixels"}
    assert not [(photo, kind) for photo, kind in other if photo not in UNPROVABLE.get(kind, ())]
    assert total(outcomes, outcome="other pixels") < 0.2 * COUNT


def test_no_damage_to_a_png_changes_its_pixels(outcomes):
    assert total(outcomes, photo="PNG") == 3 * 10 * len(DAMAGES)
    assert total(outcomes, photo="PNG", outcome="other pixels") == 0


@pytest.mark.parametrize("kind", ["padded behind the end", "video behind the end"])
def test_whole_photo_is_read_whatever_is_behind_it(outcomes, kind):
    assert total(outcomes, kind=kind, outcome="same") == total(outcomes, kind=kind) == 110


@pytest.mark.parametrize("kind", ["end mark lost", "end mark lost, padded"])
def test_whole_jpeg_needs_no_end_mark(outcomes, kind):
    jpegs = {photo for photo in whole_photos() if "JPEG" in photo}
    assert {photo for photo, damage, outcome in outcomes if damage == kind and outcome == "same"} >= jpegs
    assert total(outcomes, photo="JPEG", kind=kind, outcome="refused") == 0


@pytest.mark.parametrize("kind", ["cut", "line breaks converted", "read as text"])
def test_photo_that_is_certainly_damaged_is_always_refused(outcomes, kind):
    assert total(outcomes, kind=kind, outcome="other pixels") == 0
    assert total(outcomes, kind=kind, outcome="refused") >= 0.95 * total(outcomes, kind=kind)
