"""Promises of the planner: a plan fits the memory, a resume keeps its capacity, and out-of-memory halves it."""

import logging
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from yanshou.engines.continuous.capacity import (
    CPU_SLOTS,
    GIB,
    MAX_PREFIXES,
    RECORDED,
    RESERVED_BYTES,
    Capacity,
    CapacityPlanner,
    MemoryBudget,
    RequestBounds,
    activation_bytes,
    batch_row_bytes,
    kv_bytes_per_token,
    plan_capacity,
)


def shape(layers: int, heads: int, hidden: int, intermediate: int, tower: tuple[int, int]) -> SimpleNamespace:
    """The config of a checkpoint. `tower`: hidden and intermediate size of the vision tower."""
    text = SimpleNamespace(
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=8, head_dim=128, hidden_size=hidden,
        intermediate_size=intermediate,
    )  # fmt: skip
    return SimpleNamespace(
        text_config=text, vision_config=SimpleNamespace(hidden_size=tower[0], intermediate_size=tower[1])
    )


FOUR_B = shape(36, 32, 2_560, 9_728, (1_024, 4_096))
EIGHT_B = shape(36, 32, 4_096, 12_288, (1_152, 4_304))
THIRTY_TWO_B = shape(64, 64, 5_120, 25_600, (1_152, 4_304))
PARAMETERS = 4_440_000_000  # of 4B
BYTES_OF_32B = 35_120_000_000  # in FP8: 31.6 GB of layers and tower, 3.5 GB of embeddings, head and mergers in 16 bits

PHOTOS = RequestBounds(kv_len=1_250, prefill_tokens=812, visual_tokens=768, scored=False)
LARGE_PHOTOS = RequestBounds(kv_len=2_600, prefill_tokens=2_100, visual_tokens=2_048, scored=False)
VERDICTS = RequestBounds(kv_len=5_700, prefill_tokens=5_200, visual_tokens=0, scored=True)
LONG_VERDICTS = RequestBounds(  # a prompt of 3,000 tokens, three times in a batch
    kv_len=7_400, prefill_tokens=7_100, visual_tokens=0, scored=True, batch_tokens=10_024
)


def budget(gib: float | None, dtype: torch.dtype = torch.bfloat16) -> MemoryBudget:
    """A 4B checkpoint on a GPU with so much memory; None: on a CPU."""
    return MemoryBudget(FOUR_B, dtype, PARAMETERS * dtype.itemsize, None if gib is None else int(gib * GIB), 0.9)


def planner(gib: float | None = None, earlier: dict[str, Any] | None = None) -> CapacityPlanner:
    made = CapacityPlanner(lambda: budget(gib))
    made.pin(earlier or {})
    return made


# ---- what the memory holds ----


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    "bounds", [PHOTOS, LARGE_PHOTOS, VERDICTS, LONG_VERDICTS], ids=["photos", "large photos", "verdicts", "long ones"]
)
@pytest.mark.parametrize("gib", [7.6, 11.9, 15.7, 23.6, 39.4, 79.1])
def test_a_plan_fits_the_memory(gib: float, dtype: torch.dtype, bounds: RequestBounds) -> None:
    found = plan_capacity(budget(gib, dtype), bounds)
    cache = (found.slots * found.slot_len + found.scratch_rows) * kv_bytes_per_token(FOUR_B, dtype)
    activations = activation_bytes(FOUR_B, dtype, found.prefill_batch_tokens)
    used = PARAMETERS * dtype.itemsize + activations + cache + RESERVED_BYTES
    assert found.prefill_batch_tokens >= max(found.slot_len, bounds.batch_tokens)
    assert found.slot_len >= bounds.kv_len
    assert found.prefill_batch_tokens >= found.prefill_batch_visual_tokens >= bounds.visual_tokens
    assert found.slots == 1 or used <= 0.9 * gib * GIB


