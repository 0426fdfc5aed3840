"""Whether a checkpoint can run in FP8 here, and how much memory that saves. Loads no weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from yanshou.engines import device as devices
from yanshou.engines.checkpoint import is_moe
from yanshou.engines.continuous.fp8.layers import fp8_layers
from yanshou.engines.loading import load_config
from yanshou.engines.weight_names import empty_model
from yanshou.errors import CheckpointError, UsageError

WIDTH_MULTIPLE = 16  # of both sides of a weight: the GPU's product takes no others
SCALE_BYTES = 4  # of an output channel's scale


@dataclass(frozen=True, slots=True)
class Fp8Plan:
    """A run with --quantize fp8."""

    dtype: torch.dtype  # of what stays in 16 bits

    @classmethod
    def of(cls, folder: Path, device: torch.device, dtype: torch.dtype) -> "Fp8Plan":
        """The plan for a folder of whole weights. Raises UsageError and CheckpointError where it cannot run in FP8."""
        if fault := checkpoint_fault(folder):
            raise CheckpointError(fault)
        check_fp8("--quantize fp8", device, dtype)
        return cls(dtype)

    @property
    def recorded(self) -> dict[str, Any]:
        """What run.json records: an answer depends on it."""
        return {"weights": "fp8", "decode": "fp8"}

    def saved_bytes(self, config: Any) -> int:
        """Bytes by which the weights are smaller than in 16 bits."""
        model, saved = empty_model(config), 0
        for name in fp8_layers(model):
            outputs, inputs = model.get_submodule(name).weight.shape
            saved += outputs * (inputs * (self.dtype.itemsize - 1) - SCALE_BYTES)
        return saved


def checkpoint_fault(folder: Path) -> str:
    """Why whole weights run in FP8 on no GPU, with the cure; "" where they do. Raises CheckpointError."""
    if is_moe(folder):
        fault = "a mixture of experts (MoE), which does not run in FP8"
    else:
        fault = next(_width_faults(load_config(folder)), "")
    return f"{folder}: {fault}. Leave --quantize out." if fault else ""


def check_fp8(option: str, device: torch.device, dtype: torch.dtype) -> None:
    """Raises UsageError where this option, with its value fp8, cannot be had."""
    if reason := devices.lacks_fp8(device):
        needed = ".".join(map(str, devices.FP8_CAPABILITY))
        cure = " Leave it out." if device.type == "cpu" else " Leave it out, or choose another GPU."
        raise UsageError(f"{option} needs a GPU of compute capability {needed} or later, and {reason}.{cure}")
    if dtype != torch.bfloat16:
        name = str(dtype).removeprefix("torch.")
        raise UsageError(f"{option} needs bfloat16 beside it, and --dtype is {name}. Give --dtype bfloat16.")


def _width_faults(config: Any) -> Iterator[str]:
    model = empty_model(config)
    for name in fp8_layers(model):
        shape = model.get_submodule(name).weight.shape
        if any(width % WIDTH_MULTIPLE for width in shape):
            yield (
                f"{name} is {shape[0]} × {shape[1]}, and a product in FP8 needs multiples of {WIDTH_MULTIPLE} on both "
                "sides"
            )
