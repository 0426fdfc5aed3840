"""How a picture is turned upright: whatever Pillow's `ImageOps.exif_transpose` turns, and nothing else.

Pillow reads the orientation from EXIF of any integer type, from ImageMagick's raw profiles and from XMP. transformers
and the pipelines that train checkpoints use it, so any other reading would show the model another photo.
"""

import struct
import warnings

from PIL import Image
from PIL.ExifTags import Base
from PIL.Image import Transpose

TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}  # EXIF orientation → the transposition that undoes it

# Everything that Pillow is known to raise for a damaged EXIF block. Such a block turns nothing.
EXIF_ERRORS = (OSError, SyntaxError, ValueError, TypeError, KeyError, struct.error)

# Pillow warns about unusual EXIF, a line on stderr for each. Python cannot silence warnings per thread, so for all.
warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")


def turn_of(image: Image.Image) -> Transpose | None:
    """The transposition that turns the picture upright; None if it is upright or its EXIF is damaged.

    A PNG may have its EXIF behind its pixels: load it first.
    """
    try:
        return TURNS.get(image.getexif().get(Base.Orientation, 1))
    except EXIF_ERRORS:
        return None
