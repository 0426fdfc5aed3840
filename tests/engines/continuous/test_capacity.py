"""Promises of the reckoning: what is planned fits the memory, and a memory that is too small is still tried."""

from types import SimpleNamespace

import pytest
import torch

from yanshou.engines.continuous.capacity import GIB, OWN, Capacity, RequestBounds, activation_bytes, row_bytes, size

FOUR_B = SimpleNamespace(
    text_config=SimpleNamespace(
        num_hidden_layers=36, num_attention_heads=32, num_key_value_heads=8, head_dim=128, hidden_size=2_560,
        intermediate_size=9_728,
    ),
    vision_config=SimpleNamespace(hidden_size=1_024, intermediate_size=4_096),
)  # fmt: skip
PARAMETERS = 4_440_000_000


PHOTOS = RequestBounds(rows=1_250, tokens=812, visual=768, scored=False)
LARGE_PHOTOS = RequestBounds(rows=2_600, tokens=2_100, visual=2_048, scored=False)
VERDICTS = RequestBounds(rows=5_700, tokens=5_200, visual=0, scored=True)


def planned(monkeypatch: pytest.MonkeyPatch, gib: float, dtype: torch.dtype, need: RequestBounds) -> Capacity:
    gpu = SimpleNamespace(total_memory=int(gib * GIB))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    return size(FOUR_B, torch.device("cuda:0"), dtype, PARAMETERS * dtype.itemsize, 0.9, need)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("need", [PHOTOS, LARGE_PHOTOS, VERDICTS], ids=["photos", "large photos", "verdicts"])
@pytest.mark.parametrize("gib", [7.6, 11.9, 15.7, 23.6, 39.4, 79.1])
def test_what_is_planned_fits(
    monkeypatch: pytest.MonkeyPatch, gib: float, dtype: torch.dtype, need: RequestBounds
) -> None:
    found = planned(monkeypatch, gib, dtype, need)
    table = (found.slots * found.room + found.scratch) * row_bytes(FOUR_B, dtype)
    used = PARAMETERS * dtype.itemsize + activation_bytes(FOUR_B, dtype, found.tokens) + table + OWN
    assert found.tokens >= found.room >= need.rows
    assert found.tokens >= found.visual >= need.visual
    assert found.slots == 1 or used <= 0.9 * gib * GIB


@pytest.mark.parametrize("gib", [11.9, 15.7, 23.6, 39.4, 79.1])
@pytest.mark.parametrize("need", [PHOTOS, LARGE_PHOTOS], ids=["photos", "large photos"])
def test_a_launch_full_of_the_largest_photos_has_no_padding(
    monkeypatch: pytest.MonkeyPatch, gib: float, need: RequestBounds
) -> None:
    found = planned(monkeypatch, gib, torch.bfloat16, need)
    photos = found.visual // need.visual
    assert found.visual == photos * need.visual
    assert 0 <= found.tokens - photos * need.tokens < 128 or found.tokens == found.room


def test_a_launch_is_no_larger_than_its_sequences_can_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    found = planned(monkeypatch, 79.1, torch.bfloat16, RequestBounds(rows=400, tokens=100, visual=64, scored=False))
    assert found.visual == 128 * 64


@pytest.mark.parametrize(("gib", "slots"), [(7.6, 1), (11.9, 6), (23.6, 56), (79.1, 256)])
def test_slots_of_the_4b_model(monkeypatch: pytest.MonkeyPatch, gib: float, slots: int) -> None:
    assert planned(monkeypatch, gib, torch.bfloat16, PHOTOS).slots == slots


def test_halved_it_ends_at_one_slot_and_a_launch_that_holds_a_photo() -> None:
    sizes = [Capacity(12, 640, 4_096, 3_000, 4_096)]
    while sizes[-1].halved(1) != sizes[-1]:
        sizes.append(sizes[-1].halved(1))
    assert [(*one.shape.values(), one.scratch) for one in sizes] == [
        (12, 4_096, 3_000, 4_096), (6, 2_048, 1_500, 2_048), (3, 1_024, 750, 1_024), (1, 640, 640, 640),
    ]  # fmt: skip
    assert sizes == [sizes[0].halved(times) for times in range(4)]
    assert Capacity(2, 640, 640, 500).halved(1) == Capacity(1, 640, 640, 500)