@pytest.mark.parametrize("gib", [11.9, 15.7, 23.6, 39.4, 79.1])
@pytest.mark.parametrize("bounds", [PHOTOS, LARGE_PHOTOS], ids=["photos", "large photos"])
def test_a_prefill_batch_full_of_the_largest_photos_has_no_padding(gib: float, bounds: RequestBounds) -> None:
    found = plan_capacity(budget(gib), bounds)
    photos = found.prefill_batch_visual_tokens // bounds.visual_tokens
    assert found.prefill_batch_visual_tokens == photos * bounds.visual_tokens
    padding = found.prefill_batch_tokens - photos * bounds.prefill_tokens
    assert 0 <= padding < 128 or found.prefill_batch_tokens == found.slot_len


def test_a_prefill_batch_is_no_larger_than_its_sequences_can_fill() -> None:
    found = plan_capacity(budget(79.1), RequestBounds(kv_len=400, prefill_tokens=100, visual_tokens=64, scored=False))
    assert found.prefill_batch_visual_tokens == 128 * 64


@pytest.mark.parametrize(("gib", "slots"), [(7.6, 1), (11.9, 6), (23.6, 56), (79.1, 256)])
def test_slots_of_the_4b_model(gib: float, slots: int) -> None:
    assert plan_capacity(budget(gib), PHOTOS).slots == slots


@pytest.mark.parametrize(
    ("card", "slots_of_4b", "slots_of_32b"), [(12, 24, 1), (16, 40, 1), (24, 80, 1), (40, 144, 2), (80, 256, 96)]
)
def test_slots_in_fp8(card: int, slots_of_4b: int, slots_of_32b: int) -> None:
    """A card reports 97 % of its nominal memory."""
    in_fp8 = 36 * (2 * 4_096 + 2 * 1_024 + 3 * 9_728) * 2_560 + 24 * (4 * 1_024 + 2 * 4_096) * 1_024
    scales = 36 * (6_144 + 2_560 + 19_456 + 2_560) + 24 * (3_072 + 1_024 + 4_096 + 1_024)
    weight_bytes = 2 * PARAMETERS - in_fp8 + 4 * scales
    made = MemoryBudget(FOUR_B, torch.bfloat16, weight_bytes, int(0.97 * card * GIB), 0.9, fp8=True)
    assert plan_capacity(made, PHOTOS).slots == slots_of_4b
    large = replace(made, config=THIRTY_TWO_B, weight_bytes=BYTES_OF_32B)
    assert plan_capacity(large, PHOTOS).slots == slots_of_32b


DOCUMENTED = (  # config, whether in FP8, bytes of the weights: a column of the tables in docs/fp8.md
    (FOUR_B, False, 8_875_631_616), (FOUR_B, True, 4_945_634_304), (EIGHT_B, False, 17_534_247_392),
    (EIGHT_B, True, 10_184_099_744), (THIRTY_TWO_B, False, 66_714_780_128), (THIRTY_TWO_B, True, 35_117_524_896),
)  # fmt: skip


def planned_row(card: int, fp8_cache: bool, bounds: RequestBounds) -> list[str]:
    """A row of those tables. A dash: one slot, because there is always one, also where its memory is not there."""
    found = []
    for config, fp8, weight_bytes in DOCUMENTED:
        total = int(0.97 * card * GIB)
        made = MemoryBudget(config, torch.bfloat16, weight_bytes, total, 0.9, fp8=fp8, fp8_cache=fp8_cache)
        slots = plan_capacity(made, bounds).slots
        found.append("–" if slots == 1 else str(slots))
    return found


def test_the_slots_in_the_document_are_the_plans_for_the_prompt_of_the_benchmark() -> None:
    page = (Path(__file__).parents[3] / "docs" / "fp8.md").read_text(encoding="utf-8")
    section = page.split("\n## Memory\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) GiB \| (.*) \|$", section, re.MULTILINE)
    bounds = RequestBounds(
        kv_len=1_222, prefill_tokens=802, visual_tokens=768, scored=False, prefix_len=164, batch_tokens=802
    )
    cards = (12, 16, 24, 40, 80)
    plans = [(str(card), planned_row(card, fp8_cache, bounds)) for fp8_cache in (False, True) for card in cards]
    assert [(card, cells.split(" | ")) for card, cells in rows] == plans


