"""A photo as a server gets it: the pixels that a local engine would cut into patches, without loss.

    photo upright ── resized as transformers' image processor does ── WebP or PNG ── data:image/webp;base64,…

Edges are multiples of 32, so a server's own resizing finds nothing to do. Lossless WebP is the cheapest format that
servers take: `docs/endpoints.md` has the measurement. PNG is for servers that refuse WebP, and for long strips.
"""

import base64
import io
from functools import cache
from typing import Any, Literal

from PIL import Image
from torchvision.transforms.v2 import functional
from transformers.image_utils import SizeDict
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

from yanshou.settings import PhotoSettings

Format = Literal["WEBP", "PNG"]
FORMATS: tuple[Format, ...] = ("WEBP", "PNG")  # in the order in which a server is asked
OPTIONS: dict[Format, dict[str, Any]] = {
    "WEBP": {"lossless": True, "quality": 0, "method": 0},  # the fastest
    "PNG": {"compress_level": 1},
}
PATCH, MERGE = 16, 2  # pixels per patch edge, patches per edge of a visual token
LONGEST_WEBP = 16_383  # pixels of an edge


def resized(image: Image.Image, photo: PhotoSettings) -> Image.Image:
    """The picture at the size at which a local engine reads it. Raises ValueError for one that is too narrow."""
    processor = _processor()
    size = SizeDict(shortest_edge=photo.min_pixels, longest_edge=photo.max_pixels)
    pixels = functional.pil_to_tensor(image)[None]  # (1, 3, height, width), bytes
    fitted = processor.resize(pixels, size, processor.resample, factor=PATCH * MERGE)
    picture: Image.Image = functional.to_pil_image(fitted[0])
    return picture


def visual_tokens(picture: Image.Image) -> int:
    """How many visual tokens a resized picture becomes."""
    return picture.width * picture.height // (PATCH * MERGE) ** 2


def data_url(picture: Image.Image, kind: Format) -> str:
    """The picture as a data URL."""
    if max(picture.size) > LONGEST_WEBP:
        kind = "PNG"
    out = io.BytesIO()
    picture.save(out, kind, **OPTIONS[kind])
    return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"


@cache
def _processor() -> Any:
    return Qwen2VLImageProcessor(patch_size=PATCH, merge_size=MERGE)
