"""Decode attention on a GPU: one program for every slot and key head, over the slot's own rows and no others.

No split of the keys and no batch-wide choice of anything: a slot's result depends on its own query, keys and length.
The query heads that share a key head go through the matrix unit together. Keys that all slots share are read where they
lie once, so that they come from the cache and not from memory.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from yanshou.engines.continuous.attention import Reach

BLOCK = 64  # keys at a time
LEAST_ROWS = 16  # of a matrix product


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
    result = sums / tl.where(total > 0, total, 1.0)[:, None]
    tl.store(out + mine, result.to(out.dtype.element_ty), mask=row[:, None] < group)


def decode(q: Tensor, k: Tensor, v: Tensor, reach: Reach, room: int, scale: float) -> Tensor:
    """q (slots, heads, width); k, v (rows, key heads, width), a slot's rows from slot × room on."""
    (slots, heads, width), key_heads = q.shape, k.shape[1]
    assert q.is_contiguous()
    assert k.is_contiguous()
    assert v.is_contiguous()
    out = torch.empty_like(q)
    _decode[(slots, key_heads)](
        q, k, v, out, reach.lengths, reach.shared, reach.shared_at, room, scale / math.log(2),  # exp2 instead of exp
        HEADS=heads, KEY_HEADS=key_heads, WIDTH=width, ROWS=max(LEAST_ROWS, triton.next_power_of_2(heads // key_heads)),
        KEYS=BLOCK, PRECISION="ieee" if q.dtype == torch.float32 else "tf32", num_warps=4,
        num_stages=2 if q.dtype == torch.float32 else 3,  # 76 and 70 KB of shared memory; small GPUs have 99
    )  # fmt: skip
    return out
