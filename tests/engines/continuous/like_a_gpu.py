"""What a GPU does differently, done on a CPU: padded launches, garbage beside the spans, attention by our kernels.

TRITON_INTERPRET=1 python tests/engines/continuous/like_a_gpu.py a-tiny-checkpoint   → status 0: not a token differs
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))
from checkpoints import noise, settings

import yanshou.engines.continuous as engine
from yanshou.engines import Completion, Failure, Prompt, Request
from yanshou.engines.continuous import language, runner, tower
from yanshou.engines.continuous.attention import Reach, Spans
from yanshou.engines.continuous.kernel import decode, packed
from yanshou.engines.continuous.pack import Shape
from yanshou.engines.continuous.size import Size

SIZES = [(64, 64), (96, 160), (200, 90), (33, 47), (300, 300)]
ROOM, TOKENS = 192, 448


def asked() -> list[Request]:
    """More beginnings than are kept, each twice, and text between the photos."""
    prompts = [Prompt("看图。" * (1 + at), "写一行。") for at in range(6)]
    photos = [
        Request(at, prompts[at % 6], noise(at, *SIZES[at % len(SIZES)]), f"photo {at}") for at in range(12)
    ]  # fmt: skip
    text = [Request(20 + at, prompts[at], None, f"text {at}", ("通过", "不通过")) for at in range(2)]
    return [*photos[:4], text[0], *photos[4:], text[1]]


def answers(folder: Path) -> dict[int, Completion | Failure]:
    given = settings(folder, temperature=1.0, repetition_penalty=1.2, max_new_tokens=12)
    return {answer.id: answer for answer in engine.ContinuousEngine(given).generate(asked())}


def padded(tokens: int, patches: int, sequences: int, exact: bool) -> Shape:
    return Shape(tokens, patches, sequences, exact=False)


def small(*_: Any) -> Size:
    return Size(5, ROOM, TOKENS, TOKENS, TOKENS)


def interpreted(q: Tensor, k: Tensor, v: Tensor, reach: Reach, room: int, scale: float) -> Tensor:
    """The kernel, where what it must not read is not a number."""
    shared, at, lengths = reach.shared.tolist(), reach.shared_at.tolist(), reach.lengths.tolist()
    used.update(zip(at, shared, strict=True))
    known = k.clone(), v.clone()
    for slot, (length, common) in enumerate(zip(lengths, shared, strict=True)):
        for rows in known:
            rows[slot * room : slot * room + common] = torch.nan
            rows[slot * room + length : (slot + 1) * room] = torch.nan
    return decode(q, *known, reach, room, scale)


def interpreted_packed(q: Tensor, k: Tensor, v: Tensor, spans: Spans, scale: float, causal: bool) -> Tensor:
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


def main(arguments: Sequence[str]) -> None:
    folder = Path(arguments[0])
    plain = answers(folder)
    patches: list[Any] = [
        mock.patch.object(runner, "Shape", padded),
        mock.patch.object(engine, "size", small),
        mock.patch.object(tower, "packed_attention", interpreted_packed),
        mock.patch.object(language, "packed_attention", interpreted_packed),
        mock.patch.object(language, "decode_attention", interpreted),
    ]
    for patch in patches:
        patch.start()
    padded_ = answers(folder)
    for at, one in plain.items():
        other = padded_[at]
        assert isinstance(one, Completion)
        assert isinstance(other, Completion)
        assert other.text == one.text, f"request {at}: {other.text!r} instead of {one.text!r}"
        assert torch.allclose(torch.tensor(other.logprobs), torch.tensor(one.logprobs), atol=1e-4), at
    assert len(used) > 2, f"prefixes read in one place: {used}"


if __name__ == "__main__":
    main(sys.argv[1:])
