"""The continuous engine: requests run in slots, and a slot takes the next request as soon as its answer ends.

`__init__.py` lists the files of this folder; `scheduler.py` shows how a request moves through them.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from yanshou.engines import device as devices
from yanshou.engines.base import Answer, Request, RunPlan
from yanshou.engines.batching import num_threads
from yanshou.engines.checkpoint import is_moe
from yanshou.engines.continuous.capacity import (
    MAX_SEQUENCES,
    MAX_SLOTS,
    PATCHES_PER_TOKEN,
    Capacity,
    CapacityPlanner,
    MemoryBudget,
    RequestBounds,
    plan_capacity,
)
from yanshou.engines.continuous.fp8.loading import load_fp8_model
from yanshou.engines.continuous.fp8.plan import Fp8Plan, check_fp8, checkpoint_fault
from yanshou.engines.continuous.image_processor import ImageProcessor
from yanshou.engines.continuous.model_runner import ContinuousRunner
from yanshou.engines.continuous.prefill_batch import PrefillBatch
from yanshou.engines.continuous.scheduler import PREFETCH_FACTOR, ContinuousScheduler, Counters
from yanshou.engines.loading import load_config
from yanshou.engines.qwen3_vl import ModelInput, Qwen3VLBackend
from yanshou.errors import CheckpointError, UsageError
from yanshou.settings import GPU_MEMORY, EngineSettings

logger = logging.getLogger(__name__)

NAME = "continuous"  # in run.json
DYNAMIC_ROPES = ("dynamic", "longrope")  # rope types whose angles depend on the largest position in a batch
FEW_SLOTS = 8  # with fewer, a GPU reads all weights for a handful of tokens per step
SPARE_TEXT_TOKENS = 4_096  # added to a text-only run's longest prompt, which is the longest in characters only
SPARE_BATCH_TOKENS = 1_024  # added to what this prompt and its two scored lines, each after the prompt, take in a batch


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What the engine holds and has done so far, in all runs."""

    capacity: Capacity | None  # allocated now; None before the first request
    halvings: int  # after out-of-memory errors
    active_slots: int  # slots that the next decode step adds a token to
    cached_prefixes: int
    running: int  # requests in slots
    waiting: int  # requests that were read and are not in slots yet
    prefill_batches: int
    steps: int  # decode steps
    completions: int
    decoded_tokens: int  # in completed answers
    data_wait_s: float  # time in which the device was idle because no request was prepared


