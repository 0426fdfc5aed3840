"""The next token of every slot, chosen on the device: greedy, or drawn from the photo's own random stream.

The same numbers and the same order of steps as the reference engine: penalty, temperature, top-p, one uniform number.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

from yanshou.engines.continuous.prefill_batch import put
from yanshou.engines.sampling import draw, stream
from yanshou.settings import SamplingSettings


class Sampler:
    """What a choice needs to remember of each slot; the row behind the last slot is for what nobody reads."""

    def __init__(self, sampling: SamplingSettings, slots: int, vocabulary: int, pad: int, device: torch.device) -> None:
        self.sampling, self.pad = sampling, pad
        self.uniform = self.seen = None
        if sampling.temperature > 0:
            self.uniform = torch.zeros(slots + 1, sampling.max_new_tokens, dtype=torch.double, device=device)
        if sampling.repetition_penalty != 1.0:
            self.seen = torch.zeros(slots + 1, vocabulary, dtype=torch.bool, device=device)

    def begin(self, slots: Tensor, keys: Sequence[str]) -> None:
        """New answers in these slots (n,), whose photos are named by `keys`."""
        if self.uniform is not None:
            streams = [stream(self.sampling.seed, key) for key in keys]
            numbers = [[own.random() for _ in range(self.sampling.max_new_tokens)] for own in streams]
            self.uniform.index_copy_(0, slots, put(torch.tensor(numbers, dtype=torch.double), slots.device))
        if self.seen is not None:
            self.seen.index_fill_(0, slots, False)

    def remember(self, slots: Tensor, tokens: Tensor) -> None:
        """Tokens (m,) that stand in the prompts of these slots (m,)."""
        if self.seen is not None:
            self.seen[slots, tokens] = True

    def choose(self, logits: Tensor, slots: Tensor, written: Tensor) -> Tensor:
        """A token (n,) for each row of logits (n, vocabulary); `written` (n,): tokens that its answer has so far."""
        if self.uniform is None and self.seen is None:
            return logits.argmax(-1)  # no other token in float32, which would take another 150 MB for 256 answers
        scores = logits.float()
        if self.seen is not None:
            seen, penalty = self.seen[slots], self.sampling.repetition_penalty
            seen[:, self.pad] = False
            scores = torch.where(seen, torch.where(scores < 0, scores * penalty, scores / penalty), scores)
        if self.uniform is None:
            tokens = scores.argmax(-1)
        else:
            scores = TemperatureLogitsWarper(self.sampling.temperature)(None, scores)
            if self.sampling.top_p < 1.0:
                scores = TopPLogitsWarper(self.sampling.top_p)(None, scores)
            tokens = draw(scores, self.uniform[slots, written.clamp(max=self.sampling.max_new_tokens - 1)])
        if self.seen is not None:
            self.seen[slots, tokens] = True
        return tokens
