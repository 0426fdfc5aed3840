"""How a checkpoint's weights are quantized, by its config.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yanshou.engines.checkpoint.fp8 import Scale, fp8_block, match_scales
from yanshou.engines.checkpoint.reading import read_json
from yanshou.engines.checkpoint.weight_files import read_headers, weight_files
from yanshou.errors import CheckpointError

QUANTIZATION_KEYS = ("quantization_config", "compression_config", "quantization")  # of a config.json
UNQUANTIZE = "Take the checkpoint in 16 bits from which it was quantized, or dequantize it and save that."


def quantization(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The quantization settings in a config.json, where transformers and other tools write them. None: not quantized.

    MLX writes `quantization`, compressed-tensors wrote `compression_config`.
    """
    for part in (config, config.get("text_config")):
        for key in QUANTIZATION_KEYS:
            if isinstance(part, Mapping) and part.get(key):
                found = part[key]
                return found if isinstance(found, Mapping) else {"quant_method": str(found)}
    return None


def check_quantization(folder: Path, config: Mapping[str, Any]) -> None:
    """Raises CheckpointError for weights that are quantized in a way that cannot be loaded."""
    settings = quantization(config)
    try:
        if settings is not None:
            fp8_block(settings)
    except ValueError as error:
        raise CheckpointError(
            f"{folder}: its weights are quantized ({error}), which yanshou cannot run. {UNQUANTIZE}"
        ) from error


def fp8_scales(folder: Path) -> dict[str, Scale]:
    """The scale of every FP8 weight of the folder, by the weight's name. Raises CheckpointError."""
    config = read_json(folder / "config.json")
    check_quantization(folder, config)
    return match_scales(quantization(config), read_headers(weight_files(folder)))
