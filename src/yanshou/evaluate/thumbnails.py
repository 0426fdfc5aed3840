"""Small pictures for the report: `DIR/thumbnails/<digest>.jpg`, upright, without EXIF, made once.

    thumbnails/3f9c…e1.jpg      the digest is of the photo's path, size and time of change: a photo that changes gets
                                another name, so what is there fits its photo and is taken again

The name tells nothing, and neither does the file: it is encoded anew from bare pixels, so no position, no camera, no
time. What the pixels themselves show (a burnt-in watermark) stays. A photo that is not there, or that cannot be read
completely, has none. Thumbnails that no group of the report uses any more are taken away: whoever deletes a photo
expects it to be gone.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL.Image import Resampling

from yanshou.errors import PhotoError
from yanshou.inputs.images import load_photo
from yanshou.storage.atomic import replacing, write_error

FOLDER = "thumbnails"
BOX = (320, 480)  # the most width and height, in pixels; a phone's upright photo becomes 233 × 480, some 15 kB
QUALITY = 75  # of the JPEG
NAME = re.compile(r"[0-9a-f]{32}\.jpg|\.[0-9a-f]{32}\.jpg\.tmp")  # finished, or left by a run that was killed
WORKERS = min(os.cpu_count() or 1, 16)  # decoding leaves Python's lock alone


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """What there is of one photo."""

    state: Literal["there", "missing", "unreadable"]
    name: str | None = None  # of the file in DIR/thumbnails
    url: str | None = None  # of the photo itself: file:///…, percent-encoded


Progress = Callable[[int, int], None]  # photos done, photos in all


def make_thumbnails(
    photos: Iterable[str], output_dir: Path, progress: Progress | None = None
) -> Mapping[str, Thumbnail]:
    """Each photo's thumbnail, made where it is not there yet. Raises OutputError where it cannot be written."""
    folder, wanted = output_dir / FOLDER, list(dict.fromkeys(photos))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
    made: dict[str, Thumbnail] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for photo, thumbnail in zip(wanted, pool.map(lambda one: _thumbnail(one, folder), wanted), strict=True):
                made[photo] = thumbnail
                if progress:
                    progress(len(made), len(wanted))
        except BaseException:  # a full disk, Ctrl-C: don't go through thousands of photos before it is told
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return made


def remove_others(output_dir: Path, used: Iterable[Thumbnail]) -> None:
    """Takes away the thumbnails that are not used. What does not look like one is left alone."""
    names = {thumbnail.name for thumbnail in used}
    with suppress(OSError):  # what cannot be removed stays
        for file in (output_dir / FOLDER).iterdir():
            if NAME.fullmatch(file.name) and file.name not in names:
                file.unlink()


def _thumbnail(photo: str, folder: Path) -> Thumbnail:
    try:
        path = Path(photo).absolute()
        found = path.stat()
        url = path.as_uri()
    except (OSError, ValueError):  # not there, or no name that a file can have
        return Thumbnail("missing")
    identity = b"\0".join((os.fsencode(path), b"%d" % found.st_size, b"%d" % found.st_mtime_ns, b"%d" % BOX[0]))
    file = folder / f"{hashlib.sha256(identity).hexdigest()[:32]}.jpg"
    try:
        if not file.exists():
            _write(path, file)
    except PhotoError:
        return Thumbnail("unreadable")
    return Thumbnail("there", file.name, url)


def _write(photo: Path, file: Path) -> None:
    image = load_photo(photo).image  # upright, RGB, and nothing of the file but its pixels
    image.thumbnail(BOX, Resampling.BICUBIC, reducing_gap=2.0)
    with replacing(file) as draft:
        image.save(draft, "JPEG", quality=QUALITY, optimize=True)
