"""Sampling in which every photo has a random stream of its own, so that its text does not depend on the batch.

These are logits processors for transformers' `generate`. It runs greedily, because the last processor has already drawn
the token. The only randomness is one uniform number per token and photo, and all engines use the same numbers.
"""

import hashlib
from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from yanshou.settings import SamplingSettings


def processors(sampling: SamplingSettings, keys: Sequence[str], pad_token: int) -> LogitsProcessorList:
    """The processors for a batch whose rows have these request keys. Greedy decoding without a penalty needs none."""
    chain = LogitsProcessorList()
    if sampling.repetition_penalty != 1.0:
        chain.append(PaddedRepetitionPenalty(sampling.repetition_penalty, pad_token))
    if sampling.temperature > 0:
        chain.append(TemperatureLogitsWarper(sampling.temperature))
        if sampling.top_p < 1.0:
            chain.append(TopPLogitsWarper(sampling.top_p))
        chain.append(DrawPerRow([stream(sampling.seed, key) for key in keys]))
    return chain


def stream(seed: int, key: str) -> Random:
    """The random stream of a photo: the same in every batch, order and process."""
    return Random(hashlib.sha256(f"{seed}\0{key}".encode(errors="surrogateescape")).digest())


class PaddedRepetitionPenalty(RepetitionPenaltyLogitsProcessor):
    """The penalty on tokens of prompt and answer, but not on the padding token, whose presence depends on the batch."""

    def __init__(self, penalty: float, pad_token: int) -> None:
        super().__init__(penalty)
        self.pad_token = pad_token

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        penalized: Tensor = super().__call__(input_ids, scores)
        penalized[:, self.pad_token] = scores[:, self.pad_token]
        return penalized


class DrawPerRow(LogitsProcessor):
    """Draws one token per row, each with a uniform number of the row's own stream, and leaves no other token."""

    def __init__(self, streams: Sequence[Random]) -> None:
        self.streams = streams

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        uniform = torch.tensor([stream.random() for stream in self.streams], dtype=torch.double, device=scores.device)
        return torch.full_like(scores, -torch.inf).scatter_(1, draw(scores, uniform)[:, None], 0.0)


def draw(scores: Tensor, uniform: Tensor) -> Tensor:
    """One token per row, (rows,): inverse-transform sampling with the row's uniform number in [0, 1)."""
    cumulative = scores.double().softmax(-1).cumsum(-1)  # (rows, vocabulary)
    targets = uniform[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, targets, right=True).clamp_(max=scores.shape[1] - 1)[:, 0]
