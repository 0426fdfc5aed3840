"""Promises of the image processor: split between host and device, it gives the processor's own pixel values."""

from pathlib import Path

import pytest
import torch
from support.checkpoints import settings
from support.photos import noise
from support.requests import SIZES

from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.transformers.engine import TransformersEngine


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_pixel_values_equal_the_processors_bit_for_bit(tiny: Path, dtype: str) -> None:
    given = settings(tiny).model_copy(update={"dtype": dtype})
    engine, reference = ContinuousEngine(given), TransformersEngine(given)
    for size in SIZES:
        patches, grid = engine.patches(noise(3, *size))
        pixel_values, wanted_grid = reference.patches(noise(3, *size))
        assert patches.dtype == torch.uint8
        assert torch.equal(grid, wanted_grid)
        assert torch.equal(engine.image_processor.normalize(patches), pixel_values.to(engine.dtype))
