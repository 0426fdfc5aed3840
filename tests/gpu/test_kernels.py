"""Each kernel on a GPU against the same operation in torch, which runs on the CPU in float32."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.gpu import BF16, FP16, FP32, on_gpu
from torch import Tensor, nn
from transformers.activations import GELUTanh, SiLUActivation
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextRMSNorm

from yanshou.engines.continuous import ops
from yanshou.engines.continuous.attention import decode_attention, varlen_attention
from yanshou.engines.continuous.attention_metadata import DecodeMetadata, VarlenMetadata

pytestmark = on_gpu

TOLERANCE = {BF16: 4e-2, FP16: 5e-3, FP32: 1e-4}  # for each number; a rounded input times a large weight weighs most
AWAY = {BF16: 1e-2, FP16: 2e-3, FP32: 1e-5}  # for all numbers together: ‖found − expected‖ ÷ ‖expected‖
GARBAGE = 50.0  # where nothing may be read


def assert_near(found: Tensor, expected: Tensor) -> None:
    dtype, found = found.dtype, found.float().cpu()
    torch.testing.assert_close(found, expected.float(), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert float((found - expected).norm() / expected.norm()) < AWAY[dtype]


def rounded(dtype: torch.dtype, *shape: int) -> Tensor:
    """Random numbers that the dtype can hold, in float32 on the CPU."""
    return torch.randn(shape).to(dtype).float()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


# ---- attention over sequences of different lengths ----

QUERIES, CACHED = (130, 1, 17, 64), (0, 40, 5, 70)  # of each sequence: its queries, and keys before the first of them
HEADS = {  # heads, key heads, head_dim
    "tiny": (2, 1, 32), "narrow": (4, 2, 16), "demo": (4, 4, 64), "demo's tower": (6, 6, 32), "4B": (32, 8, 128),
    "4B's tower": (16, 16, 64), "8B's tower": (16, 16, 72), "six heads per key head": (12, 2, 128),
}  # fmt: skip
VARLEN = [
    *((name, BF16, causal) for name in HEADS for causal in (True, False)),
    ("4B", FP16, True), ("8B's tower", FP16, False), ("demo", FP32, True), ("demo", FP32, False),
]  # fmt: skip


def varlen_metadata(cached: Sequence[int], device: str) -> VarlenMetadata:
    """Queries without gaps, keys with gaps of 3 rows; three empty sequences behind the last as on a GPU."""
    queries, keys, row = list[tuple[int, int]](), list[tuple[int, int]](), 3
    for count, before in zip(QUERIES, cached, strict=True):
        start = queries[-1][1] if queries else 0
        queries.append((start, start + count))
        keys.append((row, row + before + count))
        row = keys[-1][1] + 3
    tensors = (
        [*(start for start, _ in queries), *[queries[-1][1]] * 4],
        [*(start for start, _ in keys), *[0] * 4],
        [*(end - start for start, end in keys), *[0] * 3],
    )
    return VarlenMetadata(queries, keys, *(torch.tensor(one, dtype=torch.int32, device=device) for one in tensors))


def on_host(metadata: VarlenMetadata) -> VarlenMetadata:
    """The same sequences without a kernel: SDPA, one after another."""
    return replace(metadata, cu_seqlens_q=None, k_starts=None, seqused_k=None)


def varlen_inputs(name: str, dtype: torch.dtype, metadata: VarlenMetadata) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values, garbage in the rows that no sequence has."""
    heads, key_heads, head_dim = HEADS[name]
    q = rounded(dtype, metadata.query_ranges[-1][1] + 9, heads, head_dim)
    k, v = (rounded(dtype, metadata.key_ranges[-1][1] + 9, key_heads, head_dim) for _ in range(2))
    used = torch.zeros(len(k), dtype=torch.bool)
    for start, end in metadata.key_ranges:
        used[start:end] = True
    k[~used] = v[~used] = GARBAGE
    return q, k, v


@pytest.mark.parametrize(("name", "dtype", "causal"), VARLEN, ids=str)
def test_varlen_attention_is_that_of_sdpa(name: str, dtype: torch.dtype, causal: bool) -> None:
    """Triton's kernel, and FlashAttention for heads of 72. In float32 too, where the engine takes SDPA."""
    metadata = varlen_metadata(CACHED if causal else [0] * len(QUERIES), "cuda")
    q, k, v = varlen_inputs(name, dtype, metadata)
    scale, rows = q.shape[-1] ** -0.5, metadata.query_ranges[-1][1]
    found = varlen_attention(*(one.to("cuda", dtype) for one in (q, k, v)), metadata, scale, causal)
    expected = varlen_attention(q, k, v, on_host(metadata), scale, causal)
    assert_near(found[:rows], expected[:rows])


