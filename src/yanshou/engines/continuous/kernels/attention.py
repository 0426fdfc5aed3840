"""Attention on a GPU. No split of the keys and no choice by what else is there: a row's result depends on its own
query, keys and length.

    packed    one program for so many queries of a sequence and the heads that share a key head
    decode    one program for every slot and key head: the query heads that share a key head go through the matrix unit
              together; keys that all slots share are read where they lie once, so that they come from the cache
"""

import math
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from yanshou.engines.continuous.attention_metadata import DecodeMetadata, VarlenMetadata

BLOCK = 64  # keys that a packed program reads at a time
LEAST_ROWS = 16  # of a matrix product
DECODE_KEYS, DECODE_WARPS, DECODE_STAGES = 64, 4, 3  # 70 KB of shared memory in 16 bits; small GPUs have 99
ROWS, WARPS, STAGES = 64, 4, 3  # of a packed program: its queries; the fastest of eleven on an H100, for both widths
SPARE = 0.9  # of a block's shared memory; the rest is the compiler's own


@triton.jit
def _packed(
    q, k, v, out, starts, key_starts, key_lengths, q_row, k_row, v_row, scale,
    HEADS: tl.constexpr, KEY_HEADS: tl.constexpr, WIDTH: tl.constexpr, CAUSAL: tl.constexpr,
    ROWS: tl.constexpr, TOGETHER: tl.constexpr, KEYS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    places_each: tl.constexpr = ROWS // TOGETHER  # of queries, each by so many heads that share a key head
    at, sequence, first_head = tl.program_id(0) * places_each, tl.program_id(1), tl.program_id(2) * TOGETHER
    first, end = tl.load(starts + sequence).to(tl.int64), tl.load(starts + sequence + 1)
    rows = (end - first).to(tl.int32)
    if at >= rows:
        return
    length, key_first = tl.load(key_lengths + sequence), tl.load(key_starts + sequence).to(tl.int64)
    column, key = tl.arange(0, WIDTH), tl.arange(0, KEYS)
    row, head = at + tl.arange(0, ROWS) // TOGETHER, first_head + tl.arange(0, ROWS) % TOGETHER
    mine = head[:, None] * WIDTH + column[None, :]
    queries = tl.load(q + (first + row)[:, None] * q_row + mine, mask=row[:, None] < rows, other=0.0)
    key_head = first_head // (HEADS // KEY_HEADS)
    k += key_first * k_row + key_head * WIDTH
    v += key_first * v_row + key_head * WIDTH
    best = tl.full([ROWS], -float("inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    sums = tl.zeros([ROWS, WIDTH], tl.float32)
    if CAUSAL:  # the last query sees all keys
        seen = length - rows + row
        open_keys, most = (length - rows + at + 1) // KEYS * KEYS, tl.minimum(length, length - rows + at + places_each)
    else:
        seen = row
        open_keys, most = length // KEYS * KEYS, length
    for start in range(0, open_keys, KEYS):  # whole blocks that every query sees
        places = start + key
        keys = tl.load(k + places[None, :] * k_row + column[:, None])
        scores = tl.dot(queries, keys, input_precision=PRECISION)
        better = tl.maximum(best, tl.max(scores, 1) * scale)
        weights, fade = tl.exp2(scores * scale - better[:, None]), tl.exp2(best - better)
        values = tl.load(v + places[:, None] * v_row + column[None, :])
        sums = tl.dot(weights.to(values.dtype), values, sums * fade[:, None], input_precision=PRECISION)
        total = total * fade + tl.sum(weights, 1)
        best = better
    for start in range(open_keys, most, KEYS):
        places = start + key
        there = places < length
        keys = tl.load(k + places[None, :] * k_row + column[:, None], mask=there[None, :], other=0.0)
        scores = tl.dot(queries, keys, input_precision=PRECISION) * scale
        if CAUSAL:
            visible = there[None, :] & (places[None, :] <= seen[:, None])
        else:
            visible = there[None, :] & (row[:, None] >= 0)
        scores = tl.where(visible, scores, -float("inf"))
        better = tl.maximum(best, tl.max(scores, 1))
        weights, fade = tl.exp2(scores - better[:, None]), tl.exp2(best - better)
        values = tl.load(v + places[:, None] * v_row + column[None, :], mask=there[:, None], other=0.0)
        sums = tl.dot(weights.to(values.dtype), values, sums * fade[:, None], input_precision=PRECISION)
        total = total * fade + tl.sum(weights, 1)
        best = better
    result = sums / total[:, None]
    tl.store(
        out + (first + row)[:, None] * (HEADS * WIDTH) + mine, result.to(out.dtype.element_ty), mask=row[:, None] < rows
    )


def packed(q: Tensor, k: Tensor, v: Tensor, spans: VarlenMetadata, scale: float, causal: bool) -> Tensor:
    """q (rows, heads, width); k, v (rows, key heads, width), each head's numbers side by side."""
    (rows, heads, width), key_heads = q.shape, k.shape[1]
    for part in (q, k, v):
        assert part.stride()[1:] == (width, 1)
    out = q.new_empty(rows, heads, width)
    longest, group = max(end - start for start, end in spans.queries), heads // key_heads
    together = 1 if ROWS % group else group  # heads that share a key head read its keys once
    keys, stages = tiles(width * q.element_size(), _shared_memory(q.device))
    _packed[(triton.cdiv(longest, ROWS // together), len(spans.queries), heads // together)](
        q, k, v, out, spans.starts, spans.key_starts, spans.key_lengths,
        q.stride(0), k.stride(0), v.stride(0), scale / math.log(2),  # exp2 instead of exp
        HEADS=heads, KEY_HEADS=key_heads, WIDTH=width, CAUSAL=causal, ROWS=ROWS, TOGETHER=together,
        KEYS=keys,
        PRECISION="ieee" if q.dtype == torch.float32 else "tf32", num_warps=WARPS, num_stages=stages,
    )  # fmt: skip
    return out


@cache  # asking the driver takes a millisecond, longer than some launches
def _shared_memory(device: torch.device) -> int:
    """Bytes that a block of threads may have."""
    if device.type == "cpu":  # Triton's interpreter
        return 2**16
    number = torch.cuda.current_device() if device.index is None else device.index
    return int(triton.runtime.driver.active.utils.get_device_properties(number)["max_shared_mem"])


def tiles(row: int, shared: int) -> tuple[int, int]:
    """Keys at a time and stages whose rows, so many bytes each, a block's shared memory holds beside the queries."""
    fits = [
        (keys, stages)
        for keys in (BLOCK, BLOCK // 2, BLOCK // 4)
        for stages in range(STAGES, 0, -1)
        if (ROWS + 2 * keys * stages) * row <= shared * SPARE  # keys and values
    ]
    return fits[0] if fits else (LEAST_ROWS, 1)


@triton.jit
def _decode(
    q, k, v, out, lengths, shared, shared_at, room, scale,
    HEADS: tl.constexpr, KEY_HEADS: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, KEYS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    slot, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    group: tl.constexpr = HEADS // KEY_HEADS
    length, common, common_at = tl.load(lengths + slot), tl.load(shared + slot), tl.load(shared_at + slot)
    row, column, key = tl.arange(0, ROWS), tl.arange(0, WIDTH), tl.arange(0, KEYS)
    mine = (slot * HEADS + head * group + row[:, None]) * WIDTH + column[None, :]
    queries = tl.load(q + mine, mask=row[:, None] < group, other=0.0)
    best = tl.full([ROWS], -float("inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    sums = tl.zeros([ROWS, WIDTH], tl.float32)
    for start in range(0, length, KEYS):
        at = start + key
        there = at < length
        rows = tl.where(at < common, common_at, slot * room) + at
        places = (rows[:, None] * KEY_HEADS + head) * WIDTH + column[None, :]
        keys = tl.load(k + places, mask=there[:, None], other=0.0)
        scores = tl.dot(queries, tl.trans(keys), input_precision=PRECISION) * scale
        scores = tl.where(there[None, :], scores, -float("inf"))
        better = tl.maximum(best, tl.max(scores, 1))
        weights, fade = tl.exp2(scores - better[:, None]), tl.exp2(best - better)
        values = tl.load(v + places, mask=there[:, None], other=0.0)
        sums = sums * fade[:, None] + tl.dot(weights.to(values.dtype), values, input_precision=PRECISION)
        total = total * fade + tl.sum(weights, 1)
        best = better
    result = tl.where(length > 0, sums / total[:, None], 0.0)
    tl.store(out + mine, result.to(out.dtype.element_ty), mask=row[:, None] < group)


def decode(q: Tensor, k: Tensor, v: Tensor, reach: DecodeMetadata, room: int, scale: float) -> Tensor:
    """q (slots, heads, width); k, v (rows, key heads, width), a slot's rows from slot × room on."""
    (slots, heads, width), key_heads = q.shape, k.shape[1]
    for whole in (q, k, v):
        assert whole.is_contiguous()
    out = torch.empty_like(q)
    _decode[(slots, key_heads)](
        q, k, v, out, reach.lengths, reach.shared, reach.shared_at, room, scale / math.log(2),  # exp2 instead of exp
        HEADS=heads, KEY_HEADS=key_heads, WIDTH=width, ROWS=max(LEAST_ROWS, triton.next_power_of_2(heads // key_heads)),
        KEYS=DECODE_KEYS, PRECISION="ieee" if q.dtype == torch.float32 else "tf32", num_warps=DECODE_WARPS,
        num_stages=2 if q.dtype == torch.float32 else DECODE_STAGES,
    )  # fmt: skip
    return out
