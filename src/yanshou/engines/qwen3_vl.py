"""A Qwen3-VL checkpoint on one device: its processor, its weights, and how a request becomes what the model reads.

    prepare (worker threads)   photo → pixels → patches, prompt ids with one image token a visual token

What all engines that run a checkpoint have in common. Weights load when they are first asked for, so a run that has
nothing to do loads nothing.
"""

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from jinja2 import TemplateError
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoProcessor, GenerationConfig, Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.utils import is_flash_attn_2_available, logging

from yanshou.engines import checkpoint
from yanshou.engines.base import Completion, FinishReason, Request
from yanshou.errors import CheckpointError, PhotoError, UsageError
from yanshou.inputs.images import load_photo
from yanshou.schema.prompt import Prompt
from yanshou.settings import EngineSettings
from yanshou.text import excerpt

MAX_ASPECT_RATIO = 200  # length of a photo by its width; the processor refuses narrower ones

# What transformers and safetensors are known to raise for the contents of a folder.
LOADING_ERRORS = (
    *(OSError, ValueError, LookupError, RuntimeError, ImportError, AttributeError, TypeError, ArithmeticError),
    *(SafetensorError, StrictDataclassError),
)


@dataclass(frozen=True, slots=True)
class ModelInput:
    """One request, ready for the model."""

    request: Request
    ids: Tensor  # (tokens,), image tokens included
    pixels: Tensor | None  # (patches, 1536), or whatever the engine makes of a photo
    grid: Tensor | None  # (1, 3): 1, rows, columns of patches
    rotated: bool
    max_new_tokens: int
    prefix_len: int = 0  # tokens before the photo: the same for all photos with this prompt


