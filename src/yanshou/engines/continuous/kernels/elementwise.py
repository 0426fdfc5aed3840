"""Kernels for `pointwise.py`: a program reads its rows once, reckons in float32, rounds and writes them once."""

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton import next_power_of_2 as power_of_2

GATES = 1_024  # numbers of a row that one program of `gated` lets through


@triton.jit
def _rms_norm(x, weight, out, eps, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    column = tl.arange(0, BLOCK)
    there = column < WIDTH
    place = tl.program_id(0).to(tl.int64) * WIDTH + column
    numbers = tl.load(x + place, mask=there, other=0.0).to(tl.float32)
    scale = tl.rsqrt(tl.sum(numbers * numbers, 0) / WIDTH + eps)
    weights = tl.load(weight + column, mask=there, other=0.0).to(tl.float32)
    tl.store(out + place, (numbers * scale * weights).to(out.dtype.element_ty), mask=there)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    (rows, width), out = x.shape, torch.empty_like(x)
    assert x.is_contiguous()
    _rms_norm[(rows,)](x, weight, out, eps, WIDTH=width, BLOCK=power_of_2(width), num_warps=warps(width))
    return out


@triton.jit
def _layer_norm(x, before, weight, bias, out, eps, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    column = tl.arange(0, BLOCK)
    there = column < WIDTH
    place = tl.program_id(0).to(tl.int64) * WIDTH + column
    numbers = tl.load(x + place, mask=there, other=0.0).to(tl.float32)
    numbers = (numbers + tl.load(before + column, mask=there, other=0.0).to(tl.float32)).to(x.dtype.element_ty)
    tl.store(x + place, numbers, mask=there)
    numbers = numbers.to(tl.float32)
    apart = tl.where(there, numbers - tl.sum(numbers, 0) / WIDTH, 0.0)
    scale = tl.rsqrt(tl.sum(apart * apart, 0) / WIDTH + eps)
    weights = tl.load(weight + column, mask=there, other=0.0).to(tl.float32)
    biases = tl.load(bias + column, mask=there, other=0.0).to(tl.float32)
    tl.store(out + place, (apart * scale * weights + biases).to(out.dtype.element_ty), mask=there)


def layer_norm(x: Tensor, before: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """`before` (width,) is added to x where it lies."""
    (rows, width), out = x.shape, torch.empty_like(x)
    assert x.is_contiguous()
    _layer_norm[(rows,)](
        x, before, weight, bias, out, eps, WIDTH=width, BLOCK=power_of_2(width), num_warps=warps(width)
    )
    return out


def warps(width: int) -> int:
    """Of a program that holds a whole row."""
    return max(1, min(8, int(power_of_2(width)) // 512))


@triton.jit
def _gated(gate_up, out, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    row, column = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = column < WIDTH
    gate = tl.load(gate_up + row * 2 * WIDTH + column, mask=there, other=0.0).to(tl.float32)
    up = tl.load(gate_up + (row * 2 + 1) * WIDTH + column, mask=there, other=0.0).to(tl.float32)
    through = gate / (1.0 + tl.exp(-gate)) * up
    tl.store(out + row * WIDTH + column, through.to(out.dtype.element_ty), mask=there)


def gated(gate_up: Tensor) -> Tensor:
    rows, width = gate_up.shape[0], gate_up.shape[1] // 2
    assert gate_up.is_contiguous()
    out = gate_up.new_empty(rows, width)
    _gated[(rows, triton.cdiv(width, GATES))](gate_up, out, WIDTH=width, BLOCK=GATES, num_warps=4)
    return out


@triton.jit
def _turn(qkv, cos, sin, row, HEADS: tl.constexpr, HALF: tl.constexpr, HEAD_BLOCK: tl.constexpr, BLOCK: tl.constexpr):
    at, head, column = tl.program_id(0).to(tl.int64), tl.arange(0, HEAD_BLOCK), tl.arange(0, BLOCK)
    there = (head[:, None] < HEADS) & (column[None, :] < HALF)
    first = qkv + at * row + head[:, None] * (2 * HALF) + column[None, :]
    one = tl.load(first, mask=there, other=0.0).to(tl.float32)
    other = tl.load(first + HALF, mask=there, other=0.0).to(tl.float32)
    one, other = _turned(one, other, cos, sin, at, column, HALF)
    tl.store(first, one.to(qkv.dtype.element_ty), mask=there)
    tl.store(first + HALF, other.to(qkv.dtype.element_ty), mask=there)


@triton.jit
def _turned(one, other, cos, sin, at, column, HALF: tl.constexpr):
    """Both halves of each head, (heads, half a width), turned by the angles of row `at`."""
    place, there = at * 2 * HALF + column, column < HALF
    cos_one = tl.load(cos + place, mask=there, other=0.0).to(tl.float32)[None, :]
    cos_other = tl.load(cos + place + HALF, mask=there, other=0.0).to(tl.float32)[None, :]
    sin_one = tl.load(sin + place, mask=there, other=0.0).to(tl.float32)[None, :]
    sin_other = tl.load(sin + place + HALF, mask=there, other=0.0).to(tl.float32)[None, :]
    return one * cos_one - other * sin_one, other * cos_other + one * sin_other


def turn(qkv: Tensor, heads: int, cos: Tensor, sin: Tensor) -> None:
    """Turns the first `heads` heads of every row where they lie; cos and sin (rows, width)."""
    half = cos.shape[1] // 2
    assert qkv.is_contiguous()
    assert cos.is_contiguous()
    assert sin.is_contiguous()
    _turn[(len(qkv),)](
        qkv, cos, sin, qkv.stride(0), HEADS=heads, HALF=half, HEAD_BLOCK=power_of_2(heads), BLOCK=power_of_2(half),
        num_warps=4,
    )  # fmt: skip


@triton.jit
def _normed(first, there, weight, column, eps, HALF: tl.constexpr):
    """Both halves of each head, its root mean square made one, weighted."""
    one = tl.load(first, mask=there, other=0.0).to(tl.float32)
    other = tl.load(first + HALF, mask=there, other=0.0).to(tl.float32)
    scale = tl.rsqrt((tl.sum(one * one, 1) + tl.sum(other * other, 1)) / (2 * HALF) + eps)[:, None]
    weight_one = tl.load(weight + column).to(tl.float32)[None, :]
    weight_other = tl.load(weight + HALF + column).to(tl.float32)[None, :]
    return one * scale * weight_one, other * scale * weight_other


@triton.jit
def _into_table(
    qkv, q_weight, k_weight, cos, sin, rows, out, keys, values, eps,
    HEADS: tl.constexpr, KEY_HEADS: tl.constexpr, HALF: tl.constexpr,
    HEAD_BLOCK: tl.constexpr, KEY_BLOCK: tl.constexpr,
):  # fmt: skip
    at, column = tl.program_id(0).to(tl.int64), tl.arange(0, HALF)
    width: tl.constexpr = 2 * HALF
    row = tl.load(rows + at)
    source = qkv + at * (HEADS + 2 * KEY_HEADS) * width
    head = tl.arange(0, HEAD_BLOCK)[:, None]
    place, there = head * width + column[None, :], (head < HEADS) & (column[None, :] < HALF)
    one, other = _normed(source + place, there, q_weight, column, eps, HALF)
    one, other = _turned(one, other, cos, sin, at, column, HALF)
    mine = out + at * HEADS * width + place
    tl.store(mine, one.to(out.dtype.element_ty), mask=there)
    tl.store(mine + HALF, other.to(out.dtype.element_ty), mask=there)
    head = tl.arange(0, KEY_BLOCK)[:, None]
    place, there = head * width + column[None, :], (head < KEY_HEADS) & (column[None, :] < HALF)
    source += HEADS * width
    one, other = _normed(source + place, there, k_weight, column, eps, HALF)
    one, other = _turned(one, other, cos, sin, at, column, HALF)
    mine = keys + row * KEY_HEADS * width + place
    tl.store(mine, one.to(keys.dtype.element_ty), mask=there)
    tl.store(mine + HALF, other.to(keys.dtype.element_ty), mask=there)
    source += KEY_HEADS * width
    mine = values + row * KEY_HEADS * width + place
    tl.store(mine, tl.load(source + place, mask=there, other=0.0), mask=there)
    tl.store(mine + HALF, tl.load(source + HALF + place, mask=there, other=0.0), mask=there)


def into_table(
    qkv: Tensor, heads: int, q_weight: Tensor, k_weight: Tensor, eps: float, cos: Tensor, sin: Tensor, rows: Tensor,
    keys: Tensor, values: Tensor,
) -> Tensor:  # fmt: skip
    """qkv (rows, (heads + 2 × key heads) × width); width is a power of two."""
    key_heads, width = keys.shape[1:]
    for whole in (qkv, cos, sin, rows, keys, values):
        assert whole.is_contiguous()
    out = qkv.new_empty(len(qkv), heads, width)
    _into_table[(len(qkv),)](
        qkv, q_weight, k_weight, cos, sin, rows, out, keys, values, eps, HEADS=heads, KEY_HEADS=key_heads,
        HALF=width // 2, HEAD_BLOCK=power_of_2(heads), KEY_BLOCK=power_of_2(key_heads), num_warps=4,
    )  # fmt: skip
    return out
