"""A Qwen3-VL checkpoint on one device: its processor, its weights, and how a request becomes the model's input.

    prepare (threads)   photo → pixels → patches; prompt → token ids, one image token per visual token

The base class of the engines that run a checkpoint. Processor and weights load on first use, so a run without open
groups loads nothing.
"""

import logging
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import GenerationConfig

from yanshou.engines import chat, checkpoint
from yanshou.engines.base import Completion, FinishReason, Request
from yanshou.engines.device import is_out_of_memory, pick_attention, pick_device, pick_dtype
from yanshou.engines.loading import load_config, load_model, load_processor, load_stop_tokens
from yanshou.engines.tokenizer import PromptTokenizer
from yanshou.errors import CheckpointError, GenerationError, PhotoError
from yanshou.inputs.images import decoded_photo
from yanshou.schema.prompt import Prompt
from yanshou.settings import EngineSettings
from yanshou.text import excerpt

logger = logging.getLogger(__name__)

MAX_ASPECT_RATIO = 200  # long side ÷ short side of a photo; the processor refuses narrower ones


@dataclass(frozen=True, slots=True)
class ModelInput:
    """One request, ready for the model."""

    request: Request
    ids: Tensor  # (tokens,) of the prompt, one image token per visual token
    pixels: Tensor | None  # (patches, 1536), unless the engine overrides `patches`
    grid: Tensor | None  # (1, 3): 1, rows and columns of patches
    rotated: bool
    max_new_tokens: int
    prefix_len: int = 0  # tokens before the first image token: the same for all photos with this prompt


