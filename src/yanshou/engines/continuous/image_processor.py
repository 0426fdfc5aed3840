"""From a photo to the vision tower's input: resized and cut into patches in a thread, normalized on the device.

thread    photo → resized → patches of bytes          (patches, 768)    2 MB; the GPU does the arithmetic
device    bytes → rescaled, normalized, repeated      (patches, 1536)   a still picture is two equal frames
"""

from typing import Any

import torch
from torch import Tensor


class ImageProcessor:
    """The steps of the checkpoint's image processor, split between host and device."""

    def __init__(self, processor: Any, dtype: torch.dtype) -> None:
        self.processor, self.dtype = processor, dtype

    def patchify(self, image: Any, **resizing: Any) -> tuple[Tensor, Tensor]:
        """Patches (patches, 768) uint8 and grid (1, 3). Raises ValueError for a photo that is too narrow."""
        features = self.processor(
            images=[image], return_tensors="pt", do_rescale=False, do_normalize=False, temporal_patch_size=1, **resizing
        )
        return features["pixel_values"], features["image_grid_thw"]

    def normalize(self, patches: Tensor) -> Tensor:
        """Patches of bytes → the processor's `pixel_values` (patches, 1536) in the model's dtype."""
        processor = self.processor
        side, frames = processor.patch_size, processor.temporal_patch_size
        values = processor.rescale_and_normalize(
            patches.view(len(patches), -1, side, side), processor.do_rescale, processor.rescale_factor,
            processor.do_normalize, processor.image_mean, processor.image_std,
        )  # fmt: skip
        repeated = values.to(self.dtype)[:, :, None].expand(-1, -1, frames, -1, -1)
        pixel_values: Tensor = repeated.reshape(len(patches), -1)
        return pixel_values
