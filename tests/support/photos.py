"""Photos: coloured quarters, noise, files with EXIF data."""

import io
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from PIL.ExifTags import Base

ORIENTATIONS = range(1, 9)  # of EXIF


def picture(mode: str = "RGB", size: tuple[int, int] = (48, 32)) -> Image.Image:
    """Four coloured quarters on a gradient: its eight orientations all look different."""
    width, height = size
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    for place, colour in (((0, 0), "red"), ((width // 2, 0), "lime"), ((0, height // 2), "blue")):
        image.paste(colour, (*place, place[0] + width // 2, place[1] + height // 2))
    return image.convert(mode)


def noise(seed: int, width: int, height: int) -> Image.Image:
    """A photo of coloured noise in blocks of 8 × 8 pixels, different for each seed."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.randint(0, 256, (height // 8 + 1, width // 8 + 1, 3), generator=generator, dtype=torch.uint8)
    blocks = Image.fromarray(small.numpy())
    return blocks.resize((blocks.width * 8, blocks.height * 8), Image.Resampling.NEAREST).crop((0, 0, width, height))


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The picture as the bytes of a file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def oriented(orientation: int, kind: str = "JPEG", **options: Any) -> bytes:
    """A file with an EXIF orientation."""
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    return encoded(picture(), kind, exif=exif.tobytes(), **options)


def photo_file(path: Path, orientation: int = 1, size: tuple[int, int] = (900, 600)) -> Path:
    """A JPEG whose left half, as stored, is red, with a GPS position and a maker in its EXIF."""
    image = Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    exif[Base.Orientation], exif[Base.Make] = orientation, "SECRETMAKER"
    exif.get_ifd(Base.GPSInfo)[1] = "N"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=exif.tobytes(), comment=b"SECRETCOMMENT")
    return path
