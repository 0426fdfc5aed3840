"""Promises of the reckoning: what is planned fits the memory, and a memory that is too small is still tried."""

from types import SimpleNamespace

import pytest
import torch

from yanshou.engines.continuous.size import GIB, OWN, Size, launch_bytes, row_bytes, size

FOUR_B = SimpleNamespace(
    text_config=SimpleNamespace(
        num_hidden_layers=36, num_attention_heads=32, num_key_value_heads=8, head_dim=128, hidden_size=2_560,
        intermediate_size=9_728,
    ),
    vision_config=SimpleNamespace(hidden_size=1_024, intermediate_size=4_096),
)  # fmt: skip
PARAMETERS = 4_440_000_000


def planned(monkeypatch: pytest.MonkeyPatch, gib: float, dtype: torch.dtype, rows: int, scored: bool) -> Size:
    gpu = SimpleNamespace(total_memory=int(gib * GIB))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    return size(FOUR_B, torch.device("cuda:0"), dtype, PARAMETERS * dtype.itemsize, 0.9, rows, scored)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("rows", "scored"), [(1_250, False), (5_700, True)], ids=["photos", "verdicts"])
@pytest.mark.parametrize("gib", [7.6, 11.9, 15.7, 23.6, 39.4, 79.1])
def test_what_is_planned_fits(
    monkeypatch: pytest.MonkeyPatch, gib: float, dtype: torch.dtype, rows: int, scored: bool
) -> None:
    found = planned(monkeypatch, gib, dtype, rows, scored)
    table = (found.slots * found.room + found.scratch) * row_bytes(FOUR_B, dtype)
    used = PARAMETERS * dtype.itemsize + launch_bytes(FOUR_B, dtype, found.tokens) + table + OWN
    assert found.tokens >= found.room >= rows
    assert found.slots == 1 or used <= 0.9 * gib * GIB


@pytest.mark.parametrize(("gib", "slots"), [(7.6, 1), (11.9, 5), (23.6, 56), (79.1, 256)])
def test_slots_of_the_4b_model(monkeypatch: pytest.MonkeyPatch, gib: float, slots: int) -> None:
    assert planned(monkeypatch, gib, torch.bfloat16, 1_250, scored=False).slots == slots


def test_halved_it_ends_at_one_slot_and_a_launch_that_holds_a_photo() -> None:
    sizes = [Size(12, 640, 4_096, 4_096)]
    while sizes[-1].halved(1) != sizes[-1]:
        sizes.append(sizes[-1].halved(1))
    assert [(one.slots, one.tokens, one.scratch) for one in sizes] == [
        (12, 4_096, 4_096), (6, 2_048, 2_048), (3, 1_024, 1_024), (1, 640, 640),
    ]  # fmt: skip
    assert sizes == [sizes[0].halved(times) for times in range(4)]
