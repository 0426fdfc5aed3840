"""Triton attention kernels. They never split the keys or depend on the batch: a row depends on its query and keys only.

    varlen    one program per block of queries of a sequence and per group of heads that share a key head
    decode    one program per slot and key head: the query heads that share a key head go through the matrix unit
              together; keys of a prefix that all slots share are read from one place, so that they stay in the cache

These kernels replace FlashInfer or flash-attn for two reasons: no compiled package must match CUDA and torch, and the
order of summation is fixed, whereas decode kernels of those libraries by default split the keys according to the batch.
The price is code to maintain, less parallelism for few slots with long contexts, and no Hopper-specific pipeline like
that of FlashAttention 3.

Decode steps may read keys and values in FP8. They are multiplied as float16, which holds every number of e4m3;
converting them to bfloat16 takes more instructions. So that float16 overflows nowhere, queries are divided by their
largest number (q_peak) and weights by the largest scale of the values so far (v_peak).

Names are those of Triton's flash-attention tutorial: m_i running maximum, l_i running sum, acc unnormalized output.
"""

import math
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from yanshou.engines.continuous.attention_metadata import DecodeMetadata, VarlenMetadata
from yanshou.engines.continuous.fp8.activations import Activations, Fp8Rows
from yanshou.engines.continuous.kernels.elementwise import numbers_and_scales

MIN_BLOCK_M = 16  # rows of the smallest matrix product
BLOCK_M, BLOCK_N, NUM_WARPS, NUM_STAGES = 64, 64, 4, 3  # varlen: the fastest of eleven on an H100, for both head widths
DECODE_BLOCK_N, DECODE_NUM_WARPS, DECODE_NUM_STAGES = 64, 4, 3  # 70 KB of shared memory in 16 bits; small GPUs have 99
DECODE_NUM_WARPS_FP8 = 2  # the fastest of eleven on an H200: 1.21 times as fast as 16 bits
SMALLEST_SCALE: tl.constexpr = tl.constexpr(1e-20)  # in place of 0 in a division
SHARED_MEMORY_SHARE = 0.9  # part of a block's shared memory for queries, keys and values; the compiler needs the rest


@triton.jit
def _varlen_kernel(
    q_ptr, k_ptr, v_ptr, out_ptr, cu_seqlens_q, k_starts, seqused_k, stride_q, stride_k, stride_v, qk_scale,
    HEADS: tl.constexpr, KEY_HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, CAUSAL: tl.constexpr,
    BLOCK_M: tl.constexpr, HEADS_PER_BLOCK: tl.constexpr, BLOCK_N: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    queries_per_block: tl.constexpr = BLOCK_M // HEADS_PER_BLOCK  # a block's rows are queries × heads
    start_m, seq = tl.program_id(0) * queries_per_block, tl.program_id(1)
    first_head = tl.program_id(2) * HEADS_PER_BLOCK
    q_start, q_end = tl.load(cu_seqlens_q + seq).to(tl.int64), tl.load(cu_seqlens_q + seq + 1)
    q_len = (q_end - q_start).to(tl.int32)
    if start_m >= q_len:
        return
    k_len, k_start = tl.load(seqused_k + seq), tl.load(k_starts + seq).to(tl.int64)
    offs_d, block_n = tl.arange(0, HEAD_DIM), tl.arange(0, BLOCK_N)
    offs_m = start_m + tl.arange(0, BLOCK_M) // HEADS_PER_BLOCK
    head = first_head + tl.arange(0, BLOCK_M) % HEADS_PER_BLOCK
    head_offsets = head[:, None] * HEAD_DIM + offs_d[None, :]
    q = tl.load(q_ptr + (q_start + offs_m)[:, None] * stride_q + head_offsets, mask=offs_m[:, None] < q_len, other=0.0)
    key_head = first_head // (HEADS // KEY_HEADS)
    k_ptr += k_start * stride_k + key_head * HEAD_DIM
    v_ptr += k_start * stride_v + key_head * HEAD_DIM
    m_i = tl.full([BLOCK_M], -float("inf"), tl.float32)
    l_i = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, HEAD_DIM], tl.float32)
    if CAUSAL:  # the last query sees all keys
        last_n = k_len - q_len + offs_m
        unmasked_end = (k_len - q_len + start_m + 1) // BLOCK_N * BLOCK_N
        end_n = tl.minimum(k_len, k_len - q_len + start_m + queries_per_block)
    else:
        last_n = offs_m
        unmasked_end, end_n = k_len // BLOCK_N * BLOCK_N, k_len
    for start_n in range(0, unmasked_end, BLOCK_N):  # whole blocks of keys that every query sees
        offs_n = start_n + block_n
        k = tl.load(k_ptr + offs_n[None, :] * stride_k + offs_d[:, None])
        qk = tl.dot(q, k, input_precision=PRECISION)
        m_new = tl.maximum(m_i, tl.max(qk, 1) * qk_scale)
        p, alpha = tl.exp2(qk * qk_scale - m_new[:, None]), tl.exp2(m_i - m_new)
        v = tl.load(v_ptr + offs_n[:, None] * stride_v + offs_d[None, :])
        acc = tl.dot(p.to(v.dtype), v, acc * alpha[:, None], input_precision=PRECISION)
        l_i = l_i * alpha + tl.sum(p, 1)
        m_i = m_new
    for start_n in range(unmasked_end, end_n, BLOCK_N):
        offs_n = start_n + block_n
        mask_n = offs_n < k_len
        k = tl.load(k_ptr + offs_n[None, :] * stride_k + offs_d[:, None], mask=mask_n[None, :], other=0.0)
        qk = tl.dot(q, k, input_precision=PRECISION) * qk_scale
        if CAUSAL:
            mask = mask_n[None, :] & (offs_n[None, :] <= last_n[:, None])
        else:
            mask = mask_n[None, :] & (offs_m[:, None] >= 0)
        qk = tl.where(mask, qk, -float("inf"))
        m_new = tl.maximum(m_i, tl.max(qk, 1))
        p, alpha = tl.exp2(qk - m_new[:, None]), tl.exp2(m_i - m_new)
        v = tl.load(v_ptr + offs_n[:, None] * stride_v + offs_d[None, :], mask=mask_n[:, None], other=0.0)
        acc = tl.dot(p.to(v.dtype), v, acc * alpha[:, None], input_precision=PRECISION)
        l_i = l_i * alpha + tl.sum(p, 1)
        m_i = m_new
    out = acc / l_i[:, None]
    tl.store(
        out_ptr + (q_start + offs_m)[:, None] * (HEADS * HEAD_DIM) + head_offsets, out.to(out_ptr.dtype.element_ty),
        mask=offs_m[:, None] < q_len,
    )  # fmt: skip


