"""Triton kernels for `ops.py`: norms, rotary embeddings, activations and cache writes.

Each program reads its rows once, computes in float32, rounds once and writes once.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton import next_power_of_2 as power_of_2

from yanshou.engines.continuous.batch_keys_values import BatchKeysValues
from yanshou.engines.continuous.fp8.activations import MAX, SMALLEST_PEAK, Activations, Fp8Rows

PEAK: tl.constexpr = tl.constexpr(SMALLEST_PEAK)
TOP: tl.constexpr = tl.constexpr(MAX)
ACT_BLOCK = 1_024  # columns per program of `silu_and_mul`


@triton.jit
def _rms_norm_kernel(x_ptr, weight_ptr, out_ptr, eps, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    cols = tl.arange(0, BLOCK)
    mask = cols < WIDTH
    offsets = tl.program_id(0).to(tl.int64) * WIDTH + cols
    x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    rstd = tl.rsqrt(tl.sum(x * x, 0) / WIDTH + eps)
    weight = tl.load(weight_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    tl.store(out_ptr + offsets, (x * rstd * weight).to(out_ptr.dtype.element_ty), mask=mask)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x (rows, width) → the same shape."""
    (rows, width), out = x.shape, torch.empty_like(x)
    assert x.is_contiguous()
    _rms_norm_kernel[(rows,)](x, weight, out, eps, WIDTH=width, BLOCK=power_of_2(width), num_warps=num_warps(width))
    return out


