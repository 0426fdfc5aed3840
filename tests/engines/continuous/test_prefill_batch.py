"""Promises of a prefill batch: where each token of each request is, and that padding changes nothing else."""

from contextlib import nullcontext
from dataclasses import fields, replace
from unittest import mock

import pytest
import torch
from torch import Tensor

from yanshou.engines import Prompt, Request
from yanshou.engines.continuous import prefill_batch
from yanshou.engines.continuous.prefill_batch import BatchShape, PrefillBatch, ScoredContinuation, collate
from yanshou.engines.qwen3_vl import ModelInput

IMAGE = 9
PADDED = BatchShape(tokens=20, patches=24, sequences=4)
PREFIX = (1, 2)


def request(number: int, rest: list[int], patches: int = 0, max_new_tokens: int = 8) -> ModelInput:
    """A prompt of the prefix and `rest`, in which each IMAGE is a visual token of 4 patches."""
    ids = torch.tensor([*PREFIX, *rest])
    pixels = torch.full((patches, 768), number, dtype=torch.uint8) if patches else None
    grid = torch.tensor([[1, 2, patches // 2]]) if patches else None
    prompt = Prompt("system", "user")
    return ModelInput(Request(number, prompt, None), ids, pixels, grid, False, max_new_tokens, len(PREFIX))


def positions(*requests: ModelInput) -> list[Tensor]:
    return [torch.arange(len(one.ids)).expand(3, -1) for one in requests]


def batch(shape: BatchShape = PADDED, pinned: bool = False) -> PrefillBatch:
    """Two photos of 8 and 4 patches, and a scored continuation of the second prompt."""
    first, second = request(0, [IMAGE, IMAGE, 3], 8), request(1, [IMAGE, 4], 4)
    continuation = ScoredContinuation(1, torch.tensor([*second.ids.tolist(), 5, 6]), len(second.ids))
    return collate([first, second], [continuation], positions(first, second), IMAGE, shape, pinned)


def test_tokens_of_a_batch_are_the_prompts_without_their_prefix_and_the_continuations() -> None:
    made = batch()
    tokens = made.tokens
    assert made.prefix == PREFIX
    assert made.next_positions == [5, 4]
    assert tokens.ids.tolist() == [9, 9, 3, 9, 4, 1, 2, 9, 4, 5, 6, *[0] * 9]
    assert tokens.seq_ids.tolist() == [0, 0, 0, 1, 1, *[2] * 6, *[3] * 9]
    assert tokens.position_in_seq.tolist() == [2, 3, 4, 2, 3, 0, 1, 2, 3, 4, 5, *[0] * 9]
    assert tokens.positions[1].tolist() == tokens.position_in_seq.tolist()
    assert tokens.last_of_prompt.tolist() == [2, 4, 0, 0]


def test_visual_tokens_are_numbered_in_photo_order_and_only_in_prompts() -> None:
    """The image token of a continuation is not one of the photo's: text-only requests are scored."""
    assert batch().tokens.visual_index.tolist() == [1, 2, 0, 3, *[0] * 16]


def test_sequences_are_where_the_kernels_look_for_them() -> None:
    sequences = batch().sequences
    assert sequences.ranges == [(0, 3), (3, 5), (5, 11)]
    assert sequences.lengths == [5, 4, 6]
    assert sequences.cu_seqlens.tolist() == [0, 3, 5, 11, 11]
    assert sequences.seqused_k.tolist() == [5, 4, 6, 0]
    assert sequences.cu_seqlens.dtype == sequences.seqused_k.dtype == torch.int32


def test_patches_of_all_photos_are_concatenated() -> None:
    patches = batch().patches
    assert patches.grids == [(2, 4), (2, 2)]
    assert patches.sequences.ranges == [(0, 8), (8, 12)]
    assert patches.sequences.cu_seqlens.tolist() == [0, 8, 12, 12, 12]
    assert patches.pixels is not None
    assert patches.pixels.shape == (24, 768)
    assert patches.pixels[:12, 0].tolist() == [0] * 8 + [1] * 4


def test_an_exact_batch_has_no_padding() -> None:
    made = batch(replace(PADDED, exact=True))
    assert len(made.tokens.ids) == 11
    assert len(made.tokens.last_of_prompt) == 2
    assert made.patches.pixels is not None
    assert len(made.patches.pixels) == 12


def test_a_batch_without_photos_has_no_pixels() -> None:
    text = request(0, [3, 4])
    made = collate([text], [], positions(text), IMAGE, PADDED, pinned=False)
    assert made.patches.pixels is None
    assert made.patches.sequences.cu_seqlens.tolist() == [0] * 5
    assert not made.tokens.visual_index.any()


def test_more_tokens_than_the_shape_holds_are_a_bug() -> None:
    with pytest.raises(AssertionError, match="11 tokens in a prefill batch of 10"):
        batch(replace(PADDED, tokens=10))


def test_a_copied_batch_is_complete_and_waited_for() -> None:
    """Without a GPU: the copies are clones, streams and events are mocks."""
    device, stream, recorded = torch.device("cuda"), mock.Mock(), list[Tensor]()
    original = batch()
    with (
        mock.patch.object(prefill_batch, "to_device", lambda tensor, to: tensor.clone() if to == device else None),
        mock.patch("torch.cuda.stream", return_value=nullcontext()),
        mock.patch("torch.cuda.current_stream") as current,
        mock.patch.object(Tensor, "record_stream", lambda tensor, stream: recorded.append(tensor)),
    ):
        copied = original.copy_to(device, stream)
        copied.wait_for_copy()
        original.wait_for_copy()  # was not copied: nothing to wait for
    current().wait_event.assert_called_once_with(stream.record_event())
    pairs = list(zip(tensors(original), tensors(copied), strict=True))
    assert len(pairs) == 11
    assert all(one is not other and torch.equal(one, other) for one, other in pairs)
    assert {*map(id, recorded)} == {*map(id, tensors(copied))}
    assert copied.sequences.ranges == original.sequences.ranges


def tensors(made: PrefillBatch) -> list[Tensor]:
    groups = (made.tokens, made.sequences, made.patches.sequences, made.patches)
    members = [getattr(group, field.name) for group in groups for field in fields(group)]
    return [member for member in members if isinstance(member, Tensor)]
