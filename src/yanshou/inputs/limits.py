"""The largest photo that is decoded, and what to do about a photo that is refused."""

from yanshou.errors import PhotoError

MAX_PIXELS = 200_000_000  # width × height; phones make up to 200 megapixels. Pillow's RGB takes 4 bytes per pixel
MAX_BYTES = 512 * 2**20  # of a file, which is read into memory as a whole

RESAVE = "Save it as JPEG or PNG or take it out of the folder, then run again: only this group is redone."
RECOPY = "Copy it again from its source or take it out of the folder, then run again: only this group is redone."


def check_size(width: int, height: int) -> None:
    """Raises PhotoError for more than MAX_PIXELS."""
    if width * height > MAX_PIXELS:
        cause = f"{width:,} × {height:,} is {width * height // 10**6:,} megapixels (limit {MAX_PIXELS // 10**6})"
        raise PhotoError(cause, "Scale it down or take it out of the folder, then run again.")
