"""LoRA adapters as peft saves them, with random weights that change every answer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

LANGUAGE = r".*language_model.*(q|k|v|o|gate|up|down)_proj"
EVERYTHING = rf"{LANGUAGE}|.*visual.*(qkv|linear_fc1|linear_fc2|proj)"
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

Tensors = dict[str, torch.Tensor]


def write_adapter(base: Path, folder: Path, seed: int = 5, **lora: Any) -> Path:
    """An adapter on `base`, saved by peft. `lora`: settings of LoraConfig other than rank 4 on the language model."""
    model = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    settings = {"r": 4, "lora_alpha": 16, "target_modules": LANGUAGE, "init_lora_weights": False} | lora
    wrapped = get_peft_model(model, LoraConfig(**settings))
    generator = torch.Generator().manual_seed(seed)
    for name, weight in wrapped.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            weight.data = torch.randn(weight.shape, generator=generator) * 0.2
    wrapped.save_pretrained(folder)
    return folder


def write_merged(base: Path, adapter: Path, folder: Path, dtype: torch.dtype = torch.float32) -> Path:
    """The base with the adapter merged by peft itself, saved as a folder of whole weights."""
    from peft import PeftModel
    from transformers import AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(base, dtype=dtype)
    PeftModel.from_pretrained(model, adapter).merge_and_unload().save_pretrained(folder)
    AutoProcessor.from_pretrained(base).save_pretrained(folder)
    return folder


def edit_weights(folder: Path, change: Callable[[Tensors], Tensors]) -> Path:
    """The adapter with other tensors."""
    weights = change(load_file(folder / WEIGHTS))
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / WEIGHTS)
    return folder


def edit_config(folder: Path, **settings: Any) -> Path:
    """The adapter with other settings."""
    path = folder / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | settings), encoding="utf-8")
    return folder
