"""The reference engine: plain transformers, one `generate` call per batch. Other engines are compared with it.

complete   rows padded on the left → `model.generate` → each row cut after its own stop token
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import sdpa_kernel

from yanshou.engines.base import Answer, Completion, OutOfMemoryError, Request
from yanshou.engines.batching import BatchedEngine
from yanshou.engines.device import give_back_freed_memory, is_out_of_memory
from yanshou.engines.qwen3_vl import ModelInput, Qwen3VLBackend
from yanshou.engines.sampling import processors
from yanshou.engines.transformers.gqa_attention import GQA_SDPA, SDPA_BACKENDS
from yanshou.engines.transformers.kv_cache import preallocated_cache
from yanshou.engines.transformers.logprobs import log_likelihoods
from yanshou.engines.transformers.padding import left_pad
from yanshou.settings import BATCH_SIZE, GPU_MEMORY, EngineSettings


class TransformersEngine(Qwen3VLBackend, BatchedEngine[ModelInput]):
    """Any Qwen3-VL checkpoint, dense or a mixture of experts, on one device, batch by batch."""

    def __init__(self, settings: EngineSettings) -> None:
        Qwen3VLBackend.__init__(self, settings)
        BatchedEngine.__init__(self, settings.batch_size or BATCH_SIZE)
        if settings.gpu_memory != GPU_MEMORY:
            self._warn_of_unused_memory_share()

    def environment(self) -> dict[str, Any]:
        return {
            "engine": "transformers", **super().environment(),
            "attention": self.attention, "batch_size": self.settings.batch_size or BATCH_SIZE,
        }  # fmt: skip

    @property
    def attn_implementation(self) -> str:
        return GQA_SDPA if self.attention == "sdpa" else self.attention

    def load(self) -> None:
        _ = self.processor, self.model

    def generate(self, requests: Iterable[Request]) -> Iterator[Answer]:
        _ = self.processor  # loaded once, here, before several threads ask for it
        return super().generate(requests)

    def complete(self, batch: Sequence[ModelInput]) -> Sequence[Completion]:
        try:
            rows, logprobs = self.generate_tokens(batch), self._logprobs(batch)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            rows = None
        if rows is None:  # outside the except block, whose traceback keeps the batch's tensors alive
            give_back_freed_memory(self.device)
            raise OutOfMemoryError
        return [self._completion(*one) for one in zip(batch, rows, logprobs, strict=True)]

    @torch.inference_mode()
    def _logprobs(self, batch: Sequence[ModelInput]) -> list[tuple[float, ...]]:
        """ln P of each request's candidates."""
        pairs = [(prepared.ids, line) for prepared in batch for line in prepared.request.candidates]
        if not pairs:
            return [()] * len(batch)
        assert all(prepared.pixels is None for prepared in batch if prepared.request.candidates), "text-only requests"
        lines, pad_token = [self.tokenizer.line_ids(line) for _, line in pairs], self.processor.tokenizer.pad_token_id
        found = iter(log_likelihoods(self.model, [ids for ids, _ in pairs], lines, pad_token))
        return [tuple(next(found) for _ in prepared.request.candidates) for prepared in batch]

    @torch.inference_mode()
    def generate_tokens(self, batch: Sequence[ModelInput]) -> list[list[int]]:
        """The generated tokens of each row. Rows that end before the longest one are padded behind their stop token."""
        inputs = self.collate(batch)
        length = inputs["input_ids"].shape[1]
        keys = [prepared.request.key for prepared in batch]
        with sdpa_kernel(SDPA_BACKENDS):
            out = self.model.generate(
                **inputs,
                past_key_values=preallocated_cache(),
                max_new_tokens=self.settings.sampling.max_new_tokens,
                do_sample=False,
                logits_processor=processors(self.settings.sampling, keys, self.model.generation_config.pad_token_id),
            )
        rows: list[list[int]] = out[:, length:].tolist()
        return rows

    def collate(self, batch: Sequence[ModelInput]) -> dict[str, Tensor]:
        """ids and mask (rows, tokens), pixels of all photos (patches, 1536), grids (photos, 3)."""
        ids, mask = left_pad([prepared.ids for prepared in batch], self.model.generation_config.pad_token_id)
        inputs = {"input_ids": ids, "attention_mask": mask}
        pixels = [prepared.pixels for prepared in batch if prepared.pixels is not None]
        grids = [prepared.grid for prepared in batch if prepared.grid is not None]
        if pixels:
            inputs["pixel_values"] = torch.cat(pixels).to(self.dtype)
            inputs["image_grid_thw"] = torch.cat(grids)
            inputs["mm_token_type_ids"] = (ids == self.image_token).int()
        return {name: tensor.to(self.device) for name, tensor in inputs.items()}

    def _completion(self, prepared: ModelInput, row: list[int], logprobs: tuple[float, ...]) -> Completion:
        """The row up to its first stop token; what follows is padding."""
        end = next((at for at, token in enumerate(row) if token in self.stop_tokens), None)
        if end is None:
            return self.completion(prepared, row, "length", logprobs)
        return self.completion(prepared, row[: end + 1], "stop", logprobs)
