"""Photos and prompts as one launch sees them: everything one behind the other, padded to the launch's fixed shape.

    tokens    ▏rest of prompt 0 ▕ rest of prompt 1 ▕ … ▕ scored lines ▕┈┈┈ padding ┈┈┈▕     (tokens,)
    patches   ▏photo 0 ▕ photo 1 ▕ …                                  ▕┈┈┈ padding ┈┈┈▕     (patches, 768)

The beginning that all prompts of a pack share (system prompt and what stands before the photo) is not among the tokens:
its keys and values are computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from yanshou.engines.qwen3_vl import ModelInput

Span = tuple[int, int]  # first row and the one behind the last


@dataclass(frozen=True, slots=True)
class Shape:
    """Of every launch. On a GPU nothing else is launched, so that a photo's company cannot choose a kernel for it."""

    tokens: int
    patches: int
    sequences: int  # prompts and scored lines
    exact: bool = False  # no padding: a CPU computes what there is

    def rows(self, used: int, most: int) -> int:
        return used if self.exact else most


@dataclass(frozen=True, slots=True)
class Line:
    """A given first line of an answer, to be scored."""

    owner: int  # index of its request in the pack
    ids: Tensor  # (tokens,) of prompt and line
    first: int  # index of the line's first token in them


@dataclass(frozen=True, slots=True)
class PrefillBatch:
    """One launch. Its first sequences are the requests' prompts, those behind them scored lines."""

    prepared: Sequence[ModelInput]
    prefix: tuple[int, ...]  # token ids that all prompts begin with
    lines: Sequence[Line]
    spans: Sequence[Span]  # of each sequence among the tokens
    lengths: Sequence[int]  # of each sequence, prefix included
    next_positions: Sequence[int]  # of each request's first new token
    grids: Sequence[Span]  # rows and columns of patches
    patch_spans: Sequence[Span]
    ids: Tensor  # (tokens,)
    positions: Tensor  # (3, tokens): temporal, row, column
    visual: Tensor  # (tokens,) 0 where a token is text, else 1 + its row among the visual tokens
    owner: Tensor  # (tokens,) the sequence that a token is of; padding: the number of sequences
    place: Tensor  # (tokens,) of a token in its sequence, prefix included; padding: 0
    ends: Tensor  # (sequences,) of each prompt's last token among the tokens; padding: 0
    starts: Tensor  # (sequences + 1,) int32: of the spans, the end of them all behind the last
    used: Tensor  # (sequences,) int32: `lengths`, 0 where there is no sequence
    patch_starts: Tensor  # as `starts` and `used`
    patch_used: Tensor
    pixels: Tensor | None  # (patches, 768) of bytes
    arrived: Any = None  # event: the tensors are on the device

    def on(self, device: torch.device, stream: Any) -> "PrefillBatch":
        """The same with its tensors on a GPU, copied beside what runs there."""
        with torch.cuda.stream(stream):
            there: dict[str, Any] = {name: put(tensor, device) for name, tensor in self._tensors().items()}
            return replace(self, **there, arrived=stream.record_event())

    def await_arrival(self) -> None:
        """Makes the current stream wait for the copies."""
        if self.arrived is None:
            return
        current = torch.cuda.current_stream()
        current.wait_event(self.arrived)
        for tensor in self._tensors().values():
            tensor.record_stream(current)

    def _tensors(self) -> dict[str, Tensor]:
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in values if isinstance(value, Tensor)}


def put(tensor: Tensor, device: torch.device) -> Tensor:
    """On the device; from pinned memory, so that nobody waits."""
    if device.type != "cuda":
        return tensor
    return (tensor if tensor.is_pinned() else tensor.pin_memory()).to(device, non_blocking=True)


def collate(
    prepared: Sequence[ModelInput],
    lines: Sequence[Line],
    positions: Sequence[Tensor],
    image_token: int,
    shape: Shape,
    pinned: bool,
) -> PrefillBatch:
    """One launch's tensors. All requests share the first one's beginning; `positions` (3, tokens) are the prompts'."""
    prefix_len = prepared[0].prefix_len
    parts = [
        (one.ids[prefix_len:], place[:, prefix_len:], prefix_len)
        for one, place in zip(prepared, positions, strict=True)
    ]
    parts += [(line.ids, torch.arange(len(line.ids)).expand(3, -1), 0) for line in lines]
    spans, lengths = _spans([len(ids) for ids, _, _ in parts]), [prefix_len + len(ids) for ids, _, prefix_len in parts]
    size = shape.rows(spans[-1][1], shape.tokens)
    assert spans[-1][1] <= size, f"{spans[-1][1]} tokens in a launch of {size}"
    ids, place = torch.zeros(2, size, dtype=torch.long)
    owner, where = torch.full((size,), len(parts)), torch.zeros(3, size, dtype=torch.long)
    for number, ((own, axes, before), (start, end)) in enumerate(zip(parts, spans, strict=True)):
        ids[start:end], where[:, start:end], owner[start:end] = own, axes, number
        place[start:end] = torch.arange(before, before + len(own))
    seen = (ids == image_token) & (owner < len(prepared))
    photos = [(one.pixels, one.grid) for one in prepared if one.pixels is not None and one.grid is not None]
    patch_spans = _spans([len(pixels) for pixels, _ in photos])
    starts, used = _offsets(spans, lengths, shape.sequences)
    patch_starts, patch_used = _offsets(patch_spans, [end - start for start, end in patch_spans], shape.sequences)
    ends = torch.zeros(shape.rows(len(prepared), shape.sequences), dtype=torch.long)
    ends[: len(prepared)] = torch.tensor([end - 1 for _, end in spans[: len(prepared)]])
    return PrefillBatch(
        prepared=prepared, prefix=tuple(prepared[0].ids[:prefix_len].tolist()), lines=lines,
        spans=spans, lengths=lengths, next_positions=[int(axes.max()) + 1 for axes in positions],
        grids=[(int(grid[0, 1]), int(grid[0, 2])) for _, grid in photos], patch_spans=patch_spans,
        ids=ids, positions=where, visual=seen.cumsum(0) * seen, owner=owner, place=place, ends=ends,
        starts=starts, used=used, patch_starts=patch_starts, patch_used=patch_used,
        pixels=_pixels([pixels for pixels, _ in photos], shape, pinned),
    )  # fmt: skip


def _pixels(photos: Sequence[Tensor], shape: Shape, pinned: bool) -> Tensor | None:
    if not photos:
        return None
    used = sum(map(len, photos))
    rows = shape.rows(used, shape.patches)
    pixels = torch.empty(rows, photos[0].shape[1], dtype=photos[0].dtype, pin_memory=pinned)  # what is behind: whatever
    torch.cat(list(photos), out=pixels[:used])
    return pixels


def _spans(lengths: Sequence[int]) -> list[Span]:
    ends = list(accumulate(lengths))
    return [(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def _offsets(spans: Sequence[Span], lengths: Sequence[int], most: int) -> tuple[Tensor, Tensor]:
    end = spans[-1][1] if spans else 0
    starts = [start for start, _ in spans] + [end] * (most + 1 - len(spans))
    used = [*lengths, *[0] * (most - len(lengths))]
    return torch.tensor(starts, dtype=torch.int32), torch.tensor(used, dtype=torch.int32)
