"""Thumbnails for the report: `DIR/thumbnails/<digest>.jpg`, upright, without EXIF, each made once.

    thumbnails/.yanshou-thumbnails
                                makes the folder one of yanshou's own, in which it may delete files
    thumbnails/3f9c…e1.jpg      digest of the photo's path, size and times: a changed photo gets a new thumbnail, an
                                unchanged one keeps it

Neither name nor file reveals anything about the photo except its pixels: the file is encoded from bare pixels, without
position, camera or time. A watermark in the pixels stays. A photo that is missing or cannot be read completely has no
thumbnail. Thumbnails that the report no longer uses are deleted, because a person who deletes a photo expects it to be
gone. A folder of that name that somebody else filled, or a link, is refused.
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

from yanshou.errors import OutputError, PhotoError
from yanshou.inputs.images import load_photo
from yanshou.storage.atomic import replace_file, replacing, write_errors
from yanshou.text import printable

FOLDER = "thumbnails"
MARKER = ".yanshou-thumbnails"
MARK = b"yanshou made this folder. It deletes the thumbnails in it that report.html no longer shows.\n"
MAX_SIZE = (320, 480)  # width × height in pixels; a phone's portrait photo becomes 233 × 480, about 15 kB
JPEG_QUALITY = 75
FILE_NAME = re.compile(r"[0-9a-f]{32}\.jpg|\.[0-9a-f]{32}\.jpg\.tmp")  # complete, or the draft of a killed run
WORKERS = min(os.cpu_count() or 1, 16)  # threads: Pillow decodes without the GIL


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The state of one photo and its thumbnail."""

    state: Literal["there", "missing", "unreadable"]
    name: str | None = None  # file name in DIR/thumbnails
    url: str | None = None  # URL of the photo itself: file:///…, percent-encoded


Progress = Callable[[int, int], None]  # receives the number of finished photos and of all photos


def make_thumbnails(
    photos: Iterable[str], output_dir: Path, progress: Progress | None = None
) -> Mapping[str, Thumbnail]:
    """Makes the missing thumbnails. Returns those of all photos. Raises OutputError if one cannot be written."""
    folder, wanted = output_dir / FOLDER, list(dict.fromkeys(photos))
    own_folder(output_dir)
    made: dict[str, Thumbnail] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for photo, thumbnail in zip(wanted, pool.map(lambda one: _thumbnail(one, folder), wanted), strict=True):
                made[photo] = thumbnail
                if progress:
                    progress(len(made), len(wanted))
        except BaseException:  # a full disk or Ctrl-C is reported now, not after thousands of other photos
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return made


def own_folder(output_dir: Path) -> None:
    """Makes and marks `<output_dir>/thumbnails`. Raises OutputError where it is a link or was filled by somebody else.

    A folder of yanshou 0.2 has no mark, either: it may be deleted, because all of it is made again.
    """
    folder = output_dir / FOLDER
    with write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if folder.is_symlink():
            raise _refusal(folder, "is a link, and thumbnails are only written into a folder of their own")
        if _is_own(folder / MARKER):
            return
        if any(folder.iterdir()):
            raise _refusal(folder, f"holds files that are not of this report: its {MARKER} is missing")
        replace_file(folder / MARKER, MARK)


def remove_others(output_dir: Path, used: Iterable[Thumbnail]) -> None:
    """Deletes the thumbnails that are not used. Files with other names stay."""
    names = {thumbnail.name for thumbnail in used}
    with suppress(OSError):
        for file in (output_dir / FOLDER).iterdir():
            if FILE_NAME.fullmatch(file.name) and file.name not in names and not file.is_dir():
                file.unlink()


def _refusal(folder: Path, why: str) -> OutputError:
    return OutputError(
        f"{printable(folder)} {why}. Choose another --output-dir, or move it away (delete it where an earlier version "
        "of yanshou made it), and run again."
    )


def _is_own(file: Path) -> bool:
    """Whether it is a file, and no link."""
    return file.is_file() and not file.is_symlink()


def _thumbnail(photo: str, folder: Path) -> Thumbnail:
    try:
        path = Path(photo).absolute()
        found = path.stat()
        url = path.as_uri()
    except (OSError, ValueError):  # missing, or a name that no file can have
        return Thumbnail("missing")
    # The time of the last change of status, too: `cp -p` and `rsync -t` set the time of modification to an older one.
    figures = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, MAX_SIZE[0])
    identity = b"\0".join((os.fsencode(path), *(b"%d" % figure for figure in figures)))
    file = folder / f"{hashlib.sha256(identity).hexdigest()[:32]}.jpg"
    try:
        if not _is_own(file):
            _write(path, file)
    except PhotoError:
        return Thumbnail("unreadable")
    return Thumbnail("there", file.name, url)


def _write(photo: Path, file: Path) -> None:
    image = load_photo(photo).image  # upright RGB pixels, without any other content of the file
    image.thumbnail(MAX_SIZE, Resampling.BICUBIC, reducing_gap=2.0)
    with replacing(file) as draft:
        image.save(draft, "JPEG", quality=JPEG_QUALITY, optimize=True)
