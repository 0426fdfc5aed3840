"""The preallocated KV cache: the keys and values of transformers' own cache, without copies in every step."""

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


def test_it_holds_what_the_dynamic_cache_holds() -> None:
    generator = torch.Generator().manual_seed(0)
    preallocated, dynamic = preallocated_cache(), DynamicCache()
    for step, tokens in enumerate([7, *[1] * (2 * GROWTH), 5, GROWTH + 3, *[1] * 9]):
        for layer in range(2):
            added = states(tokens, generator)
            for one, other in zip(preallocated.update(*added, layer), dynamic.update(*added, layer), strict=True):
                assert torch.equal(one, other), (step, layer)
        assert preallocated.get_seq_length() == dynamic.get_seq_length()
        assert preallocated.get_mask_sizes(1, 0) == dynamic.get_mask_sizes(1, 0)


def test_a_step_copies_nothing_while_capacity_is_left() -> None:
    generator = torch.Generator().manual_seed(0)
    cache = preallocated_cache()
    places = [cache.update(*states(tokens, generator), 0)[0].data_ptr() for tokens in [10, *[1] * (2 * GROWTH + 2)]]
    assert len(set(places)) == 3
    assert len(set(places[: GROWTH + 1])) == 1


def test_rows_of_a_batch_cannot_be_removed() -> None:
    cache = preallocated_cache()
    cache.update(*states(3, torch.Generator()), 0)
    with pytest.raises(NotImplementedError):
        cache.batch_select_indices(torch.tensor([0]))


@torch.inference_mode()
def test_the_model_generates_the_same_tokens_with_it(engine: Build) -> None:
    """Padded rows of several lengths, far beyond the first capacity."""
    running, prompt = engine(), Prompt("看图。", "写一行。")
    requests = [Request(at, prompt, noise(at, 64, 32 * (at + 2))) for at in range(4)]
    inputs = running.collate([running.prepare(request) for request in requests])
    tokens = 2 * GROWTH + 20
    lengths = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False}
    assert torch.equal(
        running.model.generate(**inputs, **lengths, past_key_values=preallocated_cache()),
        running.model.generate(**inputs, **lengths),
    )