class Qwen3VLBackend:
    """Processor, weights and input preparation of any Qwen3-VL checkpoint, on one device."""

    worker_deaths = 0  # it has no workers

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.source = checkpoint.find(settings.weights, settings.base_checkpoint)
        self.source.check()
        self.folder = self.source.weights
        self._stamp = self.source.stamp()
        self.device = pick_device(settings.device)
        self.dtype = pick_dtype(settings.dtype, self.device)
        self.attention = pick_attention(settings.attn, self.device, self.dtype)
        self.tokenizer = PromptTokenizer(lambda: self.processor)
        self._warnings: list[str] = []
        self._processor_checked, self._checking = False, threading.Lock()

    # ---- what run.json records ----

    def identity(self) -> dict[str, Any]:
        return {**self.fingerprints, "dtype": str(self.dtype).removeprefix("torch.")}

    def environment(self) -> dict[str, Any]:
        packages = {name: version(name) for name in ("torch", "torchvision", "transformers")}
        device = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        folders = {"checkpoint_folder": str(self.folder)}
        if self.source.adapter:
            folders["adapter_folder"], packages["peft"] = str(self.source.adapter), version("peft")
        return {**folders, "device": device, **packages}

    def take_warnings(self) -> list[str]:
        warnings, self._warnings = self._warnings, []
        return warnings

    def _warn_of_unused_memory_share(self) -> None:
        """--gpu-memory is refused where another option rules it out; here the choice was the machine's."""
        self._warnings.append(
            f"--gpu-memory {self.settings.gpu_memory:g} has no effect: it is for the continuous engine on a GPU"
        )

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """`checkpoint`: of the whole weights. `adapter`: where there is one."""
        with _timed("fingerprint of %s", self.source):
            return self.source.fingerprints()

    # ---- the checkpoint ----

    @property
    def smaller_weights(self) -> str:
        """The end of the advice for weights that do not fit; "" where there is none."""
        return ""

    @property
    def attn_implementation(self) -> str:
        """The name under which transformers knows the attention function."""
        return self.attention

    @cached_property
    def processor(self) -> Any:
        processor = load_processor(self.source.processor)
        if fault := next(_processor_faults(processor, load_config(self.folder)), None):
            raise CheckpointError(f"{self.source.processor}: {fault}")
        return processor

    @cached_property
    def parameter_count(self) -> int:
        """The number of weights, read from the headers of the weight files."""
        tensors = checkpoint.read_headers(checkpoint.weight_files(self.folder))
        return sum(math.prod(tensor.shape) for tensor in tensors.values())

    @cached_property
    def model(self) -> Any:
        with _timed("%s loaded: %s, %s, %s attention", self.source, self.device, self.dtype, self.attn_implementation):
            return self._load()

    def _load(self) -> Any:
        if self.device.type == "cuda" and self.dtype == torch.float32:
            torch.backends.cudnn.allow_tf32 = False  # otherwise the patch embedding's convolution rounds to 10 bits
        try:
            with self.memory_of_weights():
                model = self.load_weights().eval()
        except (RuntimeError, AssertionError, LookupError):  # of tensors that are not those of the headers
            self._check_unchanged()
            raise
        self._check_unchanged()
        model.generation_config = self._generation_config(model.generation_config.eos_token_id)
        return model

    @contextmanager
    def memory_of_weights(self) -> Iterator[None]:
        """Raises CheckpointError where memory runs out. `complete` would otherwise retry with half the batch."""
        try:
            yield
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise CheckpointError(
                f"{self.folder}: the weights do not fit the memory of {self.device}. Free memory there, or choose "
                f"another --device{self.smaller_weights}."
            ) from error

    def _check_unchanged(self) -> None:
        """Raises CheckpointError where the files are no longer those of the start."""
        for now, then in zip_longest(self.source.stamp(), self._stamp):
            if now != then:
                raise CheckpointError(
                    f"{(now or then)[0]} changed while it was being read. Wait until the checkpoint is complete, and "
                    "run the same command again."
                )

    def load_weights(self) -> Any:
        """The model with its weights, on the device. Raises CheckpointError."""
        return load_model(self.source, self.dtype, self.attn_implementation).to(self.device)

    def check_stop_tokens(self) -> None:
        """Raises CheckpointError where generation_config.json names no usable stop tokens. Loads no weights."""
        self._generation_config(load_stop_tokens(self.folder))

    def _generation_config(self, stop: object) -> GenerationConfig:
        """Only the checkpoint's stop tokens; `generate` would take missing settings from the checkpoint's config."""
        tokenizer = self.processor.tokenizer
        if not _are_token_ids(stop, len(tokenizer)):
            raise CheckpointError(
                f"{self.folder}/generation_config.json: eos_token_id is {excerpt(stop)}, expected a token id or a list "
                "of token ids. Copy the file from the base checkpoint."
            )
        eos_token_id = tokenizer.eos_token_id if stop is None else stop
        return GenerationConfig(eos_token_id=eos_token_id, pad_token_id=tokenizer.pad_token_id)

    # ---- one request (threads) ----

    def prepare(self, request: Request) -> ModelInput:
        ids = self.tokenizer.prompt_ids(request.prompt, request.photo is not None)
        if request.photo is None:
            self._check_context(len(ids))
            return ModelInput(request, torch.tensor(ids), None, None, False, self.max_new_tokens(request))
        with decoded_photo(request.photo, self.settings.photo.exif) as photo:
            try:
                pixels, grid = self.patches(photo.image)
            except ValueError as error:  # the photo is narrower than the processor allows
                name = request.photo if isinstance(request.photo, Path) else "the picture in memory"
                raise PhotoError(f"{name}: {error}", "leave the photo out or crop it") from error
            visual_tokens = int(grid.prod()) // self.processor.image_processor.merge_size**2
            expanded, prefix_len = chat.expand_image_token(ids, self.image_token, visual_tokens)
            self._check_against_processor(request, photo.image, expanded)
        return ModelInput(
            request, torch.tensor(expanded), pixels, grid, photo.rotated, self.max_new_tokens(request), prefix_len
        )

    @cached_property
    def context(self) -> int:
        """The most tokens that prompt and answer may have without photos, by config.json."""
        text = load_config(self.folder).text_config
        rope = text.rope_parameters
        stretched = rope.get("factor", 1) * rope.get("original_max_position_embeddings", 0)  # YaRN, for example
        return max(int(text.max_position_embeddings), int(stretched))

    def _check_context(self, tokens: int) -> None:
        """Raises GenerationError where prompt and answer are longer than what the checkpoint was made for."""
        limit = self.settings.sampling.max_new_tokens
        if tokens + limit > self.context:
            lower = "lower --max-new-tokens" if tokens < self.context else "split the group, or leave some photos out"
            raise GenerationError(
                f"its prompt has {tokens:,} tokens; with --max-new-tokens {limit} that is more than the context of the "
                f"checkpoint, {self.context:,} tokens (max_position_embeddings)",
                f"{lower}, or take a checkpoint with a longer context",
            )

    def patches(self, image: Image.Image) -> tuple[Tensor, Tensor]:
        """Pixels (patches, 1536) and grid (1, 3) of a photo. Raises ValueError for a photo that is too narrow."""
        seen = self.processor.image_processor(images=[image], return_tensors="pt", **self.resizing)
        return seen["pixel_values"], seen["image_grid_thw"]

    def max_new_tokens(self, request: Request) -> int:
        """The token limit of the request's answer, the stop token included."""
        return self.settings.sampling.max_new_tokens

    @property
    def resizing(self) -> dict[str, Any]:
        photo = self.settings.photo
        return {"do_resize": True, "size": {"shortest_edge": photo.min_pixels, "longest_edge": photo.max_pixels}}

    @property
    def image_token(self) -> int:
        return int(self.processor.image_token_id)

    @property
    def max_visual_tokens(self) -> int:
        """The largest number of visual tokens of one photo.

        Two kinds of photos exceed the pixel budget: a strip is never narrower than one visual token, and an enlarged
        photo is rounded up to whole visual tokens on both sides.
        """
        images, photo = self.processor.image_processor, self.settings.photo
        side = int(images.patch_size * images.merge_size)
        strip = math.isqrt(MAX_ASPECT_RATIO * photo.max_pixels) // side
        long, short = (
            math.sqrt(photo.min_pixels * MAX_ASPECT_RATIO) / side,
            math.sqrt(photo.min_pixels / MAX_ASPECT_RATIO) / side,
        )
        return max(int(photo.max_pixels // side**2), strip, int((long + 1) * (short + 1)))

    def render(self, prompt: Prompt, with_photo: bool = True) -> str:
        """The prompt's text as the model reads it, its image token not repeated."""
        return chat.render(self.processor, prompt, with_photo)

    def _check_against_processor(self, request: Request, image: Any, expanded: list[int]) -> None:
        """Once per engine: the processor must make the same token ids of the text and the photo together."""
        with self._checking:
            if self._processor_checked:
                return
            found = self.tokenizer.ids_with_photo(request.prompt, image, **self.resizing)
            if found != expanded:
                raise CheckpointError(
                    f"{self.folder}: its processor makes {len(found)} prompt tokens, expected "
                    f"{len(expanded)} by the photo's grid. The processor's files do not suit this transformers version."
                )
            self._processor_checked = True

    # ---- one answer ----

    @cached_property
    def stop_tokens(self) -> list[int]:
        """The tokens that end an answer."""
        stop = self.model.generation_config.eos_token_id
        return stop if isinstance(stop, list) else [stop]

    def completion(
        self, prepared: ModelInput, tokens: Sequence[int], ended: FinishReason, logprobs: tuple[float, ...]
    ) -> Completion:
        """The completion for an answer's tokens, the stop token included."""
        text = self.tokenizer.answer_text(tokens, with_photo=prepared.request.photo is not None)
        return Completion(prepared.request.id, text, ended, len(tokens), prepared.rotated, logprobs)


def _processor_faults(processor: Any, config: Any) -> Iterator[str]:
    """What the processor lacks, and where it disagrees with the model, which would then see scrambled patches."""
    images, vision = processor.image_processor, config.vision_config
    pairs = {
        "patch_size": (images.patch_size, vision.patch_size),
        "temporal_patch_size": (images.temporal_patch_size, vision.temporal_patch_size),
        "merge_size": (images.merge_size, vision.spatial_merge_size),
        "the image token": (processor.image_token_id, config.image_token_id),
    }
    for name, (found, expected) in pairs.items():
        if found != expected:
            yield f"{name} is {found} for the processor, {expected} in config.json. Copy both from the base checkpoint."
    if not processor.chat_template:
        yield "no chat template. Copy chat_template.jinja from the base checkpoint."
    if processor.tokenizer.pad_token_id is None:
        yield "the tokenizer has no padding token. Set pad_token in tokenizer_config.json."


def _are_token_ids(stop: object, vocabulary: int) -> bool:
    """Whether `stop` is one token id or a list of them, or None, which means the tokenizer's."""
    ids = stop if isinstance(stop, list) else [stop]
    return stop is None or all(isinstance(token, int) and 0 <= token < vocabulary for token in ids)


@contextmanager
def _timed(message: str, *values: object) -> Iterator[None]:
    """Logs the message and the seconds that the block took."""
    started = time.monotonic()
    yield
    logger.info(f"{message} in %.1f s", *values, time.monotonic() - started)
