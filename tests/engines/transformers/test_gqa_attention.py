"""GQA attention: the result of transformers' SDPA, without copies of keys and values."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from yanshou.engines.transformers.gqa_attention import gqa_sdpa


def random_inputs(queries: int, heads: int, key_heads: int) -> tuple[Any, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(3, count, length, 8, generator=generator)
        for count, length in ((heads, queries), (key_heads, 11), (key_heads, 11))
    )
    module = SimpleNamespace(num_key_value_groups=heads // key_heads, is_causal=True, training=False)
    return module, q, k, v


@pytest.mark.parametrize(("queries", "heads", "key_heads"), [(1, 8, 2), (1, 4, 4), (1, 6, 1), (11, 8, 2)])
@pytest.mark.parametrize("padded", [False, True])
def test_the_result_is_that_of_transformers_sdpa(queries: int, heads: int, key_heads: int, padded: bool) -> None:
    module, q, k, v = random_inputs(queries, heads, key_heads)
    mask = None
    if padded:
        mask = torch.ones(3, 1, queries, 11, dtype=torch.bool).tril(11 - queries)
        mask[1, :, :, :4] = False
        mask[1, :, :4] |= torch.eye(4, 11, dtype=torch.bool) if queries > 4 else False
    expected, _ = sdpa_attention_forward(module, q, k, v, mask, scaling=0.3)
    found, _ = gqa_sdpa(module, q, k, v, mask, scaling=0.3)
    torch.testing.assert_close(found, expected)


def test_keys_of_a_decode_step_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    module, q, k, v = random_inputs(1, 8, 2)
    calls: list[Any] = []
    real = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention",
        lambda *given, **named: (calls.append(given), real(*given, **named))[1],
    )  # fmt: skip
    gqa_sdpa(module, q, k, v, torch.ones(3, 1, 1, 11, dtype=torch.bool), scaling=0.3)
    assert [part.data_ptr() for part in calls[0][1:3]] == [k.data_ptr(), v.data_ptr()]
