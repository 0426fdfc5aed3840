"""A complete Qwen3-VL folder that answers in milliseconds, and ways to damage a copy of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from yanshou.settings import EngineSettings, PhotoSettings, SamplingSettings
from yanshou.world.model import corpus, write_untrained

VISION = {
    "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "num_position_embeddings": 64,
    "deepstack_visual_indexes": [0],
}  # fmt: skip
TEXT = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 32,
    "rope_parameters": {
        "rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [6, 5, 5], "mrope_interleaved": True,
    },
}  # fmt: skip
WEIGHTS = "model.safetensors"
EMBEDDING = "model.language_model.embed_tokens.weight"  # (vocabulary, 64); also the head

PHOTO = {"min_pixels": 4_096, "max_pixels": 32_768}  # 4 to 32 visual tokens a photo
MAX_NEW_TOKENS = 24

# The ends of the chat templates of a Thinking checkpoint, and of one that can switch its reasoning off.
THINKING = "<|im_start|>assistant\n<think>\n"
HYBRID = (
    "<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% else %}<think>\n{% endif %}"
)

Spoil = Callable[[Path], None]


def write_tiny(folder: Path, vision: dict[str, Any] | None = None, **text: Any) -> Path:
    """A folder whose answers depend on photo and prompt, have a clear first choice at every step, and sometimes end.

    `vision` and `text` override fields of the two configurations.
    """
    write_untrained(folder, corpus(photos=80), vision=VISION | (vision or {}), **(TEXT | text))
    tokens = len(json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])
    weights, generator = load_file(folder / WEIGHTS), torch.Generator().manual_seed(1)
    for name, weight in weights.items():
        if weight.ndim > 1:  # norms and biases stay
            scale = 0.5 if name == EMBEDDING else 2 / weight[0].numel() ** 0.5
            weights[name] = (torch.randn(weight.shape, generator=generator) * scale).to(weight.dtype)
    weights[EMBEDDING][tokens:] = 0  # rows without a token
    weights[EMBEDDING][:14] *= 0.3  # the special tokens are rare in answers …
    weights[EMBEDDING][2] *= 7  # … but for the stop token
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def biased(folder: Path) -> Path:
    """The folder with random biases instead of zeros."""
    weights, generator = load_file(folder / WEIGHTS), torch.Generator().manual_seed(2)
    for name, weight in weights.items():
        if name.endswith("bias"):
            weights[name] = torch.randn(weight.shape, generator=generator).to(weight.dtype)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


def settings(folder: Path, batch_size: int = 8, photo: dict[str, Any] | None = None, **sampling: Any) -> EngineSettings:
    """Settings of a run on the CPU with small photos and short answers."""
    return EngineSettings(
        checkpoint=str(folder), device="cpu", batch_size=batch_size,
        photo=PhotoSettings(**(PHOTO | (photo or {}))),
        sampling=SamplingSettings(**({"max_new_tokens": MAX_NEW_TOKENS} | sampling)),
    )  # fmt: skip


def spoilt(source: Path, folder: Path, *spoils: Spoil) -> Path:
    """A copy of the source, damaged by `spoils`."""
    shutil.copytree(source, folder)
    for spoil in spoils:
        spoil(folder)
    return folder


def edited(name: str, **fields: Any) -> Spoil:
    """Sets fields of a JSON file; `a__b` is the field b of the object a."""

    def spoil(folder: Path) -> None:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        for path, value in fields.items():
            *parents, field = path.split("__")
            target = content
            for parent in parents:
                target = target[parent]
            target[field] = value
        (folder / name).write_text(json.dumps(content), encoding="utf-8")

    return spoil


def written(name: str, content: str | bytes) -> Spoil:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data) and None


def prompt_end(beginning: str) -> Spoil:
    """Lets the chat template end with this: the beginning of the answer."""

    def spoil(folder: Path) -> None:
        path = folder / "chat_template.jinja"
        template, found, _ = path.read_text(encoding="utf-8").rpartition("<|im_start|>assistant\n")
        assert found
        path.write_text(f"{template}{beginning}{{% endif %}}", encoding="utf-8")

    return spoil


def without(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def without_tensor(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        del weights[name]
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})

    return spoil


def cut_in_half(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])