def test_varlen_attention_reads_queries_keys_and_values_out_of_one_projection() -> None:
    """As the vision tower has them: rows of three times the heads."""
    heads, _, head_dim = HEADS["4B's tower"]
    metadata = varlen_metadata([0] * len(QUERIES), "cuda")
    qkv = rounded(BF16, metadata.key_ranges[-1][1] + 9, 3, heads, head_dim)
    found = varlen_attention(*qkv.to("cuda", BF16).unbind(1), metadata, 0.1, causal=False)
    expected = varlen_attention(*qkv.unbind(1), on_host(metadata), 0.1, causal=False)
    rows = metadata.query_ranges[-1][1]
    assert_near(found[:rows], expected[:rows])


@pytest.mark.parametrize("name", ["4B", "4B's tower", "8B's tower"])
def test_varlen_attention_of_a_sequence_is_the_same_to_the_bit_alone(name: str) -> None:
    metadata = varlen_metadata(CACHED, "cuda")
    q, k, v = (one.to("cuda", BF16) for one in varlen_inputs(name, BF16, metadata))
    causal = name == "4B"
    whole = varlen_attention(q, k, v, metadata, 0.1, causal)
    for (start, end), (k_start, k_end) in zip(metadata.query_ranges, metadata.key_ranges, strict=True):
        numbers = ([0, end - start], [k_start, 0], [k_end - k_start])
        alone = VarlenMetadata(
            [(0, end - start)], [(k_start, k_end)],
            *(torch.tensor(one, dtype=torch.int32, device="cuda") for one in numbers),
        )  # fmt: skip
        assert torch.equal(varlen_attention(q[start:end], k, v, alone, 0.1, causal), whole[start:end])


# ---- attention of one query per slot ----

SLOT_LEN, PREFIX = 320, 70
CONTEXTS, PREFIXES = (0, 1, 64, 75, 300, 320), (0, 0, 0, PREFIX, PREFIX, PREFIX)
DECODE = [*((name, BF16) for name in HEADS if "8B" not in name), ("4B", FP16), ("4B", FP32), ("tiny", FP32)]


def decode_metadata(contexts: Sequence[int], device: str) -> DecodeMetadata:
    """The shared prefix lies behind the slots."""
    return DecodeMetadata(
        torch.tensor(contexts, dtype=torch.int32, device=device),
        torch.tensor(PREFIXES, dtype=torch.int32, device=device),
        torch.tensor([len(CONTEXTS) * SLOT_LEN + 2] * len(CONTEXTS), device=device),
    )