@pytest.mark.parametrize(
    ("fp8_cache", "bounds", "slots", "batch_tokens"),
    [(False, PHOTOS, 16, 5_760), (True, PHOTOS, 32, 5_760), (False, VERDICTS, 2, 6_272)],
)
def test_a_prefill_batch_is_smaller_where_it_would_leave_few_slots(
    fp8_cache: bool, bounds: RequestBounds, slots: int, batch_tokens: int
) -> None:
    """32B in 16 bits on a card of 80 GiB: a batch of 31 photos, as there is memory for, would leave one slot."""
    made = replace(budget(0.97 * 80), config=THIRTY_TWO_B, weight_bytes=66_700_000_000, fp8_cache=fp8_cache)
    found = plan_capacity(made, bounds)
    assert (found.slots, found.prefill_batch_tokens) == (slots, batch_tokens)


@pytest.mark.parametrize("bounds", [PHOTOS, LARGE_PHOTOS], ids=["photos", "large photos"])
@pytest.mark.parametrize("gib", [9, 11.9, 13, 15.7, 18, 23.6, 39.4, 79.1])
def test_a_prefill_batch_holds_the_prompts_of_half_the_slots_or_one(gib: float, bounds: RequestBounds) -> None:
    found = plan_capacity(budget(gib), bounds)
    assert found.prefill_batch_tokens // bounds.prefill_tokens in range(1, max(1, found.slots // 2) + 1)


def test_slots_with_keys_and_values_in_fp8() -> None:
    """A token takes 36 layers × 2 × 8 heads × 132 bytes (128 numbers and a scale), 0.516 of what 16 bits take."""
    assert kv_bytes_per_token(FOUR_B, torch.bfloat16, fp8=True) == 76_032
    assert plan_capacity(replace(budget(23.6), fp8_cache=True), PHOTOS).slots == 112


def test_a_prefill_batch_beside_keys_and_values_in_fp8_has_a_layer_of_its_own_in_16_bits() -> None:
    """A row takes 2 × 8 heads × 128 numbers of 2 bytes. The prefix is there once per slot."""
    assert batch_row_bytes(FOUR_B, torch.bfloat16) == 4_096
    in_fp8, bounds = replace(budget(23.6), fp8_cache=True), replace(PHOTOS, prefix_len=182)
    found = plan_capacity(in_fp8, bounds)
    cache = found.slots * (found.slot_len * 76_032 + 182 * 4_096) + found.prefill_batch_tokens * 4_096
    activations = activation_bytes(FOUR_B, torch.bfloat16, found.prefill_batch_tokens)
    assert 2 * PARAMETERS + activations + cache + RESERVED_BYTES <= 0.9 * 23.6 * GIB


def with_prefix(tokens: int) -> RequestBounds:
    """Photos whose prompts begin with so many tokens."""
    return replace(PHOTOS, kv_len=PHOTOS.kv_len + tokens, prefix_len=tokens)


@pytest.mark.parametrize("fp8_cache", [False, True])
@pytest.mark.parametrize("gib", [11.9, 15.7, 23.6, 79.1])
@pytest.mark.parametrize("prefix_len", [182, 1_000, 3_000, 10_000, 30_000])
def test_a_plan_fits_the_memory_however_long_the_prefix_is(gib: float, prefix_len: int, fp8_cache: bool) -> None:
    """Half of the reserve is for prefixes: the shared rows, and one as it was computed."""
    found = plan_capacity(replace(budget(gib), fp8_cache=fp8_cache), with_prefix(prefix_len))
    row_bytes = 76_032 if fp8_cache else 147_456
    prefixes = max(RESERVED_BYTES / 2, found.prefix_rows * row_bytes + prefix_len * 147_456)
    batch = found.prefill_batch_tokens * 4_096 + found.slots * prefix_len * 4_096 if fp8_cache else 0
    activations = activation_bytes(FOUR_B, torch.bfloat16, found.prefill_batch_tokens)
    used = 2 * PARAMETERS + activations + found.slots * found.slot_len * row_bytes + batch + prefixes
    assert found.slots == 1 or used + RESERVED_BYTES / 2 <= 0.9 * gib * GIB


@pytest.mark.parametrize(
    ("prefix_len", "prefixes"),
    [(0, 0), (182, 4), (728, 4), (729, 3), (1_213, 2), (1_820, 1), (30_000, 1)],  # 3,640 rows are half a GiB
)
def test_long_prefixes_share_fewer_cache_rows(prefix_len: int, prefixes: int) -> None:
    assert plan_capacity(budget(79.1), with_prefix(prefix_len)).prefix_rows == prefixes * prefix_len


