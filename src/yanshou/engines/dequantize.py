"""FP8 weights in the dtype of the run: stored value × scale, in float32, rounded once. As transformers dequantizes.

Loading stores the FP8 values in the dtype of the run, which holds each of them exactly. They are multiplied in place,
one by one, so a checkpoint never needs the memory of two copies.
"""

from collections.abc import Mapping
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from yanshou.engines.checkpoint.fp8 import Block, Scale
from yanshou.engines.checkpoint.reading import reading_weights
from yanshou.engines.weight_names import OF_THE_MODEL, full_name
from yanshou.errors import CheckpointError


@torch.no_grad()
def apply_scales(model: Any, scales: Mapping[str, Scale]) -> None:
    """Multiplies every weight by its scale. Raises CheckpointError for a weight that the model does not have."""
    weights = dict(model.named_parameters())  # an output matrix that is tied to the embeddings is not among them
    for stored, scale in scales.items():
        name = full_name(stored)
        if name not in weights and not name.startswith(OF_THE_MODEL):
            continue  # left out, as in 16 bits
        if name not in weights:
            raise CheckpointError(
                f"{scale.header.file}: {name} is in FP8, and the model of config.json has no such weight of its own. "
                "Copy the checkpoint again."
            )
        weight = weights[name]
        check_numbers(weight, stored, scale)
        weight.copy_(dequantized(weight, read_scale(scale), scale.block))


def dequantized(values: Tensor, scale: Tensor, block: Block | None) -> Tensor:
    """Stored values (rows, columns) × their scales, in float32; values that are in float32 change in place."""
    return values.float().mul_(_per_value(scale, values.shape, block))


def read_scale(scale: Scale) -> Tensor:
    """The scale in float32. Raises CheckpointError where it is not finite, or zero for all values."""
    with reading_weights(scale.header.file), safe_open(scale.header.file, "pt") as file:
        tensor: Tensor = file.get_tensor(scale.name)
    if not tensor.isfinite().all():
        raise CheckpointError(f"{scale.header.file}: {scale.name} holds inf or NaN. Copy the checkpoint again.")
    if not tensor.any():  # one row or block of a weight may be zero, but not all of them
        raise CheckpointError(f"{scale.header.file}: {scale.name} holds only zeros. Copy the checkpoint again.")
    return tensor.float()


def check_numbers(values: Tensor, name: str, scale: Scale) -> None:
    """Raises CheckpointError for stored values with NaN: every answer would be meaningless. `name`: of the weight."""
    if _has_nan(values):
        raise CheckpointError(
            f"{scale.weight.file}: {name} holds NaN. Copy the checkpoint again, or take the one in 16 bits."
        )


def _has_nan(values: Tensor) -> bool:
    if values.dtype == torch.float8_e4m3fn:  # torch compares no floats of 8 bits; NaN are 0x7F and 0xFF
        return bool(values.view(torch.uint8).bitwise_and(0x7F).max() == 0x7F)
    return bool(values.amax().isnan())  # nine times as fast as to look at each


def _per_value(scale: Tensor, shape: torch.Size, block: Block | None) -> Tensor:
    """The scale in a shape that multiplies weights (rows, columns). The last blocks may be narrower."""
    rows, columns = shape
    if block is None:
        return scale.reshape(-1, 1)
    return scale.repeat_interleave(block[0], 0)[:rows].repeat_interleave(block[1], 1)[:, :columns]
