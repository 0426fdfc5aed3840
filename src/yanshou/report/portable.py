"""report.zip: the report for another PC. It opens after unpacking, without the photos' folders and without a network.

    report/report.html           the page: figures of all groups, and the groups that a person has to look at
    report/photos/000001.jpg     a longer edge of at most 1,600 pixels, never enlarged, upright, nothing but pixels

Names are plain ASCII and say nothing. The page's links are relative, and no folder of this machine is in it
(without_paths.py). The same page and photos give the same bytes: entries have a fixed time. What is burnt into a
photo's pixels, such as a watermark, stays. Photos are scaled in threads, a few ahead of the one that is written, so
memory does not grow with their number.
"""

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from PIL.Image import Resampling

from yanshou.errors import PhotoError
from yanshou.inputs.images import decoded_photo
from yanshou.report.packed import EDGE, PHOTOS, Packed
from yanshou.report.thumbnails import WORKERS, Progress, Thumbnail
from yanshou.storage.atomic import flush_to_disk, replacing, write_errors

NAME = "report.zip"
FOLDER = "report"  # everything lies in it, so that unpacking fills one folder
JPEG_QUALITY = 80
TIME = (1980, 1, 1, 0, 0, 0)  # of every entry: the earliest that a ZIP archive can hold
UNDER_WAY = 2 * WORKERS  # photos that are being scaled or wait to be written

Page = Callable[[Packed, Mapping[str, Thumbnail]], bytes]


@contextmanager
def portable(packed: Packed, output_dir: Path, page: Page, progress: Progress | None = None) -> Iterator[None]:
    """Writes the archive; it takes its place at the end of the context, and an old one is gone before that begins.

    So an archive never lies beside a report of another evaluation. Raises OutputError.
    """
    path = output_dir / NAME
    with write_errors(path):
        output_dir.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        with draft.open("xb") as file:
            with ZipFile(file, "w") as archive:
                photos = _write_photos(archive, packed.photos, progress)
                _write(archive, "report.html", page(packed, photos), ZIP_DEFLATED)
            file.flush()
            flush_to_disk(file.fileno())
        path.unlink(missing_ok=True)
        yield


def _write_photos(archive: ZipFile, photos: Sequence[str], progress: Progress | None) -> Mapping[str, Thumbnail]:
    written: dict[str, Thumbnail] = {}
    for number, (photo, jpeg) in enumerate(zip(photos, _scaled_photos(photos), strict=True), 1):
        if isinstance(jpeg, bytes):
            name = f"{number:06d}.jpg"
            _write(archive, f"{PHOTOS}/{name}", jpeg, ZIP_STORED)
            written[photo] = Thumbnail("there", name, f"{PHOTOS}/{name}")
        else:
            written[photo] = jpeg
        if progress:
            progress(number, len(photos))
    return written


def _write(archive: ZipFile, name: str, data: bytes, compression: int) -> None:
    entry = ZipInfo(f"{FOLDER}/{name}", TIME)
    entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on every system: readable for everybody
    archive.writestr(entry, data, compression)


def _scaled_photos(photos: Iterable[str]) -> Iterator[bytes | Thumbnail]:
    """The photos as JPEG files, in order; a Thumbnail that says why for one that cannot be read."""
    source = iter(photos)
    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            ahead: deque[Future[bytes | Thumbnail]] = deque(
                pool.submit(_scaled, one) for one in islice(source, UNDER_WAY)
            )
            while ahead:
                yield ahead.popleft().result()
                ahead.extend(pool.submit(_scaled, one) for one in islice(source, 1))
        except BaseException:  # a full disk or Ctrl-C is reported now, not after the photos that are under way
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _scaled(photo: str) -> bytes | Thumbnail:
    try:
        path = Path(photo)
        if not path.exists():
            return Thumbnail("missing")
        with decoded_photo(path) as decoded:  # upright RGB pixels, without any other content of the file
            image = decoded.image
            image.thumbnail((EDGE, EDGE), Resampling.LANCZOS, reducing_gap=2.0)
            file = io.BytesIO()
            image.save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    except PhotoError:
        return Thumbnail("unreadable")
    except (OSError, ValueError):  # a name that no file can have
        return Thumbnail("missing")
    return file.getvalue()
