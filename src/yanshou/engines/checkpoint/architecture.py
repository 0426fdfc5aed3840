"""Which kind of Qwen3-VL a checkpoint is: dense, or a mixture of experts (MoE)."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from yanshou.engines.checkpoint.quantization import UNQUANTIZE, quantization
from yanshou.engines.checkpoint.reading import read_json
from yanshou.errors import CheckpointError

DENSE, MOE = "qwen3_vl", "qwen3_vl_moe"  # model_type in config.json
ONE_EXPERT = re.compile(r"\.experts\.\d+\.")  # in the name of a weight; Qwen3-VL has all experts of a layer in one


def is_moe(folder: Path) -> bool:
    """Whether config.json names a mixture of experts. A file that cannot be read names none: `faults` reports it."""
    try:
        return read_json(folder / "config.json").get("model_type") == MOE
    except CheckpointError:
        return False


def check_architecture(folder: Path, config: Mapping[str, Any]) -> None:
    """Raises CheckpointError for a config.json of another model, and for experts that cannot be loaded rightly."""
    path, kind = folder / "config.json", config.get("model_type")
    if kind not in (DENSE, MOE):
        raise CheckpointError(
            f"{path}: model_type is {kind!r}, expected {DENSE!r} or {MOE!r}: this is not a Qwen3-VL checkpoint."
        )
    if kind == MOE:
        _check_sizes(path, config.get("text_config"))
        if quantization(config):
            raise CheckpointError(f"{folder}: a mixture of experts with quantized weights cannot be run. {UNQUANTIZE}")


def check_expert_names(folder: Path, names: Iterable[str]) -> None:
    """Raises CheckpointError for weights that were saved expert by expert, as Megatron does."""
    if found := next(filter(ONE_EXPERT.search, names), None):
        raise CheckpointError(
            f"{folder}: {found} holds one expert alone; Qwen3-VL has all experts of a layer in one weight "
            "(mlp.experts.gate_up_proj). Save the checkpoint again with transformers."
        )


def _check_sizes(path: Path, text: Any) -> None:
    """Qwen publishes experts transposed, transformers may save them straight. Loading tells by the shape."""
    text = text if isinstance(text, Mapping) else {}
    hidden, inner = text.get("hidden_size"), text.get("moe_intermediate_size")
    for name, size in (("gate_up_proj", inner * 2 if isinstance(inner, int) else None), ("down_proj", inner)):
        if size is not None and size == hidden:
            raise CheckpointError(
                f"{path}: the experts' {name} is square ({hidden} × {size}), so loading cannot tell whether it is "
                "stored transposed. No published checkpoint is like that; take one with other sizes."
            )
