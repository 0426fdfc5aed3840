"""What a GPU does differently, done on a CPU: padded launches, garbage beside the spans, all by our kernels.

TRITON_INTERPRET=1 python tests/support/interpreted_kernels.py a-tiny-checkpoint   → status 0: not a token differs
"""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
import yanshou.engines.continuous.engine as engine
from support.checkpoints import noise, settings
from yanshou.engines import Completion, Failure, Prompt, Request
from yanshou.engines.continuous import language_model as language
from yanshou.engines.continuous import model_runner as runner
from yanshou.engines.continuous import ops as pointwise
from yanshou.engines.continuous import vision_encoder as tower
from yanshou.engines.continuous.attention_metadata import DecodeMetadata, VarlenMetadata
from yanshou.engines.continuous.capacity import Capacity
from yanshou.engines.continuous.kernels import elementwise as pointwise_kernel
from yanshou.engines.continuous.kernels.attention import decode, packed
from yanshou.engines.continuous.prefill_batch import Shape

SIZES = [(64, 64), (96, 160), (200, 90), (33, 47), (300, 300)]
USUAL, TINY = Capacity(5, 192, 448, 448, 448), Capacity(3, 128, 128, 32, 128)


def asked() -> list[Request]:
    """More beginnings than are kept, each twice, and text between the photos."""
    prompts = [Prompt("看图。" * (1 + at), "写一行。") for at in range(6)]
    photos = [
        Request(at, prompts[at % 6], noise(at, *SIZES[at % len(SIZES)]), f"photo {at}") for at in range(12)
    ]  # fmt: skip
    text = [Request(20 + at, prompts[at], None, f"text {at}", ("通过", "不通过")) for at in range(2)]
    return [*photos[:4], text[0], *photos[4:], text[1]]


def few() -> list[Request]:
    """As many as the interpreter has the time for, a program a row."""
    prompt = Prompt("看图。", "写一行。")
    photos = [Request(at, prompt, noise(at, *SIZES[at]), f"photo {at}") for at in (0, 3, 1)]
    return [*photos, Request(20, prompt, None, "text", ("通过", "不通过"))]


def answers(folder: Path, requests: Sequence[Request]) -> dict[int, Completion | Failure]:
    given = settings(folder, temperature=1.0, repetition_penalty=1.2, max_new_tokens=12)
    return {answer.id: answer for answer in engine.ContinuousEngine(given).generate(requests)}


def padded(tokens: int, patches: int, sequences: int, exact: bool) -> Shape:
    return Shape(tokens, patches, sequences, exact=False)


def interpreted(q: Tensor, k: Tensor, v: Tensor, reach: DecodeMetadata, room: int, scale: float) -> Tensor:
    """The kernel, where what it must not read is not a number."""
    shared, at, lengths = reach.shared.tolist(), reach.shared_at.tolist(), reach.lengths.tolist()
    used.update(zip(at, shared, strict=True))
    known = k.clone(), v.clone()
    for slot, (length, common) in enumerate(zip(lengths, shared, strict=True)):
        for rows in known:
            rows[slot * room : slot * room + common] = torch.nan
            rows[slot * room + length : (slot + 1) * room] = torch.nan
    return decode(q, *known, reach, room, scale)


def interpreted_packed(q: Tensor, k: Tensor, v: Tensor, spans: VarlenMetadata, scale: float, causal: bool) -> Tensor:
    """The kernel, with spans as they lie on a GPU."""
    starts = [start for start, _ in spans.queries]
    there = replace(
        spans, starts=torch.tensor([*starts, *[spans.queries[-1][1]] * 3]).int(),
        key_starts=torch.tensor([*(start for start, _ in spans.keys), 0, 0]).int(),
        key_lengths=torch.tensor([*(end - start for start, end in spans.keys), 0, 0]).int(),
    )  # fmt: skip
    out = packed(q, k, v, there, scale, causal)
    inside = torch.full_like(out, torch.nan)
    for start, end in spans.queries:
        inside[start:end] = out[start:end]
    return inside


used: set[tuple[int, int]] = set()  # prefixes that were read in one place: first row, rows


def check(folder: Path, requests: Sequence[Request], size: Capacity, between: bool) -> None:
    """`between`: what stands between the matrix products is done by kernels, too."""
    plain, kernels = answers(folder, requests), pointwise_kernel if between else None
    with ExitStack() as patched:
        for module, name, other in (
            (runner, "Shape", padded), (engine, "size", lambda *_: size),
            (tower, "packed_attention", interpreted_packed), (language, "packed_attention", interpreted_packed),
            (language, "decode_attention", interpreted), (pointwise, "kernels", lambda _: kernels),
        ):  # fmt: skip
            patched.enter_context(mock.patch.object(module, name, other))
        found = answers(folder, requests)
    for at, one in plain.items():
        other = found[at]
        assert isinstance(one, Completion)
        assert isinstance(other, Completion)
        assert other.text == one.text, f"request {at}: {other.text!r} instead of {one.text!r}"
        assert torch.allclose(torch.tensor(other.logprobs), torch.tensor(one.logprobs), atol=1e-4), at


def main(arguments: Sequence[str]) -> None:
    folder = Path(arguments[0])
    check(folder, asked(), USUAL, between=False)
    assert len(used) > 2, f"prefixes read in one place: {used}"
    check(folder, few(), TINY, between=True)


if __name__ == "__main__":
    main(sys.argv[1:])
