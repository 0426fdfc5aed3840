"""The photos of compare.html: thumbnails in DIR/compare/thumbnails, of the photos that the page shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from yanshou.compare.summaries_compared import PhotoChange
from yanshou.compare.verdicts_compared import VerdictPair
from yanshou.evaluate.sources import exists
from yanshou.report.thumbnails import FOLDER, Progress, Thumbnail, make_thumbnails, remove_others

OWN_FOLDER = "compare"
ADDRESS = f"{OWN_FOLDER}/{FOLDER}/"  # of a thumbnail, relative to the page


def page_photos(
    shown: Sequence[PhotoChange | VerdictPair], output_dir: Path, progress: Progress | None = None
) -> Mapping[str, Thumbnail]:
    """Makes the missing thumbnails; returns those of all shown photos by path. Files of verdicts name no photos."""
    photos = [photo_of(change) for change in shown if isinstance(change, PhotoChange)]
    return make_thumbnails(photos, output_dir / OWN_FOLDER, progress)


def photo_of(change: PhotoChange) -> str:
    """The photo's path in A; in B where A's file is gone and B names another one."""
    if change.path_b is not None and not exists(Path(change.path)):
        return change.path_b
    return change.path


def remove_unused(output_dir: Path, used: Mapping[str, Thumbnail]) -> None:
    """Deletes the thumbnails that the page no longer shows."""
    remove_others(output_dir / OWN_FOLDER, used.values())