def test_activations_take_less_in_fp8() -> None:
    """A photo's 3,072 patches in the tower of 4B: the input of an MLP's last product has 4,096 bytes, not 8,192."""
    plain, fp8 = (activation_bytes(FOUR_B, torch.bfloat16, 768, fp8) for fp8 in (False, True))
    assert plain == 3_072 * 2 * (9 * 1_024 + 1_536 + 2 * 4_096)
    assert plain - fp8 == 3_072 * 4_096


def test_a_cpu_has_a_fixed_capacity() -> None:
    assert plan_capacity(budget(None), replace(PHOTOS, prefix_len=100)) == Capacity(
        CPU_SLOTS, 1_280, 4_096, 4_096, scratch_rows=0, prefix_rows=100 * MAX_PREFIXES
    )
    assert plan_capacity(budget(None), VERDICTS) == Capacity(CPU_SLOTS, 5_760, 5_760, 5_760, scratch_rows=5_760)


# ---- a resume ----


def test_an_earlier_run_pins_what_it_recorded_where_memory_allows() -> None:
    earlier = {"slots": 3, "prefill_batch_tokens": 8_192, "prefill_batch_visual_tokens": 900, "device": "a GPU"}
    found = planner(earlier=earlier).plan(PHOTOS)
    assert found.recorded == {"slots": 3, "prefill_batch_tokens": 4_096, "prefill_batch_visual_tokens": 900}


@pytest.mark.parametrize("share", [0.61, 0.62, 0.65, 1.0])
def test_a_resume_with_more_memory_keeps_slots_and_prefill_batch(share: float) -> None:
    """On a card of 40 GiB a share of 0.62 gives a new run twice the batch, and so fewer slots than one of 0.61."""
    card = budget(0.97 * 40)
    earlier, new = (plan_capacity(replace(card, share=each), PHOTOS) for each in (0.61, 0.62))
    assert earlier.recorded == {"slots": 72, "prefill_batch_tokens": 12_288, "prefill_batch_visual_tokens": 11_520}
    assert (new.slots, new.prefill_batch_tokens) == (64, 24_448)
    made = CapacityPlanner(lambda: replace(card, share=share))
    made.pin(earlier.recorded)
    assert made.plan(PHOTOS) == earlier


@pytest.mark.parametrize(
    ("slots", "share", "batch_tokens"),
    [(4, 0.48, 8_192), (4, 0.6, 8_192), (4, 0.47, 1_664), (1, 0.465, 8_192), (1, 0.45, 1_664), (13, 0.56, 8_192)],
)
def test_a_resume_keeps_a_large_prefill_batch_as_long_as_its_slots_fit_beside_it(
    slots: int, share: float, batch_tokens: int
) -> None:
    earlier = {"slots": slots, "prefill_batch_tokens": 8_192, "prefill_batch_visual_tokens": 7_680}
    card = replace(budget(0.97 * 24), share=share)
    assert plan_capacity(card, PHOTOS).prefill_batch_tokens < 8_192
    made = CapacityPlanner(lambda: card)
    made.pin(earlier)
    visual_tokens = {8_192: 7_680, 1_664: 1_536}[batch_tokens]
    assert made.plan(PHOTOS).recorded == dict(zip(RECORDED, (slots, batch_tokens, visual_tokens), strict=True))


@pytest.mark.parametrize("invalid", [0, -1, "3", None, [3], True])
def test_invalid_values_of_an_earlier_run_are_ignored(invalid: object) -> None:
    assert planner(earlier=dict.fromkeys(RECORDED, invalid)).plan(PHOTOS) == planner().plan(PHOTOS)


def test_a_pinned_capacity_still_fits_one_request() -> None:
    found = planner(earlier=dict.fromkeys(RECORDED, 1)).plan(replace(VERDICTS, visual_tokens=768))
    assert found == Capacity(1, 5_760, 5_760, 768, scratch_rows=5_760)


