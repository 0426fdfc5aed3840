"""How a checkpoint's weights are quantized, by its config.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yanshou.errors import CheckpointError

UNQUANTIZE = "Take the checkpoint in 16 bits from which it was quantized, or dequantize it and save that."


def quantization(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The quantization settings in a config.json, where transformers and other tools write them. None: not quantized.

    MLX writes `quantization`, compressed-tensors wrote `compression_config`.
    """
    for part in (config, config.get("text_config")):
        for key in ("quantization_config", "compression_config", "quantization"):
            if isinstance(part, Mapping) and part.get(key):
                found = part[key]
                return found if isinstance(found, Mapping) else {"quant_method": str(found)}
    return None


def check_quantization(folder: Path, config: Mapping[str, Any]) -> None:
    """Raises CheckpointError for weights that are quantized in a way that cannot be loaded."""
    settings = quantization(config)
    if settings is not None:
        method = settings.get("quant_method") or f"{settings.get('bits', 'unknown')} bits, no quant_method"
        raise CheckpointError(f"{folder}: its weights are quantized ({method}), which yanshou cannot run. {UNQUANTIZE}")
