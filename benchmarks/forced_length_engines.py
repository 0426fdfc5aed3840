"""Engines for folders without trained weights: weights are random where missing, and each answer has a given length."""

import gc
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from PIL import Image
from quantized_model import quantize_
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
    """Random weights if the folder has none: equal on all devices of one kind, and drawn in bf16 for every dtype."""

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
        model = model.to(self.dtype).eval()
        return quantize_(model) if getattr(self, "fp8", None) else model

    def _empty(self) -> Any:
        config = Qwen3VLConfig.from_pretrained(self.folder)
        return Qwen3VLForConditionalGeneration._from_config(
            config, dtype=torch.bfloat16, attn_implementation=self.attn_implementation
        )


class ForcedLengthEngine(RandomWeights):
    """Every answer has the length given for its request; stop tokens do not end it."""

    lengths: Sequence[int] = ()  # tokens of each answer, by request id
    kept = ""  # layers in 16 bits beside those in FP8, by a regular expression

    def max_new_tokens(self, request: Request) -> int:
        return self.lengths[request.id]

    @cached_property
    def stop_tokens(self) -> list[int]:
        return []

    def wasted(self, useful: int) -> float:
        """The share of decoded tokens that come after the end of their answer, given the number of useful tokens."""
        return 0.0

    @property
    def capacity(self) -> Capacity | None:
        """Slots and batch sizes, if the engine plans them."""
        return None


class ForcedLengthTransformers(ForcedLengthEngine, TransformersEngine):
    """The transformers engine. A batch decodes up to its longest answer."""

    decoded = 0  # tokens, including those after the end of an answer

    @torch.inference_mode()
    def generate_tokens(self, batch: Sequence[ModelInput]) -> list[list[int]]:
        lengths = [prepared.max_new_tokens for prepared in batch]
        inputs, steps = self.collate(batch), max(lengths)
        with sdpa_kernel(SDPA_BACKENDS):
            out = self.model.generate(
                **inputs, past_key_values=preallocated_cache(), do_sample=False,
                max_new_tokens=steps, min_new_tokens=steps,
            )  # fmt: skip
        rows = out[:, inputs["input_ids"].shape[1] :].tolist()
        assert all(len(row) == steps for row in rows), "an answer ended early"
        self.decoded += steps * len(rows)
        return [row[:length] for row, length in zip(rows, lengths, strict=True)]

    def wasted(self, useful: int) -> float:
        return 1 - useful / self.decoded


class PlainGenerate(ForcedLengthTransformers):
    """The obvious first implementation: the processor, then `generate`, one batch after another."""

    data_wait_s = 0.0  # time in which photos were decoded and resized

    @torch.inference_mode()
    def generate(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
        batch, tokenizer = list(requests), self.processor.tokenizer
        lengths, started = [self.lengths[request.id] for request in batch], time.monotonic()
        tokenizer.padding_side = "left"
        inputs = self.processor(
            text=[self.render(request.prompt) for request in batch],
            images=[Image.open(request.photo).convert("RGB") for request in batch],
            padding=True, return_tensors="pt", images_kwargs=self.resizing,
        ).to(self.device)  # fmt: skip
        self.data_wait_s += time.monotonic() - started
        steps = max(lengths)
        self.model.set_attn_implementation("sdpa")
        try:
            out = self.model.generate(**inputs, max_new_tokens=steps, min_new_tokens=steps, do_sample=False)
        finally:
            self.model.set_attn_implementation(self.attn_implementation)
        rows = out[:, inputs["input_ids"].shape[1] :]
        self.decoded += rows.numel()
        for request, row, length in zip(batch, rows, lengths, strict=True):
            yield Completion(request.id, tokenizer.decode(row[:length]), "length", length)


class ForcedLengthContinuous(ForcedLengthEngine, ContinuousEngine):
    """The continuous engine. A repetition does not end an answer: random weights may repeat themselves."""

    simulated_memory: int | None = None  # bytes of the card's memory; None: the card's own

    @property
    def capacity(self) -> Capacity | None:
        return self.stats().capacity

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
        with patch("yanshou.engines.continuous.scheduler.is_repeating", lambda tokens: False):
            yield from super().generate(requests)

    def memory_budget(self) -> MemoryBudget:
        if self.simulated_memory is None:
            return super().memory_budget()
        card = SimpleNamespace(total_memory=self.simulated_memory)
        with patch("torch.cuda.get_device_properties", return_value=card):
            return super().memory_budget()


def has_weights(folder: Path) -> bool:
    """Whether any weight file of the folder holds a tensor."""
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as weights:
            if weights.keys():
                return True
    return False


def device_state(engine: ContinuousEngine) -> Any:
    """What the engine has allocated on its device. Private: only for timing its parts and recording its logits."""
    assert engine._runner
    assert engine._runner._state
    return engine._runner._state


def release() -> None:
    """Frees the device memory of earlier engines, which refer to their runners and are referred to by them."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
