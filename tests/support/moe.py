"""A tiny mixture of experts (MoE), saved by transformers itself."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration

EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 48}  # 2 × 48 is not the hidden size, 64


def moe_config(dense: Path, **text: Any) -> Qwen3VLMoeConfig:
    """The configuration of the dense folder, with experts. `text` overrides fields of the language model."""
    config = json.loads((dense / "config.json").read_text(encoding="utf-8"))
    parts = {name: dict(config[name]) for name in ("text_config", "vision_config")}
    for part in parts.values():
        del part["model_type"]
    tokens = {name: value for name, value in config.items() if name.endswith("_token_id")}
    parts["text_config"] |= EXPERTS | text
    return Qwen3VLMoeConfig(**parts, **tokens, tie_word_embeddings=True)


def write_moe(dense: Path, folder: Path, **text: Any) -> Path:
    """The dense folder's processor with random experts, whose answers depend on photo and prompt."""
    shutil.copytree(dense, folder)
    torch.manual_seed(3)
    model = Qwen3VLMoeForConditionalGeneration(moe_config(dense, **text))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                scale = 0.5 if "embed_tokens" in name else 2 / weight.shape[-1] ** 0.5
                weight.copy_(torch.randn(weight.shape) * scale)
    model.generation_config.update(**json.loads((dense / "generation_config.json").read_text(encoding="utf-8")))
    model.to(torch.bfloat16).save_pretrained(folder)
    return folder
