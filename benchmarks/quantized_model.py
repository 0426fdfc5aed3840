"""FP8 in the benchmarks: some layers in 16 bits, what the output says about it, blocks, and emulation on a CPU."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from yanshou.engines.continuous.fp8.activations import FP8, MAX, SMALLEST_PEAK
from yanshou.engines.continuous.fp8.layers import fp8_layers, replace_layer
from yanshou.engines.continuous.fp8.linear import Fp8Linear

BLOCK = 128  # rows and columns of weights that share a scale in published checkpoints, and inputs of an activation


def quantize_(model: Any, keep: str = "") -> Any:
    """The loaded model in FP8, layer by layer; layers whose name matches the regular expression `keep` stay as is."""
    for name in list(fp8_layers(model)):
        if not (keep and re.search(keep, name)):
            replace_layer(model, name, Fp8Linear.of(model.get_submodule(name)))
    return model


def described(keep: str = "") -> str:
    """What runs in FP8, for the output."""
    return f"FP8 in every product but those of layers named {keep}" if keep else "FP8 in every product"


def by_block(x: Tensor, rows: int = BLOCK, columns: int = BLOCK) -> tuple[Tensor, Tensor]:
    """x (height, width) → FP8 values, and one scale in float32 per block, (blocks down, blocks across).

    The last blocks may be narrower.
    """
    height, width = x.shape
    padded = torch.nn.functional.pad(x.float(), (0, -width % columns, 0, -height % rows))
    blocks = padded.view(-1, rows, padded.shape[1] // columns, columns)
    scales = blocks.abs().amax((1, 3)).clamp(min=SMALLEST_PEAK) / MAX
    values = (blocks / scales[:, None, :, None]).view_as(padded)[:height, :width]
    return values.to(FP8), scales


def on_cpu(device: str) -> bool:
    return device == "cpu" or not torch.cuda.is_available()


@contextmanager
def emulated(device: str) -> Iterator[None]:
    """Lets FP8 run on a CPU, where torch rounds to FP8 and multiplies in float32: to see that a benchmark runs."""
    if not on_cpu(device):
        yield
        return
    with patch("yanshou.engines.device.lacks_fp8", return_value=""):
        yield
