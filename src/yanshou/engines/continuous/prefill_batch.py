"""A prefill batch: prompts and photos of several requests, concatenated and padded to one fixed shape.

    tokens    ▏rest of prompt 0 ▕ rest of prompt 1 ▕ … ▕ scored continuations ▕┈┈┈ padding ┈┈┈▕     (tokens,)
    patches   ▏photo 0 ▕ photo 1 ▕ …                                          ▕┈┈┈ padding ┈┈┈▕     (patches, 768)

All prompts of a batch share a prefix: the system prompt and the text before the photo. Its tokens are not in the batch,
because its keys and values were computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import accumulate
from typing import Any, TypeVar

import torch
from torch import Tensor

from yanshou.engines.continuous.attention_metadata import Range
from yanshou.engines.continuous.transfer import to_device
from yanshou.engines.continuous.vision_encoder import Grid
from yanshou.engines.qwen3_vl import ModelInput

GroupT = TypeVar("GroupT", bound="TokenTensors | SequenceRanges | PatchTensors")


@dataclass(frozen=True, slots=True)
class BatchShape:
    """The fixed shape of every prefill batch: on a GPU kernel selection cannot depend on which photos share a batch."""

    tokens: int
    patches: int
    sequences: int  # prompts and scored continuations
    exact: bool = False  # no padding of tokens and patches: on a CPU it would only cost time

    def padded(self, used: int, size: int) -> int:
        return used if self.exact else size


@dataclass(frozen=True, slots=True)
class ScoredContinuation:
    """A prompt with a given first line of an answer, whose likelihood is asked for."""

    request: int  # index of its request in the batch
    ids: Tensor  # (tokens,) of prompt and line
    prompt_len: int  # tokens before the line


@dataclass(frozen=True, slots=True)
class TokenTensors:
    """One entry per token; padding has zeros, and the number of sequences as its `seq_ids`."""

    ids: Tensor  # (tokens,)
    positions: Tensor  # (3, tokens): temporal, row, column
    visual_index: Tensor  # (tokens,) 0 for a text token, else 1 + its row among the visual tokens
    seq_ids: Tensor  # (tokens,) the sequence that a token belongs to
    position_in_seq: Tensor  # (tokens,) the prefix included
    last_of_prompt: Tensor  # (sequences,) index of each prompt's last token among the tokens; padding: 0


@dataclass(frozen=True, slots=True)
class SequenceRanges:
    """Where each sequence of tokens or patches lies, for the host and for the kernels."""

    ranges: Sequence[Range]
    lengths: Sequence[int]  # keys of each sequence, the prefix included
    cu_seqlens: Tensor  # (max sequences + 1,) int32: start of each range, then the end of the last one
    seqused_k: Tensor  # (max sequences,) int32: `lengths`, then 0


@dataclass(frozen=True, slots=True)
class PatchTensors:
    """The photos of the batch."""

    grids: Sequence[Grid]
    sequences: SequenceRanges
    pixels: Tensor | None  # (patches, 768) uint8; rows after the last photo are uninitialized. None: no photo


@dataclass(frozen=True, slots=True)
class PrefillBatch:
    """One prefill batch. Its first sequences are the requests' prompts, the others scored continuations."""

    requests: Sequence[ModelInput]
    prefix: tuple[int, ...]  # token ids that all prompts begin with
    continuations: Sequence[ScoredContinuation]
    next_positions: Sequence[int]  # position of each request's first new token
    tokens: TokenTensors
    sequences: SequenceRanges
    patches: PatchTensors
    copy_done: Any = None  # CUDA event: the tensors are on the device

    def copy_to(self, device: torch.device, stream: Any) -> "PrefillBatch":
        """The same batch on a GPU, copied on a side stream while the device computes."""
        with torch.cuda.stream(stream):
            return replace(
                self, tokens=_moved(self.tokens, device), sequences=_moved(self.sequences, device),
                patches=_moved(self.patches, device), copy_done=stream.record_event(),
            )  # fmt: skip

    def wait_for_copy(self) -> None:
        """Makes the current stream wait for the copies."""
        if self.copy_done is None:
            return
        current = torch.cuda.current_stream()
        current.wait_event(self.copy_done)
        for group in (self.tokens, self.sequences, self.patches.sequences, self.patches):
            for tensor in _tensors(group).values():
                tensor.record_stream(current)


def _tensors(group: Any) -> dict[str, Tensor]:
    values = ((field.name, getattr(group, field.name)) for field in fields(group))
    return {name: value for name, value in values if isinstance(value, Tensor)}


def _moved(group: GroupT, device: torch.device) -> GroupT:
    """The group with its tensors on the device."""
    moved: dict[str, Any] = {}
    if isinstance(group, PatchTensors):
        moved["sequences"] = _moved(group.sequences, device)
    for name, tensor in _tensors(group).items():
        moved[name] = to_device(tensor, device)
    return replace(group, **moved)


