"""The reference engine: raw transformers, one `generate` a batch. What other engines are checked against.

complete            rows padded on the LEFT, `model.generate`, rows cut at their own stop token
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import sdpa_kernel

from yanshou.engines.base import Completion, Failure, OutOfMemoryError, Request
from yanshou.engines.batching import BatchedEngine
from yanshou.engines.qwen3_vl import ModelInput, Qwen3VLBackend
from yanshou.engines.sampling import processors
from yanshou.engines.transformers.gqa_attention import GQA_SDPA, SDPA_BACKENDS
from yanshou.engines.transformers.kv_cache import preallocated_cache
from yanshou.engines.transformers.logprobs import log_likelihoods
from yanshou.settings import BATCH_SIZE, EngineSettings


class TransformersEngine(Qwen3VLBackend, BatchedEngine[ModelInput]):
    """Any dense Qwen3-VL checkpoint on one device, batch by batch."""

    def __init__(self, settings: EngineSettings) -> None:
        Qwen3VLBackend.__init__(self, settings)
        BatchedEngine.__init__(self, settings.batch_size or BATCH_SIZE)

    def environment(self) -> dict[str, Any]:
        return {
            "engine": "transformers", **super().environment(),
            "attention": self.attention, "batch_size": self.settings.batch_size or BATCH_SIZE,
        }  # fmt: skip

    @property
    def attn_implementation(self) -> str:
        return GQA_SDPA if self.attention == "sdpa" else self.attention

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
        _ = self.processor  # loaded here, once, and not by several worker threads at a time
        return super().generate(requests)

    def complete(self, batch: Sequence[ModelInput]) -> Sequence[Completion]:
        try:
            rows, logprobs = self._generate(batch), self._logprobs(batch)
        except torch.cuda.OutOfMemoryError:
            rows = None
        if rows is None:  # outside the except block: its traceback would keep the batch's tensors alive
            torch.cuda.empty_cache()
            raise OutOfMemoryError
        return [self._completion(*one) for one in zip(batch, rows, logprobs, strict=True)]

    @torch.inference_mode()
    def _logprobs(self, batch: Sequence[ModelInput]) -> list[tuple[float, ...]]:
        """Of every row's choices."""
        asked = [(prepared.ids, choice) for prepared in batch for choice in prepared.request.candidates]
        if not asked:
            return [()] * len(batch)
        assert all(prepared.pixels is None for prepared in batch if prepared.request.candidates), "choices go with text"
        lines, pad = [self.line_ids(choice) for _, choice in asked], self.processor.tokenizer.pad_token_id
        found = iter(log_likelihoods(self.model, [ids for ids, _ in asked], lines, pad))
        return [tuple(next(found) for _ in prepared.request.candidates) for prepared in batch]

    @torch.inference_mode()
    def _generate(self, batch: Sequence[ModelInput]) -> list[list[int]]:
        inputs = self._collate(batch)
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

    def _collate(self, batch: Sequence[ModelInput]) -> dict[str, Tensor]:
        """ids and mask (rows, tokens), pixels of all photos (patches, 1536), grids (photos, 3)."""
        longest = max(len(prepared.ids) for prepared in batch)
        ids = torch.full((len(batch), longest), self.model.generation_config.pad_token_id)
        mask = torch.zeros_like(ids)
        for row, prepared in enumerate(batch):
            ids[row, longest - len(prepared.ids) :] = prepared.ids
            mask[row, longest - len(prepared.ids) :] = 1
        assert bool(mask[:, -1].all()), "decoder-only batches are padded on the left"
        inputs = {"input_ids": ids, "attention_mask": mask}
        pixels = [prepared.pixels for prepared in batch if prepared.pixels is not None]
        grids = [prepared.grid for prepared in batch if prepared.grid is not None]
        if pixels:
            inputs["pixel_values"] = torch.cat(pixels).to(self.dtype)
            inputs["image_grid_thw"] = torch.cat(grids)
            inputs["mm_token_type_ids"] = (ids == self.image_token).int()
        return {name: tensor.to(self.device) for name, tensor in inputs.items()}

    def _completion(self, prepared: ModelInput, row: list[int], logprobs: tuple[float, ...]) -> Completion:
        """The row up to and with its stop token; behind it stands what its longer neighbours needed."""
        end = next((at for at, token in enumerate(row) if token in self.stop_tokens), None)
        if end is None:
            return self.completion(prepared, row, "length", logprobs)
        return self.completion(prepared, row[: end + 1], "stop", logprobs)
