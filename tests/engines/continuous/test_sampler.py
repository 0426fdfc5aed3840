"""Promises of the sampler: per slot the tokens that the reference engine's processors choose."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.requests import Answers, continuous, mixed

from yanshou.engines.continuous.sampler import Sampler
from yanshou.settings import SamplingSettings

SAMPLINGS = [
    {}, {"temperature": 1.0, "top_p": 0.9}, {"repetition_penalty": 1.3},
    {"temperature": 0.8, "repetition_penalty": 1.2, "seed": 3},
]  # fmt: skip


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "top-p", "penalty", "all"])
def test_sampled_answers_equal_the_reference(
    tiny: Path, reference: Callable[..., Answers], sampling: dict[str, Any]
) -> None:
    """Vision, prefix, positions, decode and sampling at once: one wrong number would give another text."""
    assert continuous(tiny, mixed(), **sampling) == reference(mixed(), **sampling)


def sampler(slots: int = 4, **sampling: Any) -> Sampler:
    return Sampler(SamplingSettings(max_new_tokens=8, **sampling), slots, 16, pad_token=0, device=torch.device("cpu"))


def test_a_slots_tokens_depend_on_its_key_and_not_on_its_number_or_the_other_slots() -> None:
    logits = torch.randn(1, 16, generator=torch.Generator().manual_seed(0)).expand(3, -1)
    first, second = sampler(temperature=1.0), sampler(temperature=1.0)
    first.reset_slots(torch.tensor([0, 1, 2]), ["a", "b", "c"])
    second.reset_slots(torch.tensor([3]), ["b"])
    for generated in range(8):
        count = torch.full((3,), generated)
        three = first.sample(logits, torch.tensor([0, 1, 2]), count)
        assert second.sample(logits[:1], torch.tensor([3]), count[:1])[0] == three[1]


def test_a_reset_slot_is_penalised_for_its_own_prompt_only() -> None:
    own = sampler(repetition_penalty=2.0)
    own.mark_prompt_tokens(torch.tensor([0, 1]), torch.tensor([5, 6]))
    own.reset_slots(torch.tensor([0]), ["new"])
    logits = torch.zeros(2, 16)
    logits[:, [5, 6]], logits[:, 7] = 1.0, 0.9
    assert own.sample(logits, torch.tensor([0, 1]), torch.zeros(2, dtype=torch.long)).tolist() == [5, 5]
    own.mark_prompt_tokens(torch.tensor([0, 1]), torch.tensor([6, 5]))
    assert own.sample(logits, torch.tensor([0, 1]), torch.ones(2, dtype=torch.long)).tolist() == [7, 7]


def test_the_padding_token_is_never_penalised() -> None:
    own = sampler(repetition_penalty=2.0)
    own.mark_prompt_tokens(torch.tensor([0, 0]), torch.tensor([0, 5]))
    logits = torch.zeros(1, 16)
    logits[0, 0], logits[0, 5] = 1.0, 1.5
    assert own.sample(logits, torch.tensor([0]), torch.zeros(1, dtype=torch.long)).tolist() == [0]