def varlen(q: Tensor, k: Tensor, v: Tensor, metadata: VarlenMetadata, scale: float, causal: bool) -> Tensor:
    """q (rows, heads, head_dim), k and v (rows, key heads, head_dim) → (rows, heads, head_dim).

    Rows may be strided; within a row, heads and their numbers are contiguous. Rows outside all sequences: undefined.
    """
    (rows, heads, head_dim), key_heads = q.shape, k.shape[1]
    for part in (q, k, v):
        assert part.stride()[1:] == (head_dim, 1)
    out = q.new_empty(rows, heads, head_dim)
    group = heads // key_heads
    heads_per_block = 1 if BLOCK_M % group else group  # heads that share a key head read its keys once
    block_n, num_stages = block_n_and_stages(head_dim * q.element_size(), _shared_memory(q.device))
    blocks = triton.cdiv(metadata.max_seqlen_q, BLOCK_M // heads_per_block)
    _varlen_kernel[(blocks, len(metadata.query_ranges), heads // heads_per_block)](
        q, k, v, out, metadata.cu_seqlens_q, metadata.k_starts, metadata.seqused_k,
        q.stride(0), k.stride(0), v.stride(0), scale / math.log(2),  # exp2 instead of exp
        HEADS=heads, KEY_HEADS=key_heads, HEAD_DIM=head_dim, CAUSAL=causal, BLOCK_M=BLOCK_M,
        HEADS_PER_BLOCK=heads_per_block, BLOCK_N=block_n,
        PRECISION="ieee" if q.dtype == torch.float32 else "tf32", num_warps=NUM_WARPS, num_stages=num_stages,
    )  # fmt: skip
    return out


@cache  # asking the driver takes a millisecond, longer than some kernels
def _shared_memory(device: torch.device) -> int:
    """Bytes of shared memory that one block of threads may use."""
    if device.type == "cpu":  # Triton's interpreter
        return 2**16
    number = torch.cuda.current_device() if device.index is None else device.index
    return int(triton.runtime.driver.active.utils.get_device_properties(number)["max_shared_mem"])


def block_n_and_stages(row_bytes: int, shared_memory: int) -> tuple[int, int]:
    """Keys per block and pipeline stages of the varlen kernel.

    Queries, and keys and values of all stages, `row_bytes` per row, must fit a block's `shared_memory` (bytes).
    """
    fitting = [
        (block_n, stages)
        for block_n in (BLOCK_N, BLOCK_N // 2, BLOCK_N // 4)
        for stages in range(NUM_STAGES, 0, -1)
        if (BLOCK_M + 2 * block_n * stages) * row_bytes <= shared_memory * SHARED_MEMORY_SHARE  # 2: keys and values
    ]
    return fitting[0] if fitting else (MIN_BLOCK_M, 1)


@triton.jit
def _decode_kernel(
    q_ptr, k_ptr, v_ptr, out_ptr, k_scales, v_scales, stride_scales, context_lens, prefix_lens, prefix_starts,
    slot_len, qk_scale, FP8: tl.constexpr,
    HEADS: tl.constexpr, KEY_HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    slot, key_head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    group: tl.constexpr = HEADS // KEY_HEADS
    context_len = tl.load(context_lens + slot)
    prefix_len, prefix_start = tl.load(prefix_lens + slot), tl.load(prefix_starts + slot)
    offs_m, offs_d, block_n = tl.arange(0, BLOCK_M), tl.arange(0, HEAD_DIM), tl.arange(0, BLOCK_N)
    q_offsets = (slot * HEADS + key_head * group + offs_m[:, None]) * HEAD_DIM + offs_d[None, :]
    q = tl.load(q_ptr + q_offsets, mask=offs_m[:, None] < group, other=0.0)
    m_i = tl.full([BLOCK_M], -float("inf"), tl.float32)
    l_i = tl.zeros([BLOCK_M], tl.float32)
    acc = tl.zeros([BLOCK_M, HEAD_DIM], tl.float32)
    if FP8:
        in_tests: tl.constexpr = q_ptr.dtype.element_ty == tl.float32
        q_peak = tl.maximum(tl.max(tl.abs(q.to(tl.float32)), 1), SMALLEST_SCALE)
        q = (q.to(tl.float32) / q_peak[:, None]).to(tl.float32 if in_tests else tl.float16)
        v_peak = SMALLEST_SCALE
    for start_n in range(0, context_len, BLOCK_N):
        offs_n = start_n + block_n
        mask_n = offs_n < context_len
        rows = tl.where(offs_n < prefix_len, prefix_start, slot * slot_len) + offs_n
        kv_offsets = (rows[:, None] * KEY_HEADS + key_head) * HEAD_DIM + offs_d[None, :]
        k = tl.load(k_ptr + kv_offsets, mask=mask_n[:, None], other=0.0)
        qk = tl.dot(q, tl.trans(k.to(q.dtype)), input_precision=PRECISION) * qk_scale
        if FP8:
            scale_offsets = key_head.to(tl.int64) * stride_scales + rows
            qk *= q_peak[:, None] * tl.load(k_scales + scale_offsets, mask=mask_n, other=0.0)[None, :]
        qk = tl.where(mask_n[None, :], qk, -float("inf"))
        m_new = tl.maximum(m_i, tl.max(qk, 1))
        p, alpha = tl.exp2(qk - m_new[:, None]), tl.exp2(m_i - m_new)
        v = tl.load(v_ptr + kv_offsets, mask=mask_n[:, None], other=0.0)
        weights, rescaled = p, alpha
        if FP8:
            v_scale = tl.load(v_scales + scale_offsets, mask=mask_n, other=0.0)
            peak = tl.maximum(v_peak, tl.max(v_scale, 0))
            weights, rescaled, v_peak = p * (v_scale / peak)[None, :], alpha * (v_peak / peak), peak
        acc = acc * rescaled[:, None] + tl.dot(weights.to(q.dtype), v.to(q.dtype), input_precision=PRECISION)
        l_i = l_i * alpha + tl.sum(p, 1)
        m_i = m_new
    out = tl.where(context_len > 0, acc / l_i[:, None], 0.0)
    if FP8:
        out *= v_peak
    tl.store(out_ptr + q_offsets, out.to(out_ptr.dtype.element_ty), mask=offs_m[:, None] < group)


def decode(q: Tensor, k: Activations, v: Activations, metadata: DecodeMetadata, slot_len: int, scale: float) -> Tensor:
    """q (slots, heads, head_dim) → the same shape; k, v (rows, key heads, head_dim), slot s from row s × slot_len on.

    k and v may be in FP8. A slot whose context length is 0 gets zeros.
    """
    (slots, heads, head_dim), key_heads, fp8 = q.shape, k.shape[1], isinstance(k, Fp8Rows)
    (k, k_scales, stride_scales), (v, v_scales, _) = map(numbers_and_scales, (k, v))
    for whole in (q, k, v):
        assert whole.is_contiguous()
    out = torch.empty_like(q)
    block_m = max(MIN_BLOCK_M, triton.next_power_of_2(heads // key_heads))
    _decode_kernel[(slots, key_heads)](
        q, k, v, out, k_scales, v_scales, stride_scales, metadata.context_lens, metadata.prefix_lens,
        metadata.prefix_starts, slot_len, scale / math.log(2), FP8=fp8,  # exp2 instead of exp
        HEADS=heads, KEY_HEADS=key_heads, HEAD_DIM=head_dim, BLOCK_M=block_m, BLOCK_N=DECODE_BLOCK_N,
        PRECISION="ieee" if q.dtype == torch.float32 else "tf32",
        num_warps=DECODE_NUM_WARPS_FP8 if fp8 else DECODE_NUM_WARPS,
        num_stages=2 if q.dtype == torch.float32 else DECODE_NUM_STAGES,
    )  # fmt: skip
    return out
