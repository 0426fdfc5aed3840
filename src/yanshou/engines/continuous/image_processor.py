"""A photo's pixels on their way: resized and cut by the processor in a thread, made into numbers by it on the device.

thread    photo → resized → patches of bytes      (patches, 768)   2 MB, and no arithmetic that the GPU does better
device    bytes → rescaled, normalized, twice     (patches, 1536)  a still picture is two equal frames
"""

from typing import Any

import torch
from torch import Tensor


class Pixels:
    """The processor's own steps, in two places."""

    def __init__(self, processor: Any, dtype: torch.dtype) -> None:
        self.processor, self.dtype = processor, dtype

    def patchify(self, image: Any, **resizing: Any) -> tuple[Tensor, Tensor]:
        """Patches (patches, 768) of bytes, and the grid (1, 3). Raises ValueError for a photo that is too narrow."""
        seen = self.processor(
            images=[image], return_tensors="pt", do_rescale=False, do_normalize=False, temporal_patch_size=1, **resizing
        )
        return seen["pixel_values"], seen["image_grid_thw"]

    def numbers(self, patches: Tensor) -> Tensor:
        """What the processor's `pixel_values` are for these patches, in the model's dtype."""
        own = self.processor
        side, frames = own.patch_size, own.temporal_patch_size
        values = own.rescale_and_normalize(
            patches.view(len(patches), -1, side, side), own.do_rescale, own.rescale_factor,
            own.do_normalize, own.image_mean, own.image_std,
        )  # fmt: skip
        twice = values.to(self.dtype)[:, :, None].expand(-1, -1, frames, -1, -1)
        numbers: Tensor = twice.reshape(len(patches), -1)
        return numbers