def test_slots_are_never_shorter_than_those_of_the_run_or_the_current_ones() -> None:
    made = planner()
    made.plan_run(PHOTOS, None)
    assert made.plan(replace(PHOTOS, kv_len=10)).slot_len == 1_280
    assert made.plan(replace(PHOTOS, kv_len=1_300), current=Capacity(4, 2_560, 4_096, 4_096)).slot_len == 2_560
    assert made.plan(replace(PHOTOS, kv_len=10, scored=True)).slot_len == 1_280


def test_a_run_uses_the_capacity_that_it_recorded_whatever_its_first_photo_is() -> None:
    """The first photo may be a small one: prefill batches planned for it would leave memory for more slots."""
    made = planner(23.6)
    recorded = made.plan_run(PHOTOS, None)
    small = replace(PHOTOS, kv_len=700, prefill_tokens=300, visual_tokens=256)
    assert planner(23.6).plan(replace(small, kv_len=PHOTOS.kv_len)) != recorded
    assert made.plan(small) == recorded


# ---- the capacity that is allocated ----


@pytest.mark.parametrize(
    ("current", "kept"),
    [
        (Capacity(16, 1_280, 4_096, 4_096), True),
        (Capacity(7, 2_560, 4_096, 4_096), True),  # longer slots serve, too
        (Capacity(16, 640, 4_096, 4_096), False),
        (Capacity(16, 1_280, 4_160, 4_096), False),  # a resume of this run alone plans no more than 4,096
        (None, False),
    ],
)
def test_a_run_keeps_the_current_capacity_if_it_serves(current: Capacity | None, kept: bool) -> None:
    made = planner()
    assert (made.plan_run(PHOTOS, current) is current) == kept
    assert made.run_capacity == (current if kept else planner().plan(PHOTOS))


def test_a_resume_keeps_the_current_capacity_only_if_it_is_the_pinned_one() -> None:
    current = Capacity(7, 1_280, 4_096, 4_096)
    assert planner(earlier={"slots": 7}).plan_run(PHOTOS, current) is current
    assert planner(earlier={"slots": 5}).plan_run(PHOTOS, current).slots == 5


def test_slots_without_scratch_rows_do_not_serve_verdicts() -> None:
    photos = planner().plan(replace(PHOTOS, kv_len=VERDICTS.kv_len))
    assert planner().plan_run(VERDICTS, photos).scratch_rows == 5_760


# ---- out of memory ----


def test_halving_ends_at_one_slot_and_a_prefill_batch_that_holds_a_photo() -> None:
    sizes = [Capacity(12, 640, 4_096, 3_000, 4_096)]
    while sizes[-1].halved(1) != sizes[-1]:
        sizes.append(sizes[-1].halved(1))
    assert [(*one.recorded.values(), one.scratch_rows) for one in sizes] == [
        (12, 4_096, 3_000, 4_096), (6, 2_048, 1_500, 2_048), (3, 1_024, 750, 1_024), (1, 640, 640, 640),
    ]  # fmt: skip
    assert sizes == [sizes[0].halved(times) for times in range(4)]
    assert Capacity(2, 640, 640, 500).halved(1) == Capacity(1, 640, 640, 500)


def test_a_prefill_batch_always_holds_a_prompt_and_its_scored_continuations() -> None:
    planned = planner().plan_run(LONG_VERDICTS, None)
    assert (planned.slot_len, planned.prefill_batch_tokens, planned.scratch_rows) == (7_424, 10_024, 10_024)
    assert planned.halved(9).prefill_batch_tokens == 10_024
    pinned = planner(earlier=dict.fromkeys(RECORDED, 1)).plan_run(LONG_VERDICTS, None)
    assert (pinned.slots, pinned.prefill_batch_tokens) == (1, 10_024)
    assert planner().plan_run(VERDICTS, planned) is not planned  # which has a larger batch than this run needs
    assert not planner().plan(replace(LONG_VERDICTS, batch_tokens=9_000)).serves(planned)


def test_each_attempt_is_half_of_the_one_before() -> None:
    made = planner()
    attempts = made.attempts(replace(PHOTOS, kv_len=600), None)
    tried = [next(attempts) for _ in range(3)]
    assert [capacity.slots for capacity in tried] == [16, 8, 4]
    assert made.halvings == 0  # other engines of the run are told of those that helped
    made.allocated(tried[-1])
    assert made.halvings == 2
    assert made.plan(PHOTOS).slots == 4


