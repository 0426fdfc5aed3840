"""Triton kernels that write activations in FP8: norms, activations, and rows as they are.

One program per row, because a row's scale depends on the whole row. Each reads its row once, computes in float32, and
writes values of 8 bits and one scale. The scale of a row with NaN is undefined; no other row takes part in it.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton import next_power_of_2 as power_of_2

from yanshou.engines.continuous.fp8.activations import FP8, Fp8Rows
from yanshou.engines.continuous.kernels.elementwise import PEAK, TOP, num_warps


@triton.jit
def _store_fp8(x, values_ptr, scales_ptr, row, cols, mask, WIDTH: tl.constexpr):
    """A row x (BLOCK,) of float32, zero where it is masked."""
    peak = tl.maximum(tl.max(tl.abs(x), 0), PEAK)
    _store_values(x, peak, values_ptr, row, cols, mask, WIDTH)
    tl.store(scales_ptr + row, tl.div_rn(peak, TOP))


@triton.jit
def _store_values(x, peak, values_ptr, row, cols, mask, WIDTH: tl.constexpr):
    """Columns x (BLOCK,) of a row, whose largest absolute value is `peak`."""
    values = x * tl.div_rn(TOP, peak)
    tl.store(values_ptr + row * WIDTH + cols, values.to(values_ptr.dtype.element_ty), mask=mask)


@triton.jit
def _rms_norm_kernel(
    x_ptr, added_ptr, weight_ptr, out_ptr, scales_ptr, eps,
    HAS_ADDED: tl.constexpr, TO_FP8: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, cols = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    mask = cols < WIDTH
    offsets = row * WIDTH + cols
    x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    if HAS_ADDED:
        x += tl.load(added_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
        rounded = x.to(x_ptr.dtype.element_ty)
        tl.store(x_ptr + offsets, rounded, mask=mask)
        x = rounded.to(tl.float32)
    rstd = tl.rsqrt(tl.sum(x * x, 0) / WIDTH + eps)
    weight = tl.load(weight_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    x = x * rstd * weight
    if TO_FP8:
        _store_fp8(x, out_ptr, scales_ptr, row, cols, mask, WIDTH)
    else:
        tl.store(out_ptr + offsets, x.to(out_ptr.dtype.element_ty), mask=mask)


def rms_norm(x: Tensor, added: Tensor | None, weight: Tensor, eps: float, fp8: bool) -> Tensor | Fp8Rows:
    """x (rows, width) → the same shape. Adds `added` (rows, width) to x in place before normalizing."""
    rows, width = x.shape
    assert x.is_contiguous()
    assert added is None or (added.is_contiguous() and added.shape == x.shape)
    out = _empty(x) if fp8 else Fp8Rows(torch.empty_like(x), x)  # scales that nothing writes
    _rms_norm_kernel[(rows,)](
        x, x if added is None else added, weight, out.values, out.scales, eps, HAS_ADDED=added is not None, TO_FP8=fp8,
        WIDTH=width, BLOCK=power_of_2(width), num_warps=num_warps(width),
    )  # fmt: skip
    return out if fp8 else out.values


@triton.jit
def _layer_norm_kernel(
    x_ptr, residual_bias_ptr, added_ptr, weight_ptr, bias_ptr, values_ptr, scales_ptr, eps,
    HAS_ADDED: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row, cols = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    mask = cols < WIDTH
    offsets = row * WIDTH + cols
    x = tl.load(x_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    x += tl.load(residual_bias_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    if HAS_ADDED:
        x += tl.load(added_ptr + offsets, mask=mask, other=0.0).to(tl.float32)
    rounded = x.to(x_ptr.dtype.element_ty)
    tl.store(x_ptr + offsets, rounded, mask=mask)
    x = rounded.to(tl.float32)
    centered = tl.where(mask, x - tl.sum(x, 0) / WIDTH, 0.0)
    rstd = tl.rsqrt(tl.sum(centered * centered, 0) / WIDTH + eps)
    weight = tl.load(weight_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    bias = tl.load(bias_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    _store_fp8(centered * rstd * weight + bias, values_ptr, scales_ptr, row, cols, mask, WIDTH)


def layer_norm(
    x: Tensor, residual_bias: Tensor, added: Tensor | None, weight: Tensor, bias: Tensor, eps: float
) -> Fp8Rows:
    """x (rows, width) → FP8. Adds `residual_bias` (width,) and `added` (rows, width) to x in place before."""
    (rows, width), out = x.shape, _empty(x)
    assert x.is_contiguous()
    assert added is None or (added.is_contiguous() and added.shape == x.shape)
    _layer_norm_kernel[(rows,)](
        x, residual_bias, x if added is None else added, weight, bias, out.values, out.scales, eps,
        HAS_ADDED=added is not None, WIDTH=width, BLOCK=power_of_2(width), num_warps=num_warps(width),
    )  # fmt: skip
    return out


@triton.jit
def _silu_and_mul_kernel(gate_up_ptr, values_ptr, scales_ptr, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    row, cols = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    mask = cols < WIDTH
    gate = tl.load(gate_up_ptr + row * 2 * WIDTH + cols, mask=mask, other=0.0).to(tl.float32)
    up = tl.load(gate_up_ptr + (row * 2 + 1) * WIDTH + cols, mask=mask, other=0.0).to(tl.float32)
    _store_fp8(gate / (1.0 + tl.exp(-gate)) * up, values_ptr, scales_ptr, row, cols, mask, WIDTH)


def silu_and_mul(gate_up: Tensor) -> Fp8Rows:
    """gate_up (rows, 2 × width), gates first → FP8 (rows, width)."""
    rows, width = gate_up.shape[0], gate_up.shape[1] // 2
    assert gate_up.is_contiguous()
    out = _empty(gate_up, width)
    _silu_and_mul_kernel[(rows,)](
        gate_up, out.values, out.scales, WIDTH=width, BLOCK=power_of_2(width), num_warps=silu_warps(width)
    )
    return out


@triton.jit
def _bias_gelu(x_ptr, bias_ptr, row, cols, mask, WIDTH: tl.constexpr):
    """Columns of a row, activated, in float32; zero where they are masked."""
    x = tl.load(x_ptr + row * WIDTH + cols, mask=mask, other=0.0).to(tl.float32)
    x += tl.load(bias_ptr + cols, mask=mask, other=0.0).to(tl.float32)
    # x × (1 + tanh(y)) ÷ 2 = x ÷ (1 + exp(-2 y)), y = √(2 ÷ π) × (x + 0.044715 x³)
    return x / (1.0 + tl.exp(-1.5957691216057308 * (x + 0.044715 * x * x * x)))


@triton.jit
def _bias_gelu_kernel(
    x_ptr, bias_ptr, values_ptr, scales_ptr, WIDTH: tl.constexpr, BLOCK: tl.constexpr, REST: tl.constexpr
):
    row, cols = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    mask = cols < WIDTH
    x = _bias_gelu(x_ptr, bias_ptr, row, cols, mask, WIDTH)
    peak = tl.maximum(tl.max(tl.abs(x), 0), PEAK)
    if REST:
        rest_cols = BLOCK + tl.arange(0, REST)
        rest_mask = rest_cols < WIDTH
        rest = _bias_gelu(x_ptr, bias_ptr, row, rest_cols, rest_mask, WIDTH)
        peak = tl.maximum(peak, tl.max(tl.abs(rest), 0))
        _store_values(rest, peak, values_ptr, row, rest_cols, rest_mask, WIDTH)
    _store_values(x, peak, values_ptr, row, cols, mask, WIDTH)
    tl.store(scales_ptr + row, tl.div_rn(peak, TOP))


def bias_gelu(x: Tensor, bias: Tensor) -> Fp8Rows:
    """GELU with tanh of x (rows, width) + bias (width,), in FP8."""
    (rows, width), out = x.shape, _empty(x)
    assert x.is_contiguous()
    block, rest = two_blocks(width)
    _bias_gelu_kernel[(rows,)](
        x, bias, out.values, out.scales, WIDTH=width, BLOCK=block, REST=rest, num_warps=wide_warps(block)
    )
    return out


@triton.jit
def _quantize_kernel(x_ptr, values_ptr, scales_ptr, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    row, cols = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    mask = cols < WIDTH
    x = tl.load(x_ptr + row * WIDTH + cols, mask=mask, other=0.0).to(tl.float32)
    _store_fp8(x, values_ptr, scales_ptr, row, cols, mask, WIDTH)


def quantize_rows(x: Tensor) -> Fp8Rows:
    """x (rows, width) in FP8."""
    (rows, width), out = x.shape, _empty(x)
    assert x.is_contiguous()
    _quantize_kernel[(rows,)](
        x, out.values, out.scales, WIDTH=width, BLOCK=power_of_2(width), num_warps=wide_warps(width)
    )
    return out


def _empty(x: Tensor, width: int = 0) -> Fp8Rows:
    """Memory for the rows of x, of the same width or of another one."""
    rows = len(x)
    return Fp8Rows(x.new_empty(rows, width or x.shape[1], dtype=FP8), x.new_empty(rows, 1, dtype=torch.float32))


def wide_warps(width: int) -> int:
    """Warps of a program that holds a whole row, which may be as wide as the MLP."""
    return max(1, min(32, int(power_of_2(width)) // 1_024))


def silu_warps(width: int) -> int:
    """Of a program that holds two rows. 24,960 × 9,728 takes 285 µs with 8 warps and 357 with 16 (H200)."""
    return min(wide_warps(width), 8) if width <= 16_384 else wide_warps(width)


def two_blocks(width: int) -> tuple[int, int]:
    """Powers of two that together are as wide or a little wider; the second may be 0.

    An activation also takes the time of the columns that are masked: of 8,192 for 4,304, if there is one block.
    """
    whole = int(power_of_2(width))
    rest = int(power_of_2(width - whole // 2))
    return (whole, 0) if rest == whole // 2 else (whole // 2, rest)