class Qwen3VLBackend:
    """Any dense Qwen3-VL checkpoint on one device."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.folder = checkpoint.locate(settings.checkpoint)
        checkpoint.check(self.folder)
        self.device = pick_device(settings.device)
        self.dtype = pick_dtype(settings.dtype, self.device)
        self.attention = pick_attention(settings.attn, self.device, self.dtype)
        self._tokenizing = threading.Lock()  # tokenizers are not thread-safe
        self._prompt_ids = lru_cache(maxsize=64)(self._encoded)
        self._line_ids = lru_cache(maxsize=64)(self._encoded_line)
        self._processor_checked = False

    # ---- what it is ----

    def identity(self) -> dict[str, Any]:
        return {"checkpoint": self.fingerprint, "dtype": str(self.dtype).removeprefix("torch.")}

    def environment(self) -> dict[str, Any]:
        packages = {name: version(name) for name in ("torch", "torchvision", "transformers")}
        device = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        return {"checkpoint_folder": str(self.folder), "device": device, **packages}

    @cached_property
    def fingerprint(self) -> str:
        return checkpoint.fingerprint(self.folder)

    # ---- the checkpoint ----

    @property
    def attn_implementation(self) -> str:
        """Attention by the name that transformers knows it by."""
        return self.attention

    @cached_property
    def processor(self) -> Any:
        with _loading(self.folder):
            processor = AutoProcessor.from_pretrained(self.folder)
            config = Qwen3VLConfig.from_pretrained(self.folder)
        for fault in _processor_faults(processor, config):
            raise CheckpointError(f"{self.folder}: {fault}")
        return processor

    @cached_property
    def parameter_count(self) -> int:
        """How many there are, by the weight files' headers."""
        with _loading(self.folder):
            return sum(map(_numbers, self.folder.glob("*.safetensors")))

    @cached_property
    def model(self) -> Any:
        with _loading(self.folder):
            model, report = Qwen3VLForConditionalGeneration.from_pretrained(
                self.folder, dtype=self.dtype, attn_implementation=self.attn_implementation, use_safetensors=True,
                output_loading_info=True,
            )  # fmt: skip
        if missing := sorted(report["missing_keys"]):
            raise CheckpointError(
                f"{self.folder}: {len(missing)} weights are missing, first {missing[0]}. Copy it again."
            )
        stop, tokenizer = model.generation_config.eos_token_id, self.processor.tokenizer
        if not _are_token_ids(stop, len(tokenizer)):
            raise CheckpointError(
                f"{self.folder}/generation_config.json: eos_token_id is {excerpt(stop)}, wanted a token id or a list "
                "of them. Copy the file from the base checkpoint."
            )
        # `generate` fills gaps from the checkpoint's own sampling settings; only the stop tokens may come from there.
        model.generation_config = GenerationConfig(
            eos_token_id=tokenizer.eos_token_id if stop is None else stop, pad_token_id=tokenizer.pad_token_id
        )
        if self.device.type == "cuda" and self.dtype == torch.float32:
            torch.backends.cudnn.allow_tf32 = False  # the patch embedding's convolution would round to 10 bits
        try:
            return model.to(self.device).eval()
        except torch.cuda.OutOfMemoryError as error:  # here, lest `complete` halves the batch and loads it again
            raise CheckpointError(
                f"{self.folder}: its weights do not fit the memory of {self.device}. Free some or give another one."
            ) from error

    # ---- one request (worker threads) ----

    def prepare(self, request: Request) -> ModelInput:
        ids = self.prompt_ids(request.prompt, request.photo is not None)
        if request.photo is None:
            return ModelInput(request, torch.tensor(ids), None, None, False, self.max_new_tokens(request))
        photo = load_photo(request.photo, self.settings.photo.exif)
        try:
            pixels, grid = self.patches(photo.image)
        except ValueError as error:  # the processor's own limit on how narrow a photo may be
            name = request.photo if isinstance(request.photo, Path) else "the picture in memory"
            raise PhotoError(f"{name}: {error}", "leave the photo out or crop it") from error
        expanded = self._with_visual_tokens(ids, grid)
        self._check_against_processor(request, photo.image, expanded)
        prefix_len = expanded.index(self.image_token)
        return ModelInput(
            request, torch.tensor(expanded), pixels, grid, photo.rotated, self.max_new_tokens(request), prefix_len
        )

    def patches(self, image: Image.Image) -> tuple[Tensor, Tensor]:
        """Pixels (patches, 1536) and grid (1, 3) of one photo. Raises ValueError for one that is too narrow."""
        seen = self.processor.image_processor(images=[image], return_tensors="pt", **self.resizing)
        return seen["pixel_values"], seen["image_grid_thw"]

    def max_new_tokens(self, request: Request) -> int:
        """Tokens of its answer at most."""
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
        """Of one photo. Beside the pixel budget: strips are as wide as one token, however long, and a photo that is
        enlarged ends in whole tokens on both sides."""
        images, photo = self.processor.image_processor, self.settings.photo
        side = int(images.patch_size * images.merge_size)
        strip = math.isqrt(MAX_ASPECT_RATIO * photo.max_pixels) // side
        long, short = (
            math.sqrt(photo.min_pixels * MAX_ASPECT_RATIO) / side,
            math.sqrt(photo.min_pixels / MAX_ASPECT_RATIO) / side,
        )
        return max(int(photo.max_pixels // side**2), strip, int((long + 1) * (short + 1)))

    def line_ids(self, line: str) -> list[int]:
        """A first line of an answer with the line break behind it."""
        with self._tokenizing:
            return self._line_ids(line)

    def prompt_ids(self, prompt: Prompt, with_photo: bool) -> tuple[int, ...]:
        """With one image token where the photo goes."""
        with self._tokenizing:
            return self._prompt_ids(prompt, with_photo)

    def _encoded_line(self, line: str) -> list[int]:
        return list(self.processor.tokenizer(f"{line}\n")["input_ids"])

    def _encoded(self, prompt: Prompt, with_photo: bool) -> tuple[int, ...]:
        ids = self.processor.tokenizer(self.render(prompt, with_photo))["input_ids"]
        images = ids.count(self.image_token)
        if images != int(with_photo):
            raise CheckpointError(
                f"{self.folder}: the chat template makes {images} image tokens, wanted {int(with_photo)}. "
                "Is there an image token in the prompt text? Else take chat_template.jinja from the base checkpoint."
            )
        return tuple(ids)

    def render(self, prompt: Prompt, with_photo: bool = True) -> str:
        """The prompt as the processor's own chat template writes it: system, then photo and text, answer to follow."""
        user = [{"type": "image"}] * with_photo + [{"type": "text", "text": prompt.user}]
        messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": user}]
        try:
            text: str = self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except (TemplateError, ArithmeticError, RecursionError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{self.folder}: its chat template cannot write system, photo and text ({error}). "
                "Take chat_template.jinja from the base checkpoint."
            ) from error
        return text

    def _with_visual_tokens(self, ids: tuple[int, ...], grid: Tensor) -> list[int]:
        """The one image token repeated once a visual token."""
        token = self.image_token
        at, count = ids.index(token), int(grid.prod()) // self.processor.image_processor.merge_size**2
        return [*ids[:at], *[token] * count, *ids[at + 1 :]]

    def _check_against_processor(self, request: Request, image: Any, expanded: list[int]) -> None:
        """Once a run: the ids made here are those that the processor makes of text and photo together."""
        with self._tokenizing:
            if self._processor_checked:
                return
            text = self.render(request.prompt)
            whole = self.processor(text=[text], images=[image], images_kwargs=self.resizing)
            if list(whole["input_ids"][0]) != expanded:
                raise CheckpointError(
                    f"{self.folder}: its processor writes {len(whole['input_ids'][0])} prompt tokens for a photo that "
                    f"has {len(expanded)} by its grid. The processor's files and this transformers version disagree."
                )
            self._processor_checked = True

    # ---- one answer ----

    @cached_property
    def stop_tokens(self) -> list[int]:
        """Any of them ends an answer."""
        stop = self.model.generation_config.eos_token_id
        return stop if isinstance(stop, list) else [stop]

    def completion(
        self, prepared: ModelInput, tokens: Sequence[int], ended: FinishReason, logprobs: tuple[float, ...]
    ) -> Completion:
        """An answer from its tokens, the stop token included."""
        tokenizer = self.processor.tokenizer
        with self._tokenizing:
            text = tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return Completion(prepared.request.id, text, ended, len(tokens), prepared.rotated, logprobs)


def _processor_faults(processor: Any, config: Any) -> Iterator[str]:
    """What the processor lacks, and where it disagrees with the model: patches cut otherwise show another photo."""
    images, vision = processor.image_processor, config.vision_config
    pairs = {
        "patch_size": (images.patch_size, vision.patch_size),
        "temporal_patch_size": (images.temporal_patch_size, vision.temporal_patch_size),
        "merge_size": (images.merge_size, vision.spatial_merge_size),
        "the image token": (processor.image_token_id, config.image_token_id),
    }
    for name, (written, wanted) in pairs.items():
        if written != wanted:
            yield f"{name} is {written} by its processor, {wanted} by config.json. Copy both from the base checkpoint."
    if not processor.chat_template:
        yield "no chat template. Copy chat_template.jinja from the base checkpoint."
    if processor.tokenizer.pad_token_id is None:
        yield "the tokenizer has no padding token: set pad_token in tokenizer_config.json."


def _are_token_ids(stop: object, vocabulary: int) -> bool:
    """Whether these can be stop tokens; None leaves them to the tokenizer."""
    ids = stop if isinstance(stop, list) else [stop]
    return stop is None or all(isinstance(token, int) and 0 <= token < vocabulary for token in ids)


def _numbers(path: Path) -> int:
    with safe_open(path, "pt") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - no mapping


def pick_device(name: str) -> torch.device:
    """auto, cpu, cuda or cuda:N. Raises UsageError naming the devices that are there."""
    there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if name == "auto":
        return torch.device(there[1] if len(there) > 1 else "cpu")
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in there:
        raise UsageError(f"device {name} is not here. There is: {', '.join(there)}.")
    return torch.device(wanted)


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """auto: bfloat16 on CUDA, float32 on the CPU."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def pick_attention(name: str, device: torch.device, dtype: torch.dtype) -> str:
    """auto: FlashAttention 2 where it is installed and can run, else SDPA."""
    possible = device.type == "cuda" and dtype != torch.float32 and is_flash_attn_2_available()
    if name == "auto":
        return "flash_attention_2" if possible else "sdpa"
    if name == "flash_attention_2" and not possible:
        raise UsageError("--attn flash_attention_2 wants CUDA, 16-bit weights and the package flash-attn. Use sdpa.")
    return name


@contextmanager
def _loading(folder: Path) -> Iterator[None]:
    """Without transformers' own bars; what it and safetensors raise for a folder that they can't load, as one error."""
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    except LOADING_ERRORS as error:
        reason = " ".join(str(error).split())[:400]
        raise CheckpointError(f"{folder}: does not load: {reason} `yanshou doctor` says more.") from error
    finally:
        if bars:
            logging.enable_progress_bar()
