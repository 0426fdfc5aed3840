"""Engines that no trained weights are needed for: random ones where the folder has none, answers of given lengths."""

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from PIL import Image
from safetensors import safe_open
from torch.nn.attention import sdpa_kernel
from transformers import GenerationConfig, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from yanshou.engines import Completion, Failure, Request
from yanshou.engines.continuous.capacity import Capacity, MemoryBudget
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.qwen3_vl import ModelInput, Qwen3VLBackend
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.engines.transformers.gqa_attention import SDPA_BACKENDS
from yanshou.engines.transformers.kv_cache import preallocated_cache


class RandomWeights(Qwen3VLBackend):
    """Where the folder has no weights: the same ones on every device of a kind, drawn in bf16 whatever the dtype."""

    @cached_property
    def parameter_count(self) -> int:
        if has_weights(self.folder):
            return super().parameter_count
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in self._empty().parameters())

    @cached_property
    def model(self) -> Any:
        if has_weights(self.folder):
            return super().model
        torch.manual_seed(0)
        with self.device:
            model = self._empty()
        tokenizer = self.processor.tokenizer
        model.generation_config = GenerationConfig(
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
        )
        return model.to(self.dtype).eval()

    def _empty(self) -> Any:
        config = Qwen3VLConfig.from_pretrained(self.folder)
        return Qwen3VLForConditionalGeneration._from_config(
            config, dtype=torch.bfloat16, attn_implementation=self.attn_implementation
        )


class ForcedLengthEngine(RandomWeights):
    """Answers of given lengths that no token ends."""

    lengths: Sequence[int] = ()  # tokens, by request id

    def max_new_tokens(self, request: Request) -> int:
        return self.lengths[request.id]

    @cached_property
    def stop_tokens(self) -> list[int]:
        return []

    def wasted(self, useful: int) -> float:
        """Share of the decoded tokens that stand behind their answer's end."""
        return 0.0

    @property
    def size(self) -> Capacity | None:
        """How large everything was made, where the engine chooses it."""
        return None


class ForcedLengthTransformers(ForcedLengthEngine, TransformersEngine):
    """The transformers engine, for this workload."""

    decoded = 0  # tokens, wasted ones counted

    @torch.inference_mode()
    def _generate(self, batch: Sequence[ModelInput]) -> list[list[int]]:
        wanted = [prepared.max_new_tokens for prepared in batch]
        inputs, steps = self._collate(batch), max(wanted)
        with sdpa_kernel(SDPA_BACKENDS):
            out = self.model.generate(
                **inputs,
                past_key_values=preallocated_cache(),
                max_new_tokens=steps,
                min_new_tokens=steps,
                do_sample=False,
            )
        rows = out[:, inputs["input_ids"].shape[1] :].tolist()
        assert all(len(row) == steps for row in rows), "an answer ended early"
        self.decoded += steps * len(rows)
        return [row[:length] for row, length in zip(rows, wanted, strict=True)]

    def wasted(self, useful: int) -> float:
        return 1 - useful / self.decoded


class PlainGenerate(ForcedLengthTransformers):
    """What one writes first, and the specification reckons with: the processor, then `generate`, batch after batch."""

    data_wait_s = 0.0  # while photos were decoded and resized

    @torch.inference_mode()
    def generate(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
        batch, tokenizer = list(requests), self.processor.tokenizer
        wanted, began = [self.lengths[request.id] for request in batch], time.monotonic()
        tokenizer.padding_side = "left"
        inputs = self.processor(
            text=[self.render(request.prompt) for request in batch],
            images=[Image.open(request.photo).convert("RGB") for request in batch],
            padding=True, return_tensors="pt", images_kwargs=self.resizing,
        ).to(self.device)  # fmt: skip
        self.data_wait_s += time.monotonic() - began
        steps = max(wanted)
        self.model.set_attn_implementation("sdpa")
        try:
            out = self.model.generate(**inputs, max_new_tokens=steps, min_new_tokens=steps, do_sample=False)
        finally:
            self.model.set_attn_implementation(self.attn_implementation)
        rows = out[:, inputs["input_ids"].shape[1] :]
        self.decoded += rows.numel()
        for request, row, length in zip(batch, rows, wanted, strict=True):
            yield Completion(request.id, tokenizer.decode(row[:length]), "length", length)


class ForcedLengthContinuous(ForcedLengthEngine, ContinuousEngine):
    """The continuous engine, for this workload."""

    pretended: int | None = None  # bytes of the card's memory, instead of what it has

    @property
    def size(self) -> Capacity | None:
        return self.stats().capacity

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
        """Random weights may well repeat themselves: that ends no answer here."""
        with patch("yanshou.engines.continuous.scheduler.is_repeating", return_value=False):
            yield from super().generate(requests)

    def memory_budget(self) -> MemoryBudget:
        if self.pretended is None:
            return super().memory_budget()
        card = SimpleNamespace(total_memory=self.pretended)
        with patch("torch.cuda.get_device_properties", return_value=card):
            return super().memory_budget()


def has_weights(folder: Path) -> bool:
    """Whether any of its weight files holds a tensor."""
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as weights:
            if weights.keys():
                return True
    return False
