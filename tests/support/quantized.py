"""FP8 folders made from 16-bit ones by plain arithmetic: transformers quantizes on a GPU only."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from support.checkpoints import WEIGHTS
from yanshou.engines.checkpoint import weight_files

Quantize = Callable[[Tensor], tuple[Tensor, Tensor]]  # weight → FP8 values, scales

LARGEST = 448.0  # of float8_e4m3fn
BLOCK = 128
FINE_GRAINED = {
    "quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [BLOCK, BLOCK],
    "modules_to_not_convert": ["lm_head", "model.visual"],
}  # fmt: skip


def compressed_tensors(strategy: str = "channel", layout: str = "float-quantized", **weights: Any) -> dict[str, Any]:
    """quantization_config as llm-compressor writes it."""
    how = {"num_bits": 8, "type": "float", "symmetric": True, "strategy": strategy, "dynamic": False} | weights
    group = {"targets": ["Linear"], "weights": how, "input_activations": {"num_bits": 8, "dynamic": True}}
    return {
        "quant_method": "compressed-tensors", "format": layout, "quantization_status": "compressed",
        "config_groups": {"group_0": group}, "ignore": ["lm_head", "re:.*visual.*"], "kv_cache_scheme": None,
        "sparsity_config": {}, "transform_config": {},
    }  # fmt: skip


def by_block(weight: Tensor) -> tuple[Tensor, Tensor]:
    """One scale per block of 128 × 128; the last blocks may be narrower."""
    rows, columns = weight.shape
    padded = torch.nn.functional.pad(weight.float(), (0, -columns % BLOCK, 0, -rows % BLOCK))
    blocks = padded.view(padded.shape[0] // BLOCK, BLOCK, padded.shape[1] // BLOCK, BLOCK)
    scale = blocks.abs().amax((1, 3)).clamp(min=1e-12) / LARGEST
    values = (blocks / scale[:, None, :, None]).view_as(padded)[:rows, :columns]
    return values.to(torch.float8_e4m3fn), scale.bfloat16()


def by_channel(weight: Tensor) -> tuple[Tensor, Tensor]:
    """One scale per output channel, (rows, 1)."""
    scale = weight.float().abs().amax(1, keepdim=True).clamp(min=1e-12) / LARGEST
    return (weight.float() / scale).to(torch.float8_e4m3fn), scale.bfloat16()


def by_tensor(weight: Tensor) -> tuple[Tensor, Tensor]:
    """One scale, (1,)."""
    scale = weight.float().abs().max().reshape(1) / LARGEST
    return (weight.float() / scale).to(torch.float8_e4m3fn), scale


def write_fp8(source: Path, folder: Path, config: dict[str, Any], quantize: Quantize, suffix: str) -> Path:
    """A copy of the source with the linear layers of its language model in FP8, in one weight file."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("model*.safetensors*"))
    weights: dict[str, Tensor] = {}
    for name, weight in (pair for file in weight_files(source) for pair in load_file(file).items()):
        if ".layers." in name and name.endswith("proj.weight"):
            weights[name], weights[name + suffix] = quantize(weight)
        else:
            weights[name] = weight
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(settings | {"quantization_config": config}), encoding="utf-8")
    return folder


def write_fine_grained(source: Path, folder: Path) -> Path:
    """As Qwen publishes it."""
    return write_fp8(source, folder, FINE_GRAINED, by_block, "_scale_inv")


def write_per_channel(source: Path, folder: Path) -> Path:
    """As llm-compressor writes FP8_DYNAMIC."""
    return write_fp8(source, folder, compressed_tensors(), by_channel, "_scale")


def with_byte(folder: Path, weight: str, byte: int) -> Path:
    """The folder, one stored value of an FP8 weight replaced."""
    weights = load_file(folder / WEIGHTS)
    weights[weight].view(torch.uint8)[3, 4] = byte
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    return folder
