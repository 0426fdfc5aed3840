"""Engines that no trained weights are needed for: random ones where the folder has none, answers of given lengths."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import GenerationConfig, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from yanshou.engines import Request
from yanshou.engines.qwen3_vl import Qwen3VL


class RandomWeights(Qwen3VL):
    """Where the folder has no weights: the same ones on every device of a kind, drawn in bf16 whatever the dtype."""

    @cached_property
    def model(self) -> Any:
        if has_weights(self.folder):
            return super().model
        torch.manual_seed(0)
        with self.device:
            model = Qwen3VLForConditionalGeneration._from_config(
                Qwen3VLConfig.from_pretrained(self.folder), dtype=torch.bfloat16, attn_implementation=self.interface
            )
        tokenizer = self.processor.tokenizer
        model.generation_config = GenerationConfig(
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
        )
        return model.to(self.dtype).eval()

    @cached_property
    def parameters(self) -> int:
        """Of the model itself: a folder without weights says 0."""
        return sum(weights.numel() for weights in self.model.parameters())


class Imposed(RandomWeights):
    """Answers of given lengths that no token ends."""

    lengths: Sequence[int] = ()  # tokens, by request id

    def limit(self, request: Request) -> int:
        return self.lengths[request.id]

    @cached_property
    def stop_tokens(self) -> list[int]:
        return []


def has_weights(folder: Path) -> bool:
    """Whether any of its weight files holds a tensor."""
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as weights:
            if weights.keys():
                return True
    return False
