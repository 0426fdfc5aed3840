"""Whether a checkpoint can run in FP8 here, in which forms, and how much memory that saves. Loads no weights."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from yanshou.engines import device as devices
from yanshou.engines.checkpoint import is_moe
from yanshou.engines.continuous.fp8.forms import DecodeForms, decode_forms
from yanshou.engines.continuous.fp8.layers import fp8_layers
from yanshou.engines.loading import load_config
from yanshou.engines.weight_names import empty_model
from yanshou.errors import CheckpointError, UsageError

WIDTH_MULTIPLE = 16  # of both sides of a weight: the GPU's product takes no others
SCALE_BYTES = 4  # of an output channel's scale


@dataclass(frozen=True, slots=True)
class Fp8Plan:
    """A run with --quantize fp8."""

    forms: DecodeForms
    dtype: torch.dtype  # of what stays in 16 bits

    @classmethod
    def of(cls, folder: Path, device: torch.device, dtype: torch.dtype, all_fp8: bool = False) -> "Fp8Plan":
        """The plan for a folder of whole weights. Raises UsageError and CheckpointError where it cannot run in FP8."""
        _check(folder, device, dtype)
        config = load_config(folder)
        for fault in _width_faults(config):
            raise CheckpointError(f"{folder}: {fault}. Leave --quantize out.")
        return cls(decode_forms(config.text_config, all_fp8), dtype)

    @property
    def recorded(self) -> dict[str, Any]:
        """What run.json records: an answer depends on it."""
        return {"weights": "fp8", "decode": dict(self.forms)}

    def saved_bytes(self, config: Any) -> int:
        """Bytes by which the weights are smaller than in 16 bits."""
        model, saved = empty_model(config), 0
        for name, keep_weight in fp8_layers(model, self.forms):
            outputs, inputs = model.get_submodule(name).weight.shape
            kept = self.dtype.itemsize if keep_weight else 0
            saved += outputs * (inputs * (self.dtype.itemsize - kept - 1) - SCALE_BYTES)
        return saved


def _check(folder: Path, device: torch.device, dtype: torch.dtype) -> None:
    if is_moe(folder):
        raise CheckpointError(f"{folder}: a mixture of experts (MoE), which does not run in FP8. Leave --quantize out.")
    if reason := devices.lacks_fp8(device):
        needed = ".".join(map(str, devices.FP8_CAPABILITY))
        cure = " Leave it out." if device.type == "cpu" else " Leave it out, or choose another GPU with --device."
        raise UsageError(f"--quantize fp8 needs a GPU of compute capability {needed} or later, and {reason}.{cure}")
    if dtype != torch.bfloat16:
        name = str(dtype).removeprefix("torch.")
        raise UsageError(f"--quantize fp8 needs bfloat16 beside it, and --dtype is {name}. Give --dtype bfloat16.")


def _width_faults(config: Any) -> Iterator[str]:
    model = empty_model(config)
    for name, _ in fp8_layers(model, decode_forms(config.text_config)):
        shape = model.get_submodule(name).weight.shape
        if any(width % WIDTH_MULTIPLE for width in shape):
            yield (
                f"{name} is {shape[0]} × {shape[1]}, and a product in FP8 needs multiples of {WIDTH_MULTIPLE} on both "
                "sides"
            )
