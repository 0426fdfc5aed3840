"""Does on a CPU what only a GPU does: padded batches, garbage around the sequences, and all work by Triton kernels.

TRITON_INTERPRET=1 python tests/support/interpreted_kernels.py a-tiny-checkpoint   → status 0: no token differs
"""

import copy
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor
from triton.runtime import interpreter

sys.path.insert(0, str(Path(__file__).parents[1]))
from support import interpreted_kv
from support.checkpoints import settings
from support.interpreted_fp8 import rounded
from support.photos import noise
from support.triton_interpreter import make_fast
from yanshou.engines import Completion, Failure, Prompt, Request
from yanshou.engines.continuous import capacity, engine, language_model, model_runner, ops, vision_encoder
from yanshou.engines.continuous.attention_metadata import DecodeMetadata, VarlenMetadata
from yanshou.engines.continuous.capacity import Capacity, MemoryBudget, RequestBounds
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.continuous.fp8.activations import Activations, Fp8Rows
from yanshou.engines.continuous.kernels import attention, elementwise
from yanshou.engines.continuous.prefill_batch import BatchShape

SIZES = [(64, 64), (96, 160), (200, 90), (33, 47), (300, 300)]
Photo = dict[str, int] | None  # bounds of its pixels; None: the usual ones

TINY_PHOTOS = {"min_pixels": 1_024, "max_pixels": 8_192}
USUAL, SMALL = Capacity(5, 192, 448, 448, scratch_rows=448), Capacity(3, 64, 64, 16, scratch_rows=64)


def many() -> list[Request]:
    """More prefixes than are cached, each twice, and prompts without a photo between the photos."""
    prompts = [Prompt("看图。" * (1 + number), "写一行。") for number in range(6)]
    photos = [
        Request(number, prompts[number % 6], noise(number, *SIZES[number % len(SIZES)]), f"photo {number}")
        for number in range(12)
    ]
    text = [Request(20 + number, prompts[number], None, f"text {number}", ("通过", "不通过")) for number in range(2)]
    return [*photos[:4], text[0], *photos[4:], text[1]]


def few() -> list[Request]:
    """Few enough for the interpreter, which runs one program after another."""
    prompt = Prompt("看图。", "写一行。")
    photos = [Request(number, prompt, noise(number, *SIZES[number]), f"photo {number}") for number in (0, 3, 1)]
    return [*photos, Request(20, prompt, None, "text", ("通过", "不通过"))]


def answers(folder: Path, requests: Sequence[Request], photo: Photo, kv_cache: str) -> dict[int, Completion | Failure]:
    given = settings(folder, photo=photo, temperature=1.0, repetition_penalty=1.2, max_new_tokens=7)
    given = given.model_copy(update={"kv_cache": kv_cache})
    return {answer.id: answer for answer in ContinuousEngine(given).generate(requests)}


def padded_shape(tokens: int, patches: int, sequences: int, exact: bool) -> BatchShape:
    return BatchShape(tokens, patches, sequences, exact=False)


def decode_attention(
    q: Tensor, k: Activations, v: Activations, metadata: DecodeMetadata, slot_len: int, scale: float
) -> Tensor:
    """The decode kernel, with NaN in every row that it must not read."""
    prefix_lens, prefix_starts = metadata.prefix_lens.tolist(), metadata.prefix_starts.tolist()
    shared_prefixes.update(zip(prefix_starts, prefix_lens, strict=True))
    k, v = copy.deepcopy(k), copy.deepcopy(v)
    for slot, (length, prefix_len) in enumerate(zip(metadata.context_lens.tolist(), prefix_lens, strict=True)):
        for cache in (part.scales if isinstance(part, Fp8Rows) else part for part in (k, v)):
            cache[slot * slot_len : slot * slot_len + prefix_len] = torch.nan
            cache[slot * slot_len + length : (slot + 1) * slot_len] = torch.nan
    return attention.decode(q, k, v, metadata, slot_len, scale)


def varlen_attention(q: Tensor, k: Tensor, v: Tensor, metadata: VarlenMetadata, scale: float, causal: bool) -> Tensor:
    """The varlen kernel, with the metadata that it gets on a GPU, and NaN in every row outside the sequences."""
    if k.is_contiguous():  # rows of the language model, most of which were never written
        outside = torch.ones(len(k), 1, 1, dtype=torch.bool)
        for start, end in metadata.key_ranges:
            outside[start:end] = False
        k, v = (part.masked_fill(outside, torch.nan) for part in (k, v))
    q_starts, k_starts = ([start for start, _ in ranges] for ranges in (metadata.query_ranges, metadata.key_ranges))
    on_device = replace(
        metadata,
        cu_seqlens_q=torch.tensor([*q_starts, *[metadata.query_ranges[-1][1]] * 3]).int(),
        k_starts=torch.tensor([*k_starts, 0, 0]).int(),
        seqused_k=torch.tensor([*(end - start for start, end in metadata.key_ranges), 0, 0]).int(),
    )
    out = attention.varlen(q, k, v, on_device, scale, causal)
    inside = torch.full_like(out, torch.nan)
    for start, end in metadata.query_ranges:
        inside[start:end] = out[start:end]
    return inside


shared_prefixes: set[tuple[int, int]] = set()  # prefixes that all slots read from one place: first row, rows


def check(
    folder: Path, requests: Sequence[Request], planned: Capacity, photo: Photo, elementwise_kernels: bool,
    kv_cache: str = "auto",
) -> None:  # fmt: skip
    """The answers with kernels equal the answers without."""
    plain, kernels = answers(folder, requests, photo, kv_cache), elementwise if elementwise_kernels else None

    def plan_capacity(budget: MemoryBudget, bounds: RequestBounds, earlier: object = None) -> Capacity:
        return replace(planned, prefix_rows=capacity.MAX_PREFIXES * bounds.prefix_len)

    with ExitStack() as patched:
        for module, name, other in (
            (model_runner, "BatchShape", padded_shape), (capacity, "plan_capacity", plan_capacity),
            (vision_encoder, "varlen_attention", varlen_attention),
            (language_model, "varlen_attention", varlen_attention),
            (language_model, "decode_attention", decode_attention), (ops, "triton_ops", lambda _: kernels),
        ):  # fmt: skip
            patched.enter_context(mock.patch.object(module, name, other))
        found = answers(folder, requests, photo, kv_cache)
    for number, one in plain.items():
        other = found[number]
        assert isinstance(one, Completion)
        assert isinstance(other, Completion)
        assert other.text == one.text, f"request {number}: {other.text!r} instead of {one.text!r}"
        assert torch.allclose(torch.tensor(other.logprobs), torch.tensor(one.logprobs), atol=1e-4), number


def main(arguments: Sequence[str]) -> None:
    make_fast()
    interpreted_kv.main()  # kernels with results in 16 bits and in FP8, and attention over keys and values in FP8
    folder = Path(arguments[0])
    check(folder, many(), USUAL, photo=None, elementwise_kernels=False)
    assert len(shared_prefixes) > 2, f"prefixes that all slots read: {shared_prefixes}"
    check(folder, few(), SMALL, TINY_PHOTOS, elementwise_kernels=True)
    with mock.patch.object(engine, "check_fp8"), mock.patch.object(interpreter, "_convert_float", rounded):
        check(folder, few()[:1], SMALL, TINY_PHOTOS, elementwise_kernels=False, kv_cache="fp8")


if __name__ == "__main__":
    main(sys.argv[1:])
