"""A photo as the page gets it: upright, encoded again from bare pixels, in one of two sizes.

    jpeg(Path("…/QC-20241022-0015063_1.jpg"), "view")     b"\xff\xd8…", 900 × 1,600 pixels, about 0.25 MB

Nothing of the file but its pixels is sent: no position, time or camera, no name, no path, no embedded preview. What is
burnt into the pixels stays. Memory: `inputs.photo_memory` bounds what all threads decode together.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from PIL import Image
from PIL.Image import Resampling

from yanshou.inputs.images import decoded_photo
from yanshou.review.store.refusals import RefusalError

Size = Literal["view", "full"]
LONGEST: Final[Mapping[Size, int]] = {"view": 1600, "full": 4096}  # of the longer edge, in pixels
QUALITY: Final[Mapping[Size, int]] = {"view": 85, "full": 90}


def jpeg(path: Path, size: Size) -> bytes:
    """The photo as a JPEG. Raises RefusalError: photo_missing, photo_unreadable; its message is for the terminal."""
    try:
        with decoded_photo(path) as photo:
            image = photo.image
            image.thumbnail((LONGEST[size], LONGEST[size]), Resampling.BICUBIC, reducing_gap=2.0)
            return _encoded(image, QUALITY[size])
    except ValueError as error:  # PhotoError is one; another one means a name that no file can have
        is_missing = isinstance(error.__cause__, FileNotFoundError)
        raise RefusalError("photo_missing" if is_missing else "photo_unreadable", str(error)) from error


def _encoded(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()
