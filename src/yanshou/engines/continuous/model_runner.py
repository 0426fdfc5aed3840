"""The device as the scheduler sees it: prefill batches, decode steps, and what to do when memory runs out."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from yanshou.engines.base import OutOfMemoryError
from yanshou.engines.continuous.capacity import (
    MAX_SEQUENCES,
    PATCHES_PER_TOKEN,
    Capacity,
    CapacityPlanner,
    RequestBounds,
    describe,
)
from yanshou.engines.continuous.device_state import DeviceState
from yanshou.engines.continuous.language_model import LanguageModel
from yanshou.engines.continuous.prefill_batch import BatchShape, PrefillBatch, ScoredContinuation, collate
from yanshou.engines.continuous.protocols import StepOutput
from yanshou.engines.continuous.sampler import Sampler
from yanshou.engines.continuous.transfer import HostCopy
from yanshou.engines.continuous.vision_encoder import VisionTower
from yanshou.engines.device import give_back_freed_memory, is_out_of_memory
from yanshou.engines.qwen3_vl import ModelInput, Qwen3VLBackend

logger = logging.getLogger(__name__)

CACHED_POSITIONS = 256  # prompt shapes whose positions are kept; about 20 KB each

ResultT = TypeVar("ResultT")


class ContinuousRunner:
    """Prefills and decode steps of one checkpoint on one device."""

    def __init__(
        self, backend: Qwen3VLBackend, normalize: Callable[[Tensor], Tensor], planner: CapacityPlanner
    ) -> None:
        self.backend, self.planner = backend, planner
        self.capacity: Capacity | None = None  # allocated now
        self._state: DeviceState | None = None
        self._positions_of = lru_cache(maxsize=CACHED_POSITIONS)(self._rope_positions)
        self._copy_stream: Any = None
        model = backend.model
        self._vision = VisionTower(model.model.visual, normalize)
        self._language = LanguageModel(model.model.language_model, model.lm_head)

    @property
    def slots(self) -> int:
        return self.capacity.slots if self.capacity else 1

    @property
    def active_slots(self) -> int:
        """Slots that the next decode step adds a token to. Waits for the device."""
        return int(self._state.active.sum()) if self._state else 0

    @property
    def cached_prefixes(self) -> int:
        return len(self._state.prefixes) if self._state else 0

    # ---- what one request needs ----

    def fits_slot(self, prepared: ModelInput) -> bool:
        capacity = self.capacity
        if capacity is None:
            return False
        tokens = self._prefill_tokens(prepared)
        return (
            self._kv_len(prepared) <= capacity.slot_len
            and tokens <= capacity.prefill_batch_tokens
            and _visual_tokens(prepared) <= capacity.prefill_batch_visual_tokens
            and (not prepared.request.candidates or tokens <= capacity.scratch_rows)
        )

    def can_join(self, batch: Sequence[ModelInput], prepared: ModelInput) -> bool:
        assert self._state
        shape, together, first = self._state.shape, [*batch, prepared], batch[0]
        return (
            first.prefix_len == prepared.prefix_len
            and bool(first.request.candidates) == bool(prepared.request.candidates)  # the last layer differs for them
            and bool((prepared.ids[: first.prefix_len] == first.ids[: first.prefix_len]).all())
            and sum(map(self._prefill_tokens, together)) <= shape.tokens
            and sum(0 if one.pixels is None else len(one.pixels) for one in together) <= shape.patches
            and sum(1 + len(one.request.candidates) for one in together) <= shape.sequences
        )

    def _kv_len(self, prepared: ModelInput) -> int:
        return len(prepared.ids) + self.backend.settings.sampling.max_new_tokens

    def _prefill_tokens(self, prepared: ModelInput) -> int:
        """Tokens that the request adds to a prefill batch: its prompt without the prefix, and scored continuations."""
        continuations = sum(len(prepared.ids) + len(line) for line in self._candidate_ids(prepared))
        return len(prepared.ids) - prepared.prefix_len + continuations

    def _candidate_ids(self, prepared: ModelInput) -> list[list[int]]:
        return [self.backend.tokenizer.line_ids(candidate) for candidate in prepared.request.candidates]

    def _bounds(self, prepared: ModelInput) -> RequestBounds:
        """Bounds of this request and of any other photo with the same prompt."""
        own = _visual_tokens(prepared)
        visual_tokens = 0 if prepared.grid is None else max(self.backend.max_visual_tokens, own)
        longest = visual_tokens - own  # tokens that a photo of the largest size would add
        return RequestBounds(
            kv_len=self._kv_len(prepared) + longest,
            prefill_tokens=len(prepared.ids) - prepared.prefix_len + longest,
            visual_tokens=visual_tokens,
            scored=bool(prepared.request.candidates),
            prefix_len=prepared.prefix_len,
            batch_tokens=self._prefill_tokens(prepared) + longest,
        )

    def _positions(self, prepared: ModelInput) -> Tensor:
        grid = None if prepared.grid is None else tuple(prepared.grid[0].tolist())
        return self._positions_of(len(prepared.ids), prepared.prefix_len, _visual_tokens(prepared), grid)

    def _rope_positions(self, length: int, prefix_len: int, visual: int, grid: tuple[int, ...] | None) -> Tensor:
        """Positions (3, length) of a prompt with `visual` visual tokens after the first `prefix_len` tokens."""
        is_visual = torch.zeros(1, length, dtype=torch.int)
        is_visual[0, prefix_len : prefix_len + visual] = 1
        grids = None if grid is None else torch.tensor([grid])
        positions: Tensor = self.backend.model.model.get_rope_index(is_visual.long(), is_visual, grids)[0][:, 0]
        return positions

    # ---- prefill and decode ----

    def stage(self, batch: Sequence[ModelInput]) -> PrefillBatch:
        return self._on_device(partial(self._stage, batch))

    def _stage(self, requests: Sequence[ModelInput]) -> PrefillBatch:
        assert self._state
        cuda = self.backend.device.type == "cuda"
        continuations = [
            ScoredContinuation(index, torch.cat([one.ids, torch.tensor(line)]), len(one.ids))
            for index, one in enumerate(requests)
            for line in self._candidate_ids(one)
        ]
        positions = [self._positions(one) for one in requests]
        batch = collate(requests, continuations, positions, self.backend.image_token, self._state.shape, pinned=cuda)
        if not cuda:
            return batch
        self._copy_stream = self._copy_stream or torch.cuda.Stream(self.backend.device)
        return batch.copy_to(self.backend.device, self._copy_stream)

    def admit(self, staged: PrefillBatch, slots: Sequence[int]) -> "PendingPrefill":
        return self._on_device(partial(self._admit, staged, slots))

    def _admit(self, batch: PrefillBatch, slots: Sequence[int]) -> "PendingPrefill":
        assert self._state
        tokens, scores = self._state.admit(batch, slots)
        first_tokens = HostCopy(tokens[: len(slots)])
        logprobs = HostCopy(torch.stack([score.double().sum() for score in scores])) if scores else None
        owners = [continuation.request for continuation in batch.continuations]
        return PendingPrefill(first_tokens, logprobs, owners)

    def step(self) -> "PendingStep":
        return self._on_device(self._step)

    def _step(self) -> "PendingStep":
        assert self._state
        return PendingStep(HostCopy(self._state.step()))

    def release(self, slot: int) -> None:
        assert self._state
        self._on_device(partial(self._state.release, slot))

    # ---- capacity ----

    def resize_for(self, prepared: ModelInput) -> None:
        """Allocates slots that fit the request. Raises OutOfMemoryError if not even the minimal capacity fits."""
        for capacity in self.planner.attempts(self._bounds(prepared), self.capacity):
            self.close()
            try:
                self._on_device(partial(self._allocate, capacity))
            except OutOfMemoryError:
                continue
            return self.planner.allocated(capacity)
        raise OutOfMemoryError

    @property
    def outdated(self) -> bool:
        return self.capacity is not None and self.planner.is_outdated(self.capacity)

    def shrink(self) -> bool:
        capacity = self.capacity
        self.close()
        return capacity is not None and self.planner.after_oom(capacity)

    def close(self) -> None:
        """Frees the slots; the next request allocates new ones. Nothing may be in flight."""
        self._state = self.capacity = None
        give_back_freed_memory(self.backend.device)

    def _allocate(self, capacity: Capacity) -> None:
        began, backend = time.monotonic(), self.backend
        cuda = backend.device.type == "cuda"
        cache = self._language.new_cache(
            capacity.slots, capacity.slot_len, capacity.scratch_rows, capacity.prefix_rows,
            fp8=backend.settings.kv_cache == "fp8",
        )  # fmt: skip
        sampler = Sampler(
            backend.settings.sampling, capacity.slots, backend.model.config.text_config.vocab_size,
            backend.model.generation_config.pad_token_id, backend.device,
        )  # fmt: skip
        patches = PATCHES_PER_TOKEN * capacity.prefill_batch_visual_tokens
        shape = BatchShape(capacity.prefill_batch_tokens, patches, MAX_SEQUENCES, exact=not cuda)
        state = DeviceState(self._vision, self._language, sampler, cache, shape, backend.stop_tokens)
        if cuda:
            state.capture()
        self._state, self.capacity = state, capacity
        logger.info("capacity: %s", describe(capacity))
        logger.debug("slots allocated and decode step recorded in %.2f s", time.monotonic() - began)

    def _on_device(self, work: Callable[[], ResultT]) -> ResultT:
        """Runs the work on the device; whatever reports a lack of memory becomes OutOfMemoryError."""
        device = self.backend.device
        try:
            # CUDA streams and Triton kernels use the current device, which each thread has for itself.
            with torch.inference_mode(), torch.cuda.device(device) if device.type == "cuda" else nullcontext():
                return work()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        raise OutOfMemoryError  # outside `except`: the traceback would keep the work's tensors alive


def _visual_tokens(prepared: ModelInput) -> int:
    return 0 if prepared.pixels is None else len(prepared.pixels) // PATCHES_PER_TOKEN


@dataclass(frozen=True, slots=True)
class PendingStep:
    """The tokens of a decode step, one per slot."""

    tokens: HostCopy

    def get(self) -> StepOutput:
        return StepOutput(self.tokens.get())


@dataclass(frozen=True, slots=True)
class PendingPrefill:
    """The first token of each request of a prefill batch, and ln P of its candidates."""

    tokens: HostCopy
    logprobs: HostCopy | None
    owners: Sequence[int]  # index of the request that each log-probability belongs to

    def get(self) -> StepOutput:
        tokens = self.tokens.get()
        logprobs: list[tuple[float, ...]] = [()] * len(tokens)
        for owner, logprob in zip(self.owners, self.logprobs.get() if self.logprobs else (), strict=True):
            logprobs[owner] += (logprob,)
        return StepOutput(tokens, logprobs)
