"""Choosing the next token so that a photo's text depends on its own random stream, not on its neighbours in the batch.

`generate` runs greedily over scores in which these processors have already made the choice.
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
    """For a batch whose rows are named by `keys`. Greedy without a penalty needs none."""
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
    """The random stream of one photo: the same in every batch, order and process."""
    return Random(hashlib.sha256(f"{seed}\0{key}".encode(errors="surrogateescape")).digest())


class PaddedRepetitionPenalty(RepetitionPenaltyLogitsProcessor):
    """The usual penalty on prompt and answer, but blind to padding: how much there is depends on the neighbours."""

    def __init__(self, penalty: float, pad_token: int) -> None:
        super().__init__(penalty)
        self.pad_token = pad_token

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        penalised: Tensor = super().__call__(input_ids, scores)
        penalised[:, self.pad_token] = scores[:, self.pad_token]
        return penalised


class DrawPerRow(LogitsProcessor):
    """Draws one token a row (one uniform number of the row's stream, inverted through the probabilities)."""

    def __init__(self, streams: Sequence[Random]) -> None:
        self.streams = streams

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        uniform = torch.tensor([stream.random() for stream in self.streams], dtype=torch.double, device=scores.device)
        return torch.full_like(scores, -torch.inf).scatter_(1, draw(scores, uniform)[:, None], 0.0)


def draw(scores: Tensor, uniform: Tensor) -> Tensor:
    """A token a row, (rows,): the uniform number in [0, 1) inverted through the row's probabilities."""
    cumulative = scores.double().softmax(-1).cumsum(-1)  # (rows, vocabulary)
    wanted = uniform[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, wanted, right=True).clamp_(max=scores.shape[1] - 1)[:, 0]