class ContinuousEngine(Qwen3VLBackend):
    """Runs any dense Qwen3-VL checkpoint on one device with continuous batching.

    Before a run, `prepare_run` decides its capacity; `generate` answers the requests; `stats` reports what happened.
    """

    def __init__(self, settings: EngineSettings) -> None:
        if settings.attn != "auto":
            raise UsageError(
                f"--attn {settings.attn} is for the transformers engine; the continuous engine has its own attention. "
                f"Leave it out, or {_with_transformers(settings, 'add')}."
            )
        super().__init__(settings)
        self.fp8 = Fp8Plan.of(self.folder, self.device, self.dtype) if settings.quantize == "fp8" else None
        if settings.kv_cache == "fp8":
            check_fp8("--kv-cache fp8", self.device, self.dtype)
        if is_moe(self.folder):
            raise CheckpointError(
                f"{self.folder}: a mixture of experts (MoE), which the continuous engine does not run. "
                f"{_with_transformers(settings, 'Use')}."
            )
        self.planner = CapacityPlanner(self.memory_budget)
        self._counters = Counters()
        self._runner: ContinuousRunner | None = None
        self._scheduler: ContinuousScheduler[ModelInput, PrefillBatch] | None = None
        self._stopped = self._generating = False
        self._has_warned = False
        if settings.gpu_memory != GPU_MEMORY and self.device.type != "cuda":
            self._warn_of_unused_memory_share()

    # ---- what run.json records ----

    def identity(self) -> dict[str, Any]:
        cache = {"kv_cache": self.settings.kv_cache} if self.settings.kv_cache != "auto" else {}
        return {**super().identity(), **({"quantize": self.fp8.recorded} if self.fp8 else {}), **cache}

    # ---- a run ----

    def prepare_run(self, run: RunPlan) -> None:
        """Decides the run's capacity: that of the latest earlier run on the same kind of device, if memory allows.

        The same capacity gives the same lines to the last bit; on another device they differ anyway.
        """
        same_place = {"engine": NAME, "device": super().environment()["device"]}.items()
        self.planner.pin(next((earlier for earlier in run.earlier if earlier.items() >= same_place), {}))
        current = self._runner.capacity if self._runner else None
        bounds = self._run_bounds(run)
        capacity = self.planner.plan_run(bounds, current)
        if not run.earlier:  # a resume keeps to 16 bits
            self._warn_of_few_slots(bounds)
        if self._runner and current is not capacity:
            self._runner.close()  # now, and not in the middle of the run

    def _run_bounds(self, run: RunPlan) -> RequestBounds:
        """Bounds of every request of the run."""
        ids, max_new_tokens = self.tokenizer.prompt_ids(run.prompt, run.photos), self.settings.sampling.max_new_tokens
        if not run.photos:
            ids = ids[: max(0, self.context - max_new_tokens)]  # a longer prompt fails before it needs a slot
            prompt, batch = len(ids) + SPARE_TEXT_TOKENS, 3 * len(ids) + SPARE_BATCH_TOKENS
            return RequestBounds(prompt + max_new_tokens, prompt, visual_tokens=0, scored=True, batch_tokens=batch)
        visual_tokens, prefix_len = self.max_visual_tokens, ids.index(self.image_token)
        prompt = len(ids) - 1 + visual_tokens
        return RequestBounds(
            prompt + max_new_tokens, prompt - prefix_len, visual_tokens, scored=False, prefix_len=prefix_len,
            batch_tokens=prompt - prefix_len,
        )  # fmt: skip

    def _warn_of_few_slots(self, bounds: RequestBounds) -> None:
        """Warns, once, where FP8 would leave memory for many slots and 16 bits leave it for few."""
        if self._has_warned or not self._may_be_in_fp8:
            return
        in_16_bits = plan_capacity(self.memory_budget(), bounds).slots
        if in_16_bits >= FEW_SLOTS or checkpoint_fault(self.folder):
            return
        in_fp8 = plan_capacity(self._memory_budget(Fp8Plan(self.dtype)), bounds).slots
        if in_fp8 >= FEW_SLOTS:
            self._has_warned = True
            slots = f"{in_16_bits} slot{'' if in_16_bits == 1 else 's'}"
            self._warnings.append(
                f"the weights in 16 bits leave GPU memory for {slots}; with --quantize fp8 there would be {in_fp8}"
            )

    @property
    def _may_be_in_fp8(self) -> bool:
        """Whether --quantize fp8 is missing and could be added, unless the checkpoint keeps it from that."""
        return not self.fp8 and self.dtype == torch.bfloat16 and not devices.lacks_fp8(self.device)

    def environment(self) -> dict[str, Any]:
        capacity = self.planner.run_capacity or (self._runner.capacity if self._runner else None)
        return {"engine": NAME, **super().environment(), **(capacity.recorded if capacity else {})}

    @property
    def in_flight(self) -> int:
        slots = self.planner.run_capacity.slots if self.planner.run_capacity else MAX_SLOTS
        slots = min(slots, self.settings.batch_size or slots)
        batch = min(slots, MAX_SEQUENCES)
        return slots + 2 * batch + PREFETCH_FACTOR * num_threads()  # in slots, staged, in the next batch, prefetched

    def load(self) -> None:
        self._load_runner()

    def _load_runner(self) -> ContinuousRunner:
        if self._runner is None:
            if fault := next(_unsupported(self.model.config, self.device), None):
                raise CheckpointError(f"{self.folder}: {fault}. {_with_transformers(self.settings, 'Use')}.")
            with self.memory_of_weights():  # products are fused, which takes memory for one more layer
                self._runner = ContinuousRunner(self, self.image_processor.normalize, self.planner)
        return self._runner

    def reduce_capacity(self, out_of_memory: int) -> None:
        self.planner.reduce(out_of_memory)

    def generate(self, requests: Iterable[Request]) -> Iterator[Answer]:
        runner = self._load_runner()
        self._scheduler = ContinuousScheduler(self, runner, num_threads(), self.settings.batch_size, self._counters)
        if self._stopped:
            self._scheduler.stop()
        return self._exclusive(self._scheduler.run(requests))

    def _exclusive(self, answers: Iterator[Answer]) -> Iterator[Answer]:
        assert not self._generating, "one `generate` at a time: the slots belong to one run"
        self._generating = True
        try:
            yield from answers
        finally:
            self._generating = False
            logger.debug("end of generate: %s", self._counters)

    def stop(self) -> None:
        self._stopped = True
        if self._scheduler:
            self._scheduler.stop()

    # ---- what it has done ----

    @property
    def data_wait_s(self) -> float:
        return self._counters.data_wait_s

    @property
    def out_of_memory(self) -> int:
        return self.planner.halvings

    def stats(self) -> EngineStats:
        """A snapshot for tests, benchmarks and reports. Waits for the device."""
        runner, scheduler, counters = self._runner, self._scheduler, self._counters
        return EngineStats(
            capacity=runner.capacity if runner else None,
            halvings=self.planner.halvings,
            active_slots=runner.active_slots if runner else 0,
            cached_prefixes=runner.cached_prefixes if runner else 0,
            running=scheduler.running if scheduler else 0,
            waiting=scheduler.waiting if scheduler else 0,
            prefill_batches=counters.prefill_batches,
            steps=counters.steps,
            completions=counters.completions,
            decoded_tokens=counters.decoded_tokens,
            data_wait_s=counters.data_wait_s,
        )

    # ---- one request, on the host ----

    @cached_property
    def image_processor(self) -> ImageProcessor:
        return ImageProcessor(self.processor.image_processor, self.dtype)

    def patches(self, image: Image.Image) -> tuple[Tensor, Tensor]:
        return self.image_processor.patchify(image, **self.resizing)

    def without_pixels(self, prepared: ModelInput) -> ModelInput:
        return replace(prepared, pixels=None)  # 2 MB per slot

    # ---- memory ----

    @property
    def smaller_weights(self) -> str:
        possible = self._may_be_in_fp8 and not checkpoint_fault(self.folder)
        return ", or halve most of them with --quantize fp8" if possible else ""

    def load_weights(self) -> Any:
        if self.fp8 is None:
            return super().load_weights()
        return load_fp8_model(self.source, self.dtype, self.attn_implementation, self.device)

    def memory_budget(self) -> MemoryBudget:
        """What the checkpoint may use of the device. Loads no weights."""
        return self._memory_budget(self.fp8)

    def _memory_budget(self, fp8: Fp8Plan | None) -> MemoryBudget:
        total = torch.cuda.get_device_properties(self.device).total_memory if self.device.type == "cuda" else None
        weight_bytes = self.parameter_count * self.dtype.itemsize  # the files may have another dtype
        config = load_config(self.folder)
        if fp8:
            weight_bytes -= fp8.saved_bytes(config)
        return MemoryBudget(
            config, self.dtype, weight_bytes, total, self.settings.gpu_memory, fp8=fp8 is not None,
            fp8_cache=self.settings.kv_cache == "fp8",
        )  # fmt: skip


def _with_transformers(settings: EngineSettings, use: str) -> str:
    """The advice to take the other engine, which runs nothing in FP8. `use`: its verb."""
    in_fp8 = {"--quantize": settings.quantize, "--kv-cache": settings.kv_cache}
    out = " and ".join(option for option, value in in_fp8.items() if value == "fp8")
    return f"{use} --engine transformers" + (f", and leave {out} out" if out else "")


def _unsupported(config: Any, device: torch.device) -> Iterator[str]:
    """What the checkpoint needs and this engine cannot do."""
    text, vision = config.text_config, config.vision_config
    if (kind := text.rope_parameters["rope_type"]) in DYNAMIC_ROPES:
        yield f"its rope_type is {kind}, whose angles depend on the other requests in the batch"
    if vision.spatial_merge_size**2 != PATCHES_PER_TOKEN:
        yield f"a visual token is {vision.spatial_merge_size**2} patches, expected {PATCHES_PER_TOKEN}"
    if device.type == "cuda" and text.head_dim & (text.head_dim - 1):
        yield f"its attention heads have {text.head_dim} dimensions, expected a power of two"