@triton.jit
def _layer_norm_kernel(
    x_ptr, residual_bias_ptr, weight_ptr, bias_ptr, out_ptr, eps, WIDTH: tl.constexpr, BLOCK: tl.constexpr
):
    cols = tl.arange(0, BLOCK)
    mask = cols < WIDTH
    offsets = tl.program_id(0).to(tl.int64) * WIDTH + cols
    x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    residual_bias = tl.load(residual_bias_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    x = (x + residual_bias).to(x_ptr.dtype.element_ty)
    tl.store(x_ptr + offsets, x, mask=mask)
    x = x.to(tl.float32)
    centered = tl.where(mask, x - tl.sum(x, 0) / WIDTH, 0.0)
    rstd = tl.rsqrt(tl.sum(centered * centered, 0) / WIDTH + eps)
    weight = tl.load(weight_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    tl.store(out_ptr + offsets, (centered * rstd * weight + bias).to(out_ptr.dtype.element_ty), mask=mask)


def layer_norm(x: Tensor, residual_bias: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """x (rows, width) → the same shape. Adds `residual_bias` (width,) to x in place before normalizing."""
    (rows, width), out = x.shape, torch.empty_like(x)
    assert x.is_contiguous()
    _layer_norm_kernel[(rows,)](
        x, residual_bias, weight, bias, out, eps, WIDTH=width, BLOCK=power_of_2(width), num_warps=num_warps(width)
    )
    return out


def num_warps(width: int) -> int:
    """Warps of a program that holds a whole row of this width."""
    return max(1, min(8, int(power_of_2(width)) // 512))


@triton.jit
def _silu_and_mul_kernel(gate_up_ptr, out_ptr, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    row, cols = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = cols < WIDTH
    gate = tl.load(gate_up_ptr + row * 2 * WIDTH + cols, mask=mask, other=0.0).to(tl.float32)
    up = tl.load(gate_up_ptr + (row * 2 + 1) * WIDTH + cols, mask=mask, other=0.0).to(tl.float32)
    out = gate / (1.0 + tl.exp(-gate)) * up
    tl.store(out_ptr + row * WIDTH + cols, out.to(out_ptr.dtype.element_ty), mask=mask)


def silu_and_mul(gate_up: Tensor) -> Tensor:
    """gate_up (rows, 2 × width), gates first → (rows, width)."""
    rows, width = gate_up.shape[0], gate_up.shape[1] // 2
    assert gate_up.is_contiguous()
    out = gate_up.new_empty(rows, width)
    _silu_and_mul_kernel[(rows, triton.cdiv(width, ACT_BLOCK))](gate_up, out, WIDTH=width, BLOCK=ACT_BLOCK, num_warps=4)
    return out


@triton.jit
def _rope_kernel(
    qkv_ptr, cos_ptr, sin_ptr, stride_row,
    HEADS: tl.constexpr, HALF: tl.constexpr, BLOCK_HEADS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, heads, cols = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK_HEADS), tl.arange(0, BLOCK)
    mask = (heads[:, None] < HEADS) & (cols[None, :] < HALF)
    x1_ptr = qkv_ptr + row * stride_row + heads[:, None] * (2 * HALF) + cols[None, :]
    x1 = tl.load(x1_ptr, mask=mask, other=0.0).to(tl.float32)
    x2 = tl.load(x1_ptr + HALF, mask=mask, other=0.0).to(tl.float32)
    x1, x2 = _rotate(x1, x2, cos_ptr, sin_ptr, row, cols, HALF)
    tl.store(x1_ptr, x1.to(qkv_ptr.dtype.element_ty), mask=mask)
    tl.store(x1_ptr + HALF, x2.to(qkv_ptr.dtype.element_ty), mask=mask)


@triton.jit
def _rotate(x1, x2, cos_ptr, sin_ptr, row, cols, HALF: tl.constexpr):
    """Both halves of each head, (heads, head_dim / 2) each, rotated by the angles of `row`."""
    offsets, mask = row * 2 * HALF + cols, cols < HALF
    cos1 = tl.load(cos_ptr + offsets, mask=mask, other=0.0).to(tl.float32)[None, :]
    cos2 = tl.load(cos_ptr + offsets + HALF, mask=mask, other=0.0).to(tl.float32)[None, :]
    sin1 = tl.load(sin_ptr + offsets, mask=mask, other=0.0).to(tl.float32)[None, :]
    sin2 = tl.load(sin_ptr + offsets + HALF, mask=mask, other=0.0).to(tl.float32)[None, :]
    return x1 * cos1 - x2 * sin1, x2 * cos2 + x1 * sin2


def apply_rope_(qkv: Tensor, heads: int, cos: Tensor, sin: Tensor) -> None:
    """Rotates the first `heads` heads of every row of qkv in place; cos and sin (rows, head_dim)."""
    half = cos.shape[1] // 2
    assert qkv.is_contiguous()
    assert cos.is_contiguous()
    assert sin.is_contiguous()
    _rope_kernel[(len(qkv),)](
        qkv, cos, sin, qkv.stride(0), HEADS=heads, HALF=half, BLOCK_HEADS=power_of_2(heads), BLOCK=power_of_2(half),
        num_warps=4,
    )  # fmt: skip


@triton.jit
def _rms_norm_halves(x1_ptr, mask, weight_ptr, cols, eps, HALF: tl.constexpr):
    """Both halves of each head, normalized over the whole head and weighted."""
    x1 = tl.load(x1_ptr, mask=mask, other=0.0).to(tl.float32)
    x2 = tl.load(x1_ptr + HALF, mask=mask, other=0.0).to(tl.float32)
    rstd = tl.rsqrt((tl.sum(x1 * x1, 1) + tl.sum(x2 * x2, 1)) / (2 * HALF) + eps)[:, None]
    weight1 = tl.load(weight_ptr + cols).to(tl.float32)[None, :]
    weight2 = tl.load(weight_ptr + HALF + cols).to(tl.float32)[None, :]
    return x1 * rstd * weight1, x2 * rstd * weight2


@triton.jit
def _store_heads(x1, x2, out_ptr, mask, HALF: tl.constexpr):
    """Both halves of each head of a row."""
    tl.store(out_ptr, x1.to(out_ptr.dtype.element_ty), mask=mask)
    tl.store(out_ptr + HALF, x2.to(out_ptr.dtype.element_ty), mask=mask)


@triton.jit
def _store_fp8_heads(x1, x2, out_ptr, mask, scale_ptr, scale_mask, HALF: tl.constexpr):
    """Both halves of each head of a row in FP8, and a scale per head."""
    x1, x2 = x1.to(tl.float32), x2.to(tl.float32)
    peak = tl.maximum(tl.maximum(tl.max(tl.abs(x1), 1), tl.max(tl.abs(x2), 1)), PEAK)
    to_values = tl.div_rn(TOP, peak)[:, None]
    _store_heads(x1 * to_values, x2 * to_values, out_ptr, mask, HALF)
    tl.store(scale_ptr, tl.div_rn(peak, TOP), mask=scale_mask)


@triton.jit
def _qk_norm_rope_cache_kernel(
    qkv_ptr, q_weight_ptr, k_weight_ptr, cos_ptr, sin_ptr, slot_mapping, q_out_ptr, key_cache, value_cache,
    key_scales, value_scales, stride_scales, batch_mapping, batch_keys, batch_values, eps,
    FP8: tl.constexpr, BATCH: tl.constexpr,
    HEADS: tl.constexpr, KEY_HEADS: tl.constexpr, HALF: tl.constexpr,
    BLOCK_HEADS: tl.constexpr, BLOCK_KEY_HEADS: tl.constexpr,
):  # fmt: skip
    row, cols = tl.program_id(0).to(tl.int64), tl.arange(0, HALF)
    head_dim: tl.constexpr = 2 * HALF
    cache_row = tl.load(slot_mapping + row)
    x_ptr = qkv_ptr + row * (HEADS + 2 * KEY_HEADS) * head_dim
    heads = tl.arange(0, BLOCK_HEADS)[:, None]
    offsets, mask = heads * head_dim + cols[None, :], (heads < HEADS) & (cols[None, :] < HALF)
    x1, x2 = _rms_norm_halves(x_ptr + offsets, mask, q_weight_ptr, cols, eps, HALF)
    x1, x2 = _rotate(x1, x2, cos_ptr, sin_ptr, row, cols, HALF)
    out_ptr = q_out_ptr + row * HEADS * head_dim + offsets
    _store_heads(x1, x2, out_ptr, mask, HALF)
    heads = tl.arange(0, BLOCK_KEY_HEADS)[:, None]
    offsets, mask = heads * head_dim + cols[None, :], (heads < KEY_HEADS) & (cols[None, :] < HALF)
    x_ptr += HEADS * head_dim
    x1, x2 = _rms_norm_halves(x_ptr + offsets, mask, k_weight_ptr, cols, eps, HALF)
    x1, x2 = _rotate(x1, x2, cos_ptr, sin_ptr, row, cols, HALF)
    x_ptr += KEY_HEADS * head_dim
    v1, v2 = tl.load(x_ptr + offsets, mask=mask, other=0.0), tl.load(x_ptr + HALF + offsets, mask=mask, other=0.0)
    out_offsets = cache_row * KEY_HEADS * head_dim + offsets
    if FP8:
        key_heads = tl.arange(0, BLOCK_KEY_HEADS)
        scale_offsets, scale_mask = key_heads.to(tl.int64) * stride_scales + cache_row, key_heads < KEY_HEADS
        _store_fp8_heads(x1, x2, key_cache + out_offsets, mask, key_scales + scale_offsets, scale_mask, HALF)
        _store_fp8_heads(v1, v2, value_cache + out_offsets, mask, value_scales + scale_offsets, scale_mask, HALF)
    else:
        _store_heads(x1, x2, key_cache + out_offsets, mask, HALF)
        _store_heads(v1, v2, value_cache + out_offsets, mask, HALF)
    if BATCH:
        out_offsets = tl.load(batch_mapping + row) * KEY_HEADS * head_dim + offsets
        _store_heads(x1, x2, batch_keys + out_offsets, mask, HALF)
        _store_heads(v1, v2, batch_values + out_offsets, mask, HALF)


def qk_norm_rope_cache(
    qkv: Tensor, heads: int, q_weight: Tensor, k_weight: Tensor, eps: float, cos: Tensor, sin: Tensor,
    slot_mapping: Tensor, key_cache: Activations, value_cache: Activations, batch_kv: BatchKeysValues | None = None,
) -> Tensor:  # fmt: skip
    """qkv (rows, (heads + 2 × key heads) × head_dim) → queries (rows, heads, head_dim), normalized and rotated.

    Writes keys, normalized and rotated, and values to the cache rows `slot_mapping` (rows,), and to the rows of
    `batch_kv`. head_dim is a power of 2.
    """
    key_heads, head_dim = key_cache.shape[1:]
    keys, key_scales, stride_scales = numbers_and_scales(key_cache)
    values, value_scales, _ = numbers_and_scales(value_cache)
    in_batch = (slot_mapping, keys, values)  # untouched
    if batch_kv:
        in_batch = (batch_kv.slot_mapping, batch_kv.keys, batch_kv.values)
    for whole in (qkv, cos, sin, slot_mapping, keys, values, *in_batch):
        assert whole.is_contiguous()
    out = qkv.new_empty(len(qkv), heads, head_dim)
    _qk_norm_rope_cache_kernel[(len(qkv),)](
        qkv, q_weight, k_weight, cos, sin, slot_mapping, out, keys, values, key_scales, value_scales, stride_scales,
        *in_batch, eps, FP8=isinstance(key_cache, Fp8Rows), BATCH=batch_kv is not None, HEADS=heads,
        KEY_HEADS=key_heads, HALF=head_dim // 2, BLOCK_HEADS=power_of_2(heads),
        BLOCK_KEY_HEADS=power_of_2(key_heads), num_warps=4,
    )  # fmt: skip
    return out


def numbers_and_scales(rows: Activations) -> tuple[Tensor, Tensor, int]:
    """Cached keys or values for a kernel: numbers, scales, and how far apart the scales of two heads lie.

    Scales of one head lie side by side, because a program of attention reads those of one head. In 16 bits there are
    none, and the kernel gets a tensor that it does not touch.
    """
    if not isinstance(rows, Fp8Rows):
        return rows, rows, 0
    assert rows.scales.stride(0) == 1
    return rows.values, rows.scales, rows.scales.stride(1)
