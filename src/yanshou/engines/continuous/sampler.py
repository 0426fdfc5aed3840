"""Samples the next token of every slot on the device: greedy, or from the photo's own random stream.

Same numbers and same order of steps as the reference engine: penalty, temperature, top-p, one uniform number per token.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

from yanshou.engines.continuous.transfer import to_device
from yanshou.engines.sampling import draw, stream
from yanshou.settings import SamplingSettings


class Sampler:
    """Samples tokens, with the state that this needs per slot. The row after the last slot takes what is discarded."""

    def __init__(
        self, sampling: SamplingSettings, slots: int, vocabulary: int, pad_token: int, device: torch.device
    ) -> None:
        self.sampling, self.pad_token = sampling, pad_token
        self.uniform_draws = self.seen_tokens = None
        if sampling.temperature > 0:
            self.uniform_draws = torch.zeros(slots + 1, sampling.max_new_tokens, dtype=torch.double, device=device)
        if sampling.repetition_penalty != 1.0:
            self.seen_tokens = torch.zeros(slots + 1, vocabulary, dtype=torch.bool, device=device)
            # On the device: a CUDA graph cannot record the copy of a Python number.
            self._true = torch.ones((), dtype=torch.bool, device=device)

    def reset_slots(self, slots: Tensor, keys: Sequence[str]) -> None:
        """Prepares slots (n,) for new answers; `keys` name the requests' random streams."""
        if self.uniform_draws is not None:
            streams = [stream(self.sampling.seed, key) for key in keys]
            draws = [[one.random() for _ in range(self.sampling.max_new_tokens)] for one in streams]
            self.uniform_draws.index_copy_(0, slots, to_device(torch.tensor(draws, dtype=torch.double), slots.device))
        if self.seen_tokens is not None:
            self.seen_tokens.index_fill_(0, slots, False)

    def mark_prompt_tokens(self, slots: Tensor, tokens: Tensor) -> None:
        """Records that tokens (m,) are in the prompts of slots (m,), for the repetition penalty."""
        if self.seen_tokens is not None:
            self.seen_tokens.index_put_((slots, tokens), self._true)

    def sample(self, logits: Tensor, slots: Tensor, num_generated: Tensor) -> Tensor:
        """One token (n,) per row of logits (n, vocabulary); `num_generated` (n,): tokens that the answer has so far."""
        if self.uniform_draws is None and self.seen_tokens is None:
            return logits.argmax(-1)  # float32 would choose the same token and take 150 MB more for 256 slots
        scores = logits.float()
        if self.seen_tokens is not None:
            seen, penalty = self.seen_tokens[slots], self.sampling.repetition_penalty
            seen[:, self.pad_token] = False
            scores = torch.where(seen, torch.where(scores < 0, scores * penalty, scores / penalty), scores)
        if self.uniform_draws is None:
            tokens = scores.argmax(-1)
        else:
            scores = TemperatureLogitsWarper(self.sampling.temperature)(None, scores)
            if self.sampling.top_p < 1.0:
                scores = TopPLogitsWarper(self.sampling.top_p)(None, scores)
            tokens = draw(scores, self.uniform_draws[slots, num_generated.clamp(max=self.sampling.max_new_tokens - 1)])
        if self.seen_tokens is not None:
            self.seen_tokens.index_put_((slots, tokens), self._true)
        return tokens
