"""Promises of the preallocated KV cache: the same keys and values as transformers' own cache, without copying them."""

from collections.abc import Callable

import pytest
import torch
from support.checkpoints import noise
from transformers.cache_utils import DynamicCache

from yanshou.engines import Prompt, Request
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.engines.transformers.kv_cache import GROWTH, preallocated_cache

Build = Callable[..., TransformersEngine]


def states(tokens: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of two rows, three heads."""
    keys, values = torch.randn(2, 2, 3, tokens, 4, generator=generator)
    return keys, values


def test_it_holds_what_the_usual_cache_holds() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, usual = preallocated_cache(), DynamicCache()
    for step, tokens in enumerate([7, *[1] * (2 * GROWTH), 5, GROWTH + 3, *[1] * 9]):
        for layer in range(2):
            added = states(tokens, generator)
            for mine, theirs in zip(ours.update(*added, layer), usual.update(*added, layer), strict=True):
                assert torch.equal(mine, theirs), (step, layer)
        assert ours.get_seq_length() == usual.get_seq_length()
        assert ours.get_mask_sizes(1, 0) == usual.get_mask_sizes(1, 0)


def test_a_step_copies_nothing_while_there_is_room() -> None:
    generator = torch.Generator().manual_seed(0)
    cache = preallocated_cache()
    places = [cache.update(*states(tokens, generator), 0)[0].data_ptr() for tokens in [10, *[1] * (2 * GROWTH + 2)]]
    assert len(set(places)) == 3
    assert len(set(places[: GROWTH + 1])) == 1


def test_rows_cannot_leave() -> None:
    cache = preallocated_cache()
    cache.update(*states(3, torch.Generator()), 0)
    with pytest.raises(NotImplementedError):
        cache.batch_select_indices(torch.tensor([0]))


@torch.inference_mode()
def test_the_model_writes_the_same_with_it(engine: Build) -> None:
    """Rows of several lengths, padded, far beyond the room."""
    running, prompt = engine(), Prompt("看图。", "写一行。")
    requests = [Request(at, prompt, noise(at, 64, 32 * (at + 2))) for at in range(4)]
    inputs = running._collate([running.prepare(request) for request in requests])
    tokens = 2 * GROWTH + 20
    lengths = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False}
    assert torch.equal(
        running.model.generate(**inputs, **lengths, past_key_values=preallocated_cache()),
        running.model.generate(**inputs, **lengths),
    )
