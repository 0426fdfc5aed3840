"""The engine that keeps a GPU busy: continuous batching over slots. See `scheduler.py` for the picture.

scheduler   which photo is where (no torch)         size      how many slots the memory holds
pack        photos and prompts as one launch        session   keys, values and state on the device
tower       vision                                  language  prefill and decode
attention   every row minds its own keys            kernel    the same in Triton
pointwise   all between the matrix products         …_kernel  the same in Triton
choice      the next token, a random stream a photo loops     answers that repeat themselves
runner      all of these as the scheduler sees them
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import Qwen3VLConfig

from yanshou.engines.base import Completion, Failure, Request, RunPlan
from yanshou.engines.batching import workers
from yanshou.engines.continuous.capacity import PATCHES, Capacity, RequestBounds, size
from yanshou.engines.continuous.image_processor import Pixels
from yanshou.engines.continuous.model_runner import ContinuousRunner
from yanshou.engines.continuous.scheduler import ContinuousScheduler
from yanshou.engines.qwen3_vl import ModelInput, Qwen3VLBackend
from yanshou.errors import CheckpointError, UsageError
from yanshou.settings import EngineSettings

NAME = "continuous"  # in run.json
MOVING_ROPES = ("dynamic", "longrope")  # angles follow the largest position in a launch
TEXT_TOKENS = 4_096  # of a text-only prompt that a slot holds


class ContinuousEngine(Qwen3VLBackend):
    """Any dense Qwen3-VL checkpoint on one device, photo by photo in slots."""

    def __init__(self, settings: EngineSettings) -> None:
        if settings.attn != "auto":
            raise UsageError(
                f"--attn {settings.attn} is for the transformers engine; the continuous one has attention of its own. "
                "Leave it out, or add --engine transformers."
            )
        super().__init__(settings)
        self._earlier: Mapping[str, Any] = {}  # environment of the run whose shape is kept
        self._runner: ContinuousRunner | None = None
        self._scheduler: ContinuousScheduler[ModelInput, Any] | None = None
        self._waited_s = 0.0  # of the schedulers before this one
        self._stopped = self._answering = False
        self._expected: Capacity | None = None

    def prepare_run(self, run: RunPlan) -> None:
        """Keeps slots and launches of the last such run here, if the memory holds them: one shape, the same lines."""
        here = super().environment()
        such = {"engine": NAME, "device": here["device"]}.items()  # elsewhere the bits differ anyway
        self._earlier, self._expected = next((one for one in run.earlier if one.items() >= such), {}), None
        if self._runner:
            self._runner.reckoned_with = self._runner.halvings
        self._expected = self._size_for(self._need(run))
        if self._runner:
            self._expected = self._runner.expect(self._expected, exactly=bool(self._earlier))

    def _need(self, run: RunPlan) -> RequestBounds:
        """Of one of its requests, at most."""
        ids, longest = self.prompt_ids(run.prompt, run.photos), self.settings.sampling.max_new_tokens
        if not run.photos:
            return RequestBounds(len(ids) + TEXT_TOKENS + longest, len(ids) + TEXT_TOKENS, 0, scored=True)
        whole, visual = len(ids) - 1 + self.max_visual_tokens, self.max_visual_tokens
        return RequestBounds(whole + longest, whole - ids.index(self.image_token), visual, scored=False)

    def environment(self) -> dict[str, Any]:
        size = self._expected or (self._runner.size if self._runner else None)
        return {"engine": NAME, **super().environment(), **(size.shape if size else {})}

    def generate(self, requests: Iterable[Request]) -> Iterator[Completion | Failure]:
        if self._runner is None:
            for fault in _faults(self.model.config, self.device):
                raise CheckpointError(f"{self.folder}: {fault}. Use --engine transformers.")
            self._runner = ContinuousRunner(self, self.pixels.numbers, self._size_for)
        self._waited_s = self.data_wait_s
        self._scheduler = ContinuousScheduler(self.prepare, self._runner, workers(), self.settings.batch_size)
        if self._stopped:
            self._scheduler.stop()
        return self._alone(self._scheduler.run(requests))

    def _alone(self, answers: Iterator[Completion | Failure]) -> Iterator[Completion | Failure]:
        assert not self._answering, "one `generate` at a time: the slots are one run's"
        self._answering = True
        try:
            yield from answers
        finally:
            self._answering = False

    @property
    def data_wait_s(self) -> float:
        return self._waited_s + (self._scheduler.data_wait_s if self._scheduler else 0.0)

    @property
    def out_of_memory(self) -> int:
        return self._runner.halvings if self._runner else 0

    def stop(self) -> None:
        self._stopped = True
        if self._scheduler:
            self._scheduler.stop()

    @cached_property
    def pixels(self) -> Pixels:
        return Pixels(self.processor.image_processor, self.dtype)

    def patches(self, image: Image.Image) -> tuple[Tensor, Tensor]:
        return self.pixels.patchify(image, **self.resizing)

    def _size_for(self, need: RequestBounds) -> Capacity:
        """Never smaller than what `ready` expected."""
        need = replace(need, rows=max(need.rows, self._expected.room if self._expected else 0))
        config = Qwen3VLConfig.from_pretrained(self.folder)
        weights = self.parameter_count * self.dtype.itemsize  # on the disk they may have another dtype
        found = size(config, self.device, self.dtype, weights, self.settings.gpu_memory, need)
        halvings = self._runner.reckoned_with if self._runner else 0
        return found.halved(halvings).limited(self._earlier, need.visual)


def _faults(config: Any, device: torch.device) -> Iterator[str]:
    """What this engine cannot do for a checkpoint."""
    text, vision = config.text_config, config.vision_config
    if (kind := text.rope_parameters["rope_type"]) in MOVING_ROPES:
        yield f"its rope_type is {kind}, whose angles would change with the photos beside one"
    if vision.spatial_merge_size**2 != PATCHES:
        yield f"a visual token is {vision.spatial_merge_size**2} patches, wanted {PATCHES}"
    if device.type == "cuda" and text.head_dim & (text.head_dim - 1):
        yield f"its attention heads are {text.head_dim} wide, wanted a power of two"
