"""What lives on the device for one capacity: the KV cache, the state of every slot, the CUDA graph of a decode step.

state of a slot    last token · cache rows filled · position · tokens generated · token limit · active?
decode step        one token in and one token out for every active slot, all in one CUDA graph
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from yanshou.engines.continuous.attention import has_varlen_kernel
from yanshou.engines.continuous.attention_metadata import DecodeMetadata, Range, VarlenMetadata
from yanshou.engines.continuous.batch_keys_values import BatchKeysValues
from yanshou.engines.continuous.language_model import KVCache, LanguageModel, LogitsIndices
from yanshou.engines.continuous.prefill_batch import BatchShape, PrefillBatch, ScoredContinuation
from yanshou.engines.continuous.prefix_cache import PrefixCache
from yanshou.engines.continuous.protocols import NO_TOKEN
from yanshou.engines.continuous.sampler import Sampler
from yanshou.engines.continuous.transfer import integers
from yanshou.engines.continuous.vision_encoder import VisionTower


class DeviceState:
    """KV cache and slot states on one device. Each state tensor has one row more than slots, for what is discarded."""

    def __init__(
        self, vision: VisionTower, language: LanguageModel, sampler: Sampler, cache: KVCache, shape: BatchShape,
        stop_token_ids: Sequence[int],
    ) -> None:  # fmt: skip
        self.vision, self.language, self.sampler, self.cache, self.shape = vision, language, sampler, cache, shape
        self.device = cache.keys[0].device
        self.has_varlen_kernel = has_varlen_kernel(self.device, language.dtype)
        rows = cache.slots + 1
        self.last_tokens, self.seq_lens, self.positions = self._zeros(rows), self._zeros(rows), self._zeros(rows)
        self.num_generated, self.max_new_tokens = self._zeros(rows), self._zeros(rows)
        self.active = self._zeros(rows).bool()
        self.step_tokens, self.slot_ids = self._zeros(cache.slots), torch.arange(cache.slots, device=self.device)
        self.stop_token_ids = self._integers(stop_token_ids)
        self.prefix_lens, self.prefix_starts = self._zeros(rows).int(), self._zeros(rows)
        self.prefixes = PrefixCache(language, cache, self.has_varlen_kernel)
        self.graph: Any = None

    def _zeros(self, count: int) -> Tensor:
        return torch.zeros(count, dtype=torch.long, device=self.device)

    def _integers(self, numbers: Sequence[int]) -> Tensor:
        return integers(numbers, self.device)

    # ---- prefill ----

    def admit(self, batch: PrefillBatch, slots: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """Starts the batch's requests in these slots.

        Returns the first tokens, one per request and then padding, and ln P (tokens,) of each scored continuation.
        """
        batch.wait_for_copy()
        features = self._encode_photos(batch)
        if batch.prefix:
            self.prefixes.copy_to_slots(batch.prefix, slots)
        x, deepstack_features = self._embed(batch, features)
        last_hidden, hidden = self._run_layers(batch, slots, x, deepstack_features)
        tokens = self._sample_first_tokens(batch, slots, last_hidden)
        scores = [self._score(batch, index, hidden) for index in range(len(batch.continuations))]
        return tokens, scores

    def _encode_photos(self, batch: PrefillBatch) -> list[Tensor]:
        """Visual tokens and DeepStack features, (visual tokens, hidden) each; nothing without photos."""
        patches, photos = batch.patches, batch.patches.sequences
        if patches.pixels is None:
            return []
        metadata = self._metadata(photos.ranges, photos.ranges, photos.cu_seqlens, photos.cu_seqlens, photos.seqused_k)
        return self.vision.features(patches.pixels, patches.grids, metadata)

    def _cache_locations(self, batch: PrefillBatch, slots: Sequence[int]) -> tuple[list[Range], Tensor]:
        """The cache rows of each sequence, the prefix included: in a slot, or in the scratch rows.

        Also the first row of each sequence on the device, (sequences + 1,); the last entry is padding's.
        """
        scratch = (self.cache.scratch_start + start for start, _ in batch.sequences.ranges[len(slots) :])
        first_rows = [*(slot * self.cache.slot_len for slot in slots), *scratch, self.cache.null_row]
        return _key_ranges(first_rows, batch), self._integers(first_rows)

    def _beside_cache(self, batch: PrefillBatch, x: Tensor) -> tuple[list[Range], Tensor, BatchKeysValues]:
        """Where keys lie in the rows beside a cache in FP8, as above, and these rows: enough for the fullest batch."""
        prefix, tokens = self.prefixes.keys_values(batch.prefix) if batch.prefix else [], batch.tokens
        rows = self.shape.tokens + min(self.cache.slots, self.shape.sequences) * len(batch.prefix) + 1
        starts = [*accumulate(batch.sequences.lengths[:-1], initial=0), rows - 1]
        first_rows = self._integers(starts)
        in_prefix = torch.arange(len(batch.prefix), device=self.device)
        keys, values = (x.new_empty(rows, *self.cache.keys[0].shape[1:]) for _ in range(2))
        batch_kv = BatchKeysValues(
            keys, values, first_rows[tokens.seq_ids] + tokens.position_in_seq,
            first_rows[: len(batch.requests), None] + in_prefix, prefix,
        )  # fmt: skip
        return _key_ranges(starts, batch), first_rows, batch_kv

    def _embed(self, batch: PrefillBatch, features: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Embeddings with the visual tokens scattered into them, and DeepStack features: (tokens, hidden) each."""
        x, visual_index = self.language.embed(batch.tokens.ids), batch.tokens.visual_index
        if not features:
            return x, []
        visual, *deepstack_features = [_scatter_visual(each, visual_index) for each in features]
        return torch.where((visual_index > 0)[:, None], visual, x), deepstack_features

    def _run_layers(
        self, batch: PrefillBatch, slots: Sequence[int], x: Tensor, deepstack_features: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Hidden states of the prompts' last tokens (sequences, hidden) and of all that was computed.

        With scored continuations all tokens are computed, else the last layer computes the prompts' last tokens only.
        """
        tokens, sequences, batch_kv = batch.tokens, batch.sequences, None
        key_ranges, first_rows = self._cache_locations(batch, slots)
        slot_mapping = first_rows[tokens.seq_ids] + tokens.position_in_seq
        if self.cache.in_fp8:
            key_ranges, first_rows, batch_kv = self._beside_cache(batch, x)
        k_starts = _padded(first_rows[:-1], self.shape.sequences + 1)
        metadata = self._metadata(sequences.ranges, key_ranges, sequences.cu_seqlens, k_starts, sequences.seqused_k)
        last = None if batch.continuations else self._logits_indices(batch, key_ranges, k_starts)
        hidden = self.language.prefill(
            x, tokens.positions, deepstack_features, slot_mapping, metadata, self.cache, batch_kv, last
        )
        return (hidden if last else hidden[tokens.last_of_prompt]), hidden

    def _logits_indices(self, batch: PrefillBatch, key_ranges: Sequence[Range], k_starts: Tensor) -> LogitsIndices:
        """One query per prompt: its last token."""
        prompts = len(batch.requests)
        cu_seqlens_q = torch.arange(self.shape.sequences + 1, dtype=torch.int32, device=self.device).clamp(max=prompts)
        query_ranges = [(index, index + 1) for index in range(prompts)]
        metadata = self._metadata(query_ranges, key_ranges, cu_seqlens_q, k_starts, batch.sequences.seqused_k)
        return LogitsIndices(batch.tokens.last_of_prompt, metadata)

    def _metadata(
        self, query_ranges: Sequence[Range], key_ranges: Sequence[Range], *on_device: Tensor
    ) -> VarlenMetadata:
        return VarlenMetadata(query_ranges, key_ranges, *(on_device if self.has_varlen_kernel else ()))

    def _sample_first_tokens(self, batch: PrefillBatch, slots: Sequence[int], last_hidden: Tensor) -> Tensor:
        """Samples the first token of every request, then padding, and initializes the requests' slots."""
        padding = self.cache.slots  # the row of each state tensor that nothing reads
        rows = self._integers([*slots, *[padding] * (len(batch.tokens.last_of_prompt) - len(slots))])
        own_slots = rows[: len(slots)]
        self.sampler.reset_slots(own_slots, [one.request.key for one in batch.requests])
        if self.sampler.seen_tokens is not None:
            seq_slots = self._integers([*slots, *[padding] * (len(batch.continuations) + 1)])
            self.sampler.mark_prompt_tokens(seq_slots[batch.tokens.seq_ids], batch.tokens.ids)
            prefix = self._integers(batch.prefix * len(slots))
            self.sampler.mark_prompt_tokens(own_slots.repeat_interleave(len(batch.prefix)), prefix)
        tokens = self.sampler.sample(self.language.logits(last_hidden), rows, torch.zeros_like(rows))
        self._init_slots(batch, own_slots, tokens[: len(slots)])
        return tokens

    def _init_slots(self, batch: PrefillBatch, slots: Tensor, tokens: Tensor) -> None:
        """The state of slots (n,) after their first tokens (n,)."""
        max_new_tokens = self._integers([one.max_new_tokens for one in batch.requests])
        prefix_len, prefix_start = self.prefixes.shared_rows(batch.prefix)
        for state, values in (
            (self.last_tokens, tokens),
            (self.seq_lens, self._integers(batch.sequences.lengths[: len(slots)])),
            (self.positions, self._integers(batch.next_positions)),
            (self.num_generated, torch.ones_like(slots)),
            (self.max_new_tokens, max_new_tokens),
            (self.prefix_lens, torch.full_like(slots, prefix_len).int()),
            (self.prefix_starts, torch.full_like(slots, prefix_start)),
            (self.active, ~torch.isin(tokens, self.stop_token_ids) & (max_new_tokens > 1)),
        ):
            state.index_copy_(0, slots, values)

    def _score(self, batch: PrefillBatch, index: int, hidden: Tensor) -> Tensor:
        """ln P (tokens,) of each token of a scored continuation; hidden (tokens, hidden)."""
        continuation: ScoredContinuation = batch.continuations[index]
        start, end = batch.sequences.ranges[len(batch.requests) + index]
        first = start + continuation.prompt_len
        logprobs = self.language.logits(hidden[first - 1 : end - 1]).float().log_softmax(-1)
        return logprobs.gather(-1, batch.tokens.ids[first:end, None])[:, 0]

    # ---- decode ----

    def step(self) -> Tensor:
        """One token per active slot, (slots,); NO_TOKEN for the others."""
        if self.graph is None:
            self._step()
        else:
            self.graph.replay()
        return self.step_tokens

    def capture(self) -> None:
        """Records the decode step as a CUDA graph, one launch from then on. No slot may be active."""
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):  # libraries choose kernels and reserve memory
                self._step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=side):  # torch's own capture stream is on the first device that captured
            self._step()
        self.graph = graph

    def _step(self) -> None:
        cache, slots = self.cache, self.cache.slots
        active = self.active[:slots]
        context_lens = torch.where(active, self.seq_lens[:slots] + 1, 0).int()
        metadata = DecodeMetadata(context_lens, self.prefix_lens[:slots], self.prefix_starts[:slots])
        next_rows = self.slot_ids * cache.slot_len + self.seq_lens[:slots]
        slot_mapping = torch.where(active, next_rows, cache.null_row)
        logits = self.language.decode(self.last_tokens[:slots], self.positions[:slots], slot_mapping, metadata, cache)
        tokens = self.sampler.sample(logits, self.slot_ids, self.num_generated[:slots])
        self.step_tokens.copy_(torch.where(active, tokens, NO_TOKEN))
        self.last_tokens[:slots] = torch.where(active, tokens, self.last_tokens[:slots])
        for counter in (self.seq_lens, self.positions, self.num_generated):
            counter[:slots] += active
        unended = active & ~torch.isin(tokens, self.stop_token_ids)
        self.active[:slots] = unended & (self.num_generated[:slots] < self.max_new_tokens[:slots])

    def release(self, slot: int) -> None:
        """Deactivates a slot whose answer the host has ended."""
        self.active[slot] = False


def _key_ranges(first_rows: Sequence[int], batch: PrefillBatch) -> list[Range]:
    """The rows of each sequence's keys, the prefix included. The last of `first_rows` is padding's."""
    return [(row, row + length) for row, length in zip(first_rows[:-1], batch.sequences.lengths, strict=True)]


def _scatter_visual(feature: Tensor, visual_index: Tensor) -> Tensor:
    """feature (visual tokens, hidden) → (tokens, hidden), zeros at text tokens."""
    return torch.where((visual_index > 0)[:, None], feature[(visual_index - 1).clamp(min=0)], 0)


def _padded(numbers: Tensor, size: int) -> Tensor:
    padded = numbers.new_zeros(size, dtype=torch.int32)
    padded[: len(numbers)] = numbers
    return padded