def test_halvings_do_not_count_if_no_attempt_fits() -> None:
    """A request that fits nowhere does not slow down the others."""
    made = planner()
    assert [capacity.slots for capacity in made.attempts(replace(PHOTOS, kv_len=4_096), None)] == [16, 8, 4, 2, 1]
    assert made.halvings == 0


def test_a_run_whose_longest_prompt_fits_nowhere_tries_each_prompt_alone() -> None:
    made = planner()
    made.plan_run(VERDICTS, None)
    short = replace(VERDICTS, kv_len=700, prefill_tokens=600)
    tried = [(capacity.slots, capacity.slot_len) for capacity in made.attempts(short, None)]
    assert tried == [(slots, slot_len) for slot_len in (5_760, 704) for slots in (16, 8, 4, 2, 1)]
    assert [capacity.slot_len for capacity in made.attempts(VERDICTS, None)] == [5_760] * 5
    assert made.plan(short) == made.run_capacity  # nothing has changed


def test_prompts_are_planned_alone_once_the_minimal_capacity_of_their_run_is_too_large() -> None:
    made = planner()
    run = made.plan_run(VERDICTS, None)
    short = replace(VERDICTS, kv_len=700, prefill_tokens=600)
    assert made.after_oom(run.halved(4))
    assert (made.plan(short).slot_len, made.halvings) == (704, 0)
    assert not made.after_oom(made.plan(VERDICTS).halved(4))  # the longest, alone
    made.plan_run(PHOTOS, None)
    assert not made.after_oom(made.plan(PHOTOS).halved(4))  # photos have all the same bounds


def test_halvings_of_a_run_apply_to_the_pinned_capacity_and_those_of_earlier_runs_to_the_plan() -> None:
    made = planner(earlier={"slots": 12})
    made.plan_run(PHOTOS, None)
    assert made.after_oom(made.plan(PHOTOS))
    assert made.plan(PHOTOS).slots == 6
    assert made.plan_run(PHOTOS, None).slots == 8  # 12 pinned, and 16 halved is 8
    made.pin({"slots": 6})
    assert made.plan_run(PHOTOS, None).slots == 6  # not halved again


def test_a_minimal_capacity_is_not_halved() -> None:
    made = planner()
    assert not made.after_oom(Capacity(1, 640, 640, 640))
    assert made.halvings == 0


def test_out_of_memory_elsewhere_gives_the_capacity_that_it_gives_there() -> None:
    there, here = planner(earlier={"slots": 12}), planner(earlier={"slots": 12})
    for made in (there, here):
        made.plan_run(PHOTOS, None)
    for _ in range(6):
        there.after_oom(there.plan(PHOTOS))
        here.reduce(there.halvings)
        assert here.plan(PHOTOS) == there.plan(PHOTOS)
        assert here.plan(LARGE_PHOTOS) == there.plan(LARGE_PHOTOS)  # longer slots than planned
    assert there.halvings == here.halvings == 3  # then it was minimal
    assert here.plan_run(PHOTOS, None) == there.plan_run(PHOTOS, None)


def test_out_of_memory_with_a_capacity_that_was_given_up_elsewhere_counts_once() -> None:
    made = planner()
    before = made.plan_run(PHOTOS, None)
    made.reduce(2)
    assert made.is_outdated(before)
    assert made.after_oom(before)
    assert made.halvings == 2
    made.reduce(1)  # an older message
    assert made.halvings == 2


def test_a_capacity_that_was_given_up_is_not_kept_for_the_next_run() -> None:
    made = planner()
    before = made.plan_run(PHOTOS, None)
    made.reduce(1)
    assert made.plan_run(PHOTOS, before).slots == 8
    minimal = Capacity(1, 1_280, 1_280, 1_280)
    assert not made.is_outdated(minimal)


def test_a_halving_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    made = planner()
    with caplog.at_level(logging.INFO, "yanshou.engines.continuous"):
        made.after_oom(made.plan(PHOTOS))
    (record,) = caplog.records
    assert record.message == (
        "out of memory with 16 slots of 1,280 tokens and prefill batches of 4,096 tokens (4,096 visual): "
        "retrying with half"
    )