def collate(
    requests: Sequence[ModelInput],
    continuations: Sequence[ScoredContinuation],
    positions: Sequence[Tensor],
    image_token: int,
    shape: BatchShape,
    pinned: bool,
) -> PrefillBatch:
    """Builds a batch on the host. All requests share the first one's prefix; `positions` (3, tokens) are per prompt."""
    prefix_len = requests[0].prefix_len
    sequences = _token_sequences(requests, continuations, shape)
    return PrefillBatch(
        requests=requests, prefix=tuple(requests[0].ids[:prefix_len].tolist()), continuations=continuations,
        next_positions=[int(prompt.max()) + 1 for prompt in positions],
        tokens=_token_tensors(requests, continuations, positions, sequences.ranges, image_token, shape),
        sequences=sequences,
        patches=_patch_tensors(requests, shape, pinned),
    )  # fmt: skip


def _token_sequences(
    requests: Sequence[ModelInput], continuations: Sequence[ScoredContinuation], shape: BatchShape
) -> SequenceRanges:
    """The prompts without their prefix, then the continuations whole."""
    lengths = [*(len(one.ids) for one in requests), *(len(one.ids) for one in continuations)]
    cached = [requests[0].prefix_len] * len(requests) + [0] * len(continuations)
    ranges = _ranges([length - prefix for length, prefix in zip(lengths, cached, strict=True)])
    return _sequence_ranges(ranges, lengths, shape.sequences)


def _token_tensors(
    requests: Sequence[ModelInput], continuations: Sequence[ScoredContinuation], positions: Sequence[Tensor],
    ranges: Sequence[Range], image_token: int, shape: BatchShape,
) -> TokenTensors:  # fmt: skip
    used, prefix_len = ranges[-1][1], requests[0].prefix_len
    size = shape.padded(used, shape.tokens)
    assert used <= size, f"{used} tokens in a prefill batch of {size}"
    parts = [
        (one.ids[prefix_len:], own[:, prefix_len:], prefix_len) for one, own in zip(requests, positions, strict=True)
    ]
    parts += [(one.ids, torch.arange(len(one.ids)).expand(3, -1), 0) for one in continuations]
    ids, position_in_seq = torch.zeros(2, size, dtype=torch.long)
    seq_ids, all_positions = torch.full((size,), len(parts)), torch.zeros(3, size, dtype=torch.long)
    for seq, ((seq_tokens, seq_positions, first), (start, end)) in enumerate(zip(parts, ranges, strict=True)):
        ids[start:end], all_positions[:, start:end], seq_ids[start:end] = seq_tokens, seq_positions, seq
        position_in_seq[start:end] = torch.arange(first, first + len(seq_tokens))
    is_visual = (ids == image_token) & (seq_ids < len(requests))
    last_of_prompt = torch.zeros(shape.padded(len(requests), shape.sequences), dtype=torch.long)
    last_of_prompt[: len(requests)] = torch.tensor([end - 1 for _, end in ranges[: len(requests)]])
    visual_index = is_visual.cumsum(0) * is_visual
    return TokenTensors(ids, all_positions, visual_index, seq_ids, position_in_seq, last_of_prompt)


def _patch_tensors(requests: Sequence[ModelInput], shape: BatchShape, pinned: bool) -> PatchTensors:
    photos = [(one.pixels, one.grid) for one in requests if one.pixels is not None and one.grid is not None]
    lengths = [len(pixels) for pixels, _ in photos]
    grids = [(int(grid[0, 1]), int(grid[0, 2])) for _, grid in photos]
    pixels = _concat_pixels([pixels for pixels, _ in photos], shape, pinned) if photos else None
    return PatchTensors(grids, _sequence_ranges(_ranges(lengths), lengths, shape.sequences), pixels)


def _concat_pixels(photos: Sequence[Tensor], shape: BatchShape, pinned: bool) -> Tensor:
    """The photos' patches in one tensor; what lies after them is uninitialized."""
    used = sum(map(len, photos))
    rows = shape.padded(used, shape.patches)
    pixels = torch.empty(rows, photos[0].shape[1], dtype=photos[0].dtype, pin_memory=pinned)
    torch.cat(list(photos), out=pixels[:used])
    return pixels


def _ranges(lengths: Sequence[int]) -> list[Range]:
    ends = list(accumulate(lengths))
    return [(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def _sequence_ranges(ranges: Sequence[Range], lengths: Sequence[int], max_sequences: int) -> SequenceRanges:
    end = ranges[-1][1] if ranges else 0
    cu_seqlens = [start for start, _ in ranges] + [end] * (max_sequences + 1 - len(ranges))
    seqused_k = [*lengths, *[0] * (max_sequences - len(lengths))]
    return SequenceRanges(
        ranges, lengths, torch.tensor(cu_seqlens, dtype=torch.int32), torch.tensor(seqused_k, dtype=torch.int32)
    )
