"""`yanshou.engines.endpoint.picture`: a server gets the pixels that the local engines cut into patches."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.photos import noise, oriented

from yanshou.engines.continuous.image_processor import ImageProcessor
from yanshou.engines.endpoint.picture import FORMATS, LONGEST_WEBP, data_url, resized, visual_tokens
from yanshou.inputs.images import load_photo
from yanshou.settings import PhotoSettings

SIZES = [(934, 1920), (1920, 934), (33, 47), (64, 64), (608, 1248), (31, 900), (2500, 1999), (257, 256)]


def decoded(url: str) -> tuple[str, Image.Image]:
    """The picture of a data URL, and its format."""
    image = Image.open(io.BytesIO(base64.b64decode(url.partition(";base64,")[2])))
    image.load()
    return str(image.format), image


def cut(image: Image.Image) -> torch.Tensor:
    """The patches of a picture whose edges are multiples of 32, (patches, 768), in the processor's order."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)  # (3, height, width)
    rows, columns = image.height // 32, image.width // 32
    blocks = pixels.reshape(3, rows, 2, 16, columns, 2, 16).permute(1, 4, 2, 5, 0, 3, 6)
    return blocks.reshape(rows * columns * 4, 768)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", FORMATS)
def test_the_pixels_are_those_of_the_local_engines_to_the_last_bit(
    engine: Callable[..., Any], kind: Any, size: tuple[int, int]
) -> None:
    photo, settings = noise(1, *size), PhotoSettings()
    local = engine(photo=settings.model_dump())
    patches, grid = ImageProcessor(local.processor.image_processor, torch.float32).patchify(photo, **local.resizing)
    name, sent = decoded(data_url(resized(photo, settings), kind))
    assert (name, sent.mode) == (kind, "RGB")
    assert grid.tolist() == [[1, sent.height // 16, sent.width // 16]]
    assert visual_tokens(sent) == int(grid.prod()) // 4
    assert torch.equal(cut(sent), patches)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_servers_own_resizing_finds_nothing_to_do(size: tuple[int, int]) -> None:
    settings = PhotoSettings()
    once = resized(noise(2, *size), settings)
    if once.width * once.height <= settings.max_pixels:
        assert np.array_equal(np.array(resized(once, settings)), np.array(once))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_picture_is_upright_and_carries_no_exif(tmp_path: Path, orientation: int) -> None:
    (tmp_path / "1.jpg").write_bytes(oriented(orientation))
    upright = load_photo(tmp_path / "1.jpg").image
    _, sent = decoded(data_url(resized(upright, PhotoSettings()), "WEBP"))
    assert np.array_equal(np.array(sent), np.array(resized(upright, PhotoSettings())))
    assert not sent.getexif()
    assert (sent.width > sent.height) == (orientation < 5)


def test_a_photo_that_is_too_narrow_is_refused_as_locally() -> None:
    with pytest.raises(ValueError, match="aspect ratio"):
        resized(noise(1, 4, 900), PhotoSettings())


def test_a_strip_that_webp_cannot_hold_is_sent_as_png() -> None:
    name, _ = decoded(data_url(Image.new("RGB", (LONGEST_WEBP + 1, 32)), "WEBP"))
    assert name == "PNG"