def decode_inputs(name: str, dtype: torch.dtype) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Queries; caches as torch reads them, each slot whole; caches as the kernel reads them, prefixes in one place."""
    heads, key_heads, head_dim = HEADS[name]
    slots, start = len(CONTEXTS), len(CONTEXTS) * SLOT_LEN + 2
    whole = [rounded(dtype, start + PREFIX + 5, key_heads, head_dim) for _ in range(2)]
    split = []
    for cache in whole:
        for slot, prefix in enumerate(PREFIXES):
            cache[slot * SLOT_LEN : slot * SLOT_LEN + prefix] = cache[start : start + prefix]
        split.append(cache.clone())
        for slot, (context, prefix) in enumerate(zip(CONTEXTS, PREFIXES, strict=True)):
            split[-1][slot * SLOT_LEN : slot * SLOT_LEN + prefix] = GARBAGE
            split[-1][slot * SLOT_LEN + context : (slot + 1) * SLOT_LEN] = GARBAGE
    return rounded(dtype, slots, heads, head_dim), whole, split


@pytest.mark.parametrize(("name", "dtype"), DECODE, ids=str)
def test_decode_attention_is_that_of_sdpa(name: str, dtype: torch.dtype) -> None:
    q, whole, split = decode_inputs(name, dtype)
    caches = [cache.to("cuda", dtype) for cache in split]
    found = decode_attention(q.to("cuda", dtype), *caches, decode_metadata(CONTEXTS, "cuda"), SLOT_LEN, 0.1)
    expected = decode_attention(q, *whole, decode_metadata(CONTEXTS, "cpu"), SLOT_LEN, 0.1)
    assert_near(found[1:], expected[1:])
    assert bool(found[0].isfinite().all()), "an inactive slot"


@pytest.mark.parametrize("dtype", [BF16, FP32], ids=str)
def test_decode_attention_of_a_slot_is_the_same_to_the_bit_alone(dtype: torch.dtype) -> None:
    q, _, split = decode_inputs("4B", dtype)
    q, *caches = (one.to("cuda", dtype) for one in (q, *split))
    whole = decode_attention(q, *caches, decode_metadata(CONTEXTS, "cuda"), SLOT_LEN, 0.1)
    for slot in range(1, len(CONTEXTS)):
        alone = [context if at == slot else 0 for at, context in enumerate(CONTEXTS)]
        found = decode_attention(q, *caches, decode_metadata(alone, "cuda"), SLOT_LEN, 0.1)
        assert torch.equal(found[slot], whole[slot])


# ---- norms, rotations, activations ----

ROWS = 37


def check(work: Callable[..., Any], dtype: torch.dtype, *given: Any, in_place: bool = True) -> None:
    """Runs `work` on the CPU in float32 and on the GPU in `dtype`, and compares the results.

    What was given is compared afterwards as well, unless `in_place` is false: then only one device changes it.
    """
    on_cpu, on_cuda = ([move(one, dtype, device) for one in given] for device in ("cpu", "cuda"))
    expected, found = work(*on_cpu), work(*on_cuda)
    expected, found = (one if isinstance(one, tuple) else (one,) for one in (expected, found))
    pairs = zip((*found, *on_cuda), (*expected, *on_cpu), strict=True)
    for one, other in list(pairs)[: None if in_place else len(found)]:
        if isinstance(one, Tensor) and one.is_floating_point():
            assert one.is_cuda
            assert_near(one, other)


def move(given: Any, dtype: torch.dtype, device: str) -> Any:
    """A copy on the device: rounded to the dtype, and on the CPU in float32 again."""
    last = FP32 if device == "cpu" else dtype
    if isinstance(given, nn.Module):
        return deepcopy(given).to(dtype).to(device, last).requires_grad_(False)
    if isinstance(given, Tensor):
        return given.to(dtype).to(device, last, copy=True) if given.is_floating_point() else given.to(device)
    return given


def weighted(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


DTYPES = pytest.mark.parametrize("dtype", [BF16, FP16, FP32], ids=str)


@DTYPES
def test_norms_are_those_of_torch(dtype: torch.dtype) -> None:
    for width in (64, 80, 2_560) if dtype == BF16 else (80,):
        check(ops.rms_norm, dtype, torch.randn(ROWS, width), weighted(Qwen3VLTextRMSNorm(width)))
        norm = weighted(nn.LayerNorm(width, eps=1e-6))
        check(ops.layer_norm, dtype, torch.randn(ROWS, width) + 3, norm, torch.randn(width))


@DTYPES
def test_activations_are_those_of_torch(dtype: torch.dtype) -> None:
    for width in (48, 1_024, 1_500) if dtype == BF16 else (1_500,):
        for activation in (nn.SiLU(), SiLUActivation()):
            check(ops.act_and_mul, dtype, 3 * torch.randn(ROWS, 2 * width), activation)
    if dtype != FP32:  # cuBLAS's GELU is fast and not exact
        weight, bias = torch.randn(128, 64) / 16, torch.randn(128) / 16
        check(ops.linear_gelu, dtype, torch.randn(ROWS, 64), weight, bias, GELUTanh())


@DTYPES
def test_rotations_in_the_vision_tower_are_those_of_transformers(dtype: torch.dtype) -> None:
    for heads, head_dim in ((4, 16), (3, 24), (16, 72)) if dtype == BF16 else ((16, 72),):
        qkv, angles = torch.randn(ROWS, 3 * heads * head_dim), torch.randn(ROWS, head_dim)
        check(ops.apply_rope_, dtype, qkv, heads, angles.cos(), angles.sin(), in_place=False)


@DTYPES
def test_queries_and_cached_keys_and_values_are_those_of_transformers(dtype: torch.dtype) -> None:
    """Normalized, rotated, and in the rows of the cache that they belong to; the other rows stay."""
    for heads, key_heads, head_dim in ((4, 2, 16), (6, 3, 32), (32, 8, 128)) if dtype == BF16 else ((32, 8, 128),):
        q_norm, k_norm = (weighted(Qwen3VLTextRMSNorm(head_dim)) for _ in range(2))
        qkv, angles = torch.randn(ROWS, (heads + 2 * key_heads) * head_dim), torch.randn(ROWS, head_dim)
        rows, caches = torch.randperm(60)[:ROWS], torch.randn(2, 60, key_heads, head_dim)

        def work(qkv: Tensor, q_norm: Any, k_norm: Any, *given: Tensor) -> Tensor:
            attention = SimpleNamespace(head_dim=q_norm.weight.numel(), q_norm=q_norm, k_norm=k_norm)
            return ops.qk_norm_rope_cache(qkv, attention, *given)

        check(work, dtype, qkv, q_norm, k_norm, angles.cos(), angles.sin(), rows, caches[0], caches[1])
