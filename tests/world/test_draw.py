"""Drawn photos: reproducible from their seed, and every item of the truth is inside the photo."""

from itertools import combinations
from random import Random
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from yanshou.world.canvas import OVERSAMPLING, Canvas
from yanshou.world.draw import FOOT, SIZES, TILT, Place, arrange, draw, fits
from yanshou.world.items import BOX, draw_device, draw_shield, draw_small
from yanshou.world.scene import (
    BLANKS,
    BRANDS,
    PROTECTIONS,
    SCREWS,
    TAGS,
    Device,
    Fastener,
    Fibre,
    Item,
    Need,
    Scene,
    Shield,
    Small,
    Tag,
    Wide,
    Wires,
    random_scene,
)

SMALL: list[Small] = [
    *(Fastener(place, fault) for place, faults in SCREWS.items() for fault in (None, *faults)),
    *(Fibre(protection, gentle) for protection in (None, *PROTECTIONS) for gentle in (True, False)),
    *(Wires(count, tied) for count in (1, 2, 3, 4) for tied in (True, False)),
    *(Tag(text) for text in (None, *TAGS)),
]
NEEDS: tuple[Need, ...] = get_args(Need)
WIDE: list[Wide] = [
    *(Device(brand, whole, need) for brand in BRANDS for whole in (True, False) for need in NEEDS),
    *(Shield(brand, whole, upright) for brand in BRANDS for whole in (True, False) for upright in (True, False)),
]
WHOLE = [item for item in WIDE if item.whole]
SCENES = st.randoms(use_true_random=False).map(random_scene).filter(lambda scene: scene.blank is None)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_draws_the_same_bytes(size: tuple[int, int], seed: int) -> None:
    scene = Scene(
        (Device("中兴", whole=True, need="配备"), Fastener("BBU安装螺丝", "生锈"), Fibre("铠装", gentle=False))
    )

    first, second, other = (draw(scene, Random(number), size) for number in (seed, seed, seed + 100))

    assert first.tobytes() == second.tobytes() != other.tobytes()


@pytest.mark.parametrize("size", SIZES)
def test_every_item_can_be_drawn_at_every_size(size: tuple[int, int]) -> None:
    for item in (*SMALL, *WIDE):
        photo = draw(Scene((item,)), Random(1), size)
        assert (photo.size, photo.mode) == (size, "RGB"), item


@pytest.mark.parametrize("blank", BLANKS)
def test_unrelated_photos_are_drawn_in_every_size(blank: str) -> None:
    sizes = {draw(Scene(blank=blank), Random(seed)).size for seed in range(20)}

    assert sizes == set(SIZES)


def test_items_that_a_summary_distinguishes_look_different() -> None:
    """All items are drawn from the same random numbers on a plain wall, so that only the items differ."""
    pictures = [(item, _single_item(item, Random(5))) for item in (None, *SMALL, *WHOLE)]

    for (one, picture), (other, another) in combinations(pictures, 2):
        difference = np.asarray(ImageChops.difference(picture, another)).max(axis=-1)
        assert (difference > 40).sum() > 25, f"{one} looks like {other}"  # pixels


def _single_item(item: Item | None, rng: Random) -> Image.Image:
    canvas = Canvas(240, 160, (120, 120, 124), tilt_degrees=0)
    pen = canvas.pen(120, 50, 1)
    match item:
        case None:
            pass
        case Device():
            draw_device(pen, item, -100, 100, 10, rng)
        case Shield():
            draw_shield(pen, item, -100, 100, 10, rng)
        case _:
            draw_small(pen, item, rng)
    return canvas.image.reduce(OVERSAMPLING)


@settings(max_examples=60)
@given(SCENES, st.integers(0, 2**32))
def test_items_do_not_overlap_and_stay_inside_the_photo(scene: Scene, seed: int) -> None:
    (width, height), places = arrange(scene.items, Random(seed), SIZES)

    assert sorted(map(repr, (place.item for place in places))) == sorted(map(repr, scene.items))
    for place in places:
        assert 0 <= place.x0 < place.x1 <= width + 0.01
        assert 0 <= place.y0 < place.y1 <= height - FOOT + 0.01  # clear of the watermark
    assert not any(_overlap(one, other) for one, other in combinations(places, 2))


def _overlap(one: Place, other: Place) -> bool:
    """Whether the places overlap by more than a rounding error."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    down = min(one.y1, other.y1) - max(one.y0, other.y0)
    return across > 0.01 and down > 0.01


@settings(max_examples=60)
@given(SCENES, st.integers(0, 2**32), st.sampled_from((-TILT, TILT)))
def test_the_tilt_keeps_small_items_inside_the_photo(scene: Scene, seed: int, tilt: float) -> None:
    (width, height), places = arrange(scene.items, Random(seed), SIZES)
    canvas = Canvas(width, height, (0, 0, 0), tilt)

    for place in places:
        if not isinstance(place.item, Device | Shield):
            x, y = (place.x0 + place.x1) / 2, (place.y0 + place.y1) / 2
            half_width, half_height = BOX[0] / 2 * place.zoom, BOX[1] / 2 * place.zoom
            for corner in ((x - half_width, y - half_height), (x + half_width, y + half_height)):
                across, down = canvas.point(*corner)
                assert 0 <= across <= width * OVERSAMPLING
                assert 0 <= down <= height * OVERSAMPLING


@settings(max_examples=60)
@given(SCENES, st.integers(0, 2**32), st.sampled_from(SIZES))
def test_items_that_fit_can_be_arranged_at_any_random_zoom(scene: Scene, seed: int, size: tuple[int, int]) -> None:
    assume(fits(scene.items, size))

    assert arrange(scene.items, Random(seed), (size,))[0] == size


@settings(max_examples=100)
@given(SCENES)
def test_every_scene_fits_at_least_one_size(scene: Scene) -> None:
    assert any(fits(scene.items, size) for size in SIZES)
