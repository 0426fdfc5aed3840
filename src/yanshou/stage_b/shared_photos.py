"""Photos that lines of both labels name: one of the two labels is wrong, and there is nothing to learn or measure.

    stage_a.jsonl:7   QC-5, pass   /data/挡风板安装检查/审核通过/QC-job-1/QC-5_1.jpg     gone
    stage_a.jsonl:9   QC-5, fail   /data/挡风板安装检查/审核不通过/QC-job-1/QC-5_1.jpg   there

Here a reviewer moved the folder to the other label. Two files are the same photo if their contents are the same. Where
one of them is gone, they are if they have the same path below the label's folder and the same summary. A job that was
photographed again has other photos under the same id, and is no such pair.

Only photos of one base name are compared, only within a mission, and only those of the same size are read. So groups
with photos of their own names cost one look at each name.
"""

import stat
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from yanshou.errors import InputError
from yanshou.inputs.label_folders import label_of
from yanshou.schema.records import GroupKey, Label, StageARecord
from yanshou.storage.line_place import LinePlace
from yanshou.text import nfc, printable

BEGINNING = 65_536  # bytes that are read first: they differ in all but copies of a photo
CURE = (
    "Remove the group whose label no longer holds from the input, if it is still there; `yanshou summarize --prune` "
    "then moves its line away. To use both, give --allow-shared-photos"
)


class PhotosOfGroup(NamedTuple):
    """A group's line, as far as its photos are concerned."""

    place: LinePlace  # of the line
    key: GroupKey
    images: Sequence[str]  # paths
    summaries: Sequence[str]  # one per photo

    @classmethod
    def of(cls, place: LinePlace, record: StageARecord) -> Self:
        return cls(place, record.key, record.images, record.clean_texts)


class Named(NamedTuple):
    """A photo in a line."""

    path: str
    summary: str
    group: PhotosOfGroup

    @property
    def label(self) -> Label | None:
        return self.group.key.label


class SharedPhoto(NamedTuple):
    """A photo that two lines of different labels name."""

    one: Named
    other: Named

    def __str__(self) -> str:
        return (
            f"{self.one.group.place}: group {self.one.group.key} and {self.other.group.place}: group "
            f"{self.other.group.key} have the same photo {printable(self.other.path)}"
        )


BucketKey = TypeVar("BucketKey", bound=Hashable)


def check_shared_photos(groups: Sequence[PhotosOfGroup], *, allowed: bool) -> list[str]:
    """Raises InputError where lines of two labels name the same photo; a warning instead where that is `allowed`."""
    shared = find_shared_photos(groups)
    if not shared:
        return []
    more = f" {len(shared) - 1} more photos are under both labels." if len(shared) > 1 else ""
    if not allowed:
        raise InputError(f"{shared[0]}, under two labels.{more} {CURE}.")
    return [
        f"{len(shared)} {'photo is' if len(shared) == 1 else 'photos are'} under two labels, and "
        f"{'counts' if len(shared) == 1 else 'count'} for both (--allow-shared-photos). First: {shared[0]}"
    ]


def twice_under_one_label(groups: Iterable[PhotosOfGroup]) -> list[str]:
    """A warning about photos, by their paths, that two groups of one mission and label name: they count twice."""
    seen: dict[str, PhotosOfGroup] = {}
    twice: list[tuple[str, PhotosOfGroup, PhotosOfGroup]] = []
    for group in groups:
        for path in group.images:
            first = seen.setdefault(path, group)
            if first.key != group.key and first.key[:2] == group.key[:2]:
                twice.append((path, first, group))
    if not twice:
        return []
    path, one, other = twice[0]
    return [
        f"{len(twice)} photos are in two groups of one label, and count twice. First: {printable(path)} in {one.place} "
        f"(group {one.key}) and {other.place} (group {other.key}). Where one of the groups left the input, `yanshou "
        "summarize --prune` removes its line"
    ]


def find_shared_photos(groups: Sequence[PhotosOfGroup]) -> list[SharedPhoto]:
    """Each photo that lines of both labels name, once."""
    names = _names_of_both_labels(groups)
    suspects: dict[tuple[str, str], list[Named]] = {}
    for group in groups if names else ():
        wanted = names.get(group.key.mission, set())
        for path, summary in zip(group.images, group.summaries, strict=True):
            if (name := _base_name(path)) in wanted and group.key.label:
                suspects.setdefault((group.key.mission, name), []).append(Named(path, summary, group))
    return [shared for photos in suspects.values() for shared in _same_photos(photos)]


def _names_of_both_labels(groups: Iterable[PhotosOfGroup]) -> Mapping[str, set[str]]:
    """By mission: the base names that occur under both labels."""
    labels: dict[str, dict[str, Label]] = {}
    both: dict[str, set[str]] = {}
    for group in groups:
        if group.key.label is None:
            continue
        known = labels.setdefault(group.key.mission, {})
        for name in map(_base_name, group.images):
            if known.setdefault(name, group.key.label) != group.key.label:
                both.setdefault(group.key.mission, set()).add(name)
    return both


def _same_photos(photos: Sequence[Named]) -> Iterator[SharedPhoto]:
    """Of photos with one base name: those under both labels."""
    sizes = {photo.path: _size(photo.path) for photo in photos}
    there = [photo for photo in photos if sizes[photo.path] is not None]
    by_size = _of_both_labels((sizes[photo.path], photo) for photo in there)
    begin_alike = _of_both_labels((_digest(photo.path, BEGINNING), photo) for same in by_size for photo in same)
    for same in _of_both_labels((_digest(photo.path), photo) for alike in begin_alike for photo in alike):
        yield _pair(same)
    for same in _of_both_labels(((_below_label(photo.path), photo.summary), photo) for photo in photos):
        gone = [photo for photo in same if sizes[photo.path] is None]
        for photo in gone[:1]:
            yield _pair([photo, *(other for other in same if other.label != photo.label)])


def _of_both_labels(keyed: Iterable[tuple[BucketKey, Named]]) -> Iterator[list[Named]]:
    """The photos that have a key in common, where they are not all of one label."""
    buckets: dict[BucketKey, list[Named]] = {}
    for key, photo in keyed:
        buckets.setdefault(key, []).append(photo)
    return (photos for photos in buckets.values() if len({photo.label for photo in photos}) > 1)


def _pair(photos: Sequence[Named]) -> SharedPhoto:
    """The first photo, and the first with the other label."""
    return SharedPhoto(photos[0], next(photo for photo in photos if photo.label != photos[0].label))


def _base_name(path: str) -> str:
    return nfc(path.rpartition("/")[2])  # a Mac on the way changes the form


def _below_label(path: str) -> str:
    """`QC-job-1/QC-5_1.jpg`: the path below the last folder of a label; the whole path without such a folder."""
    parts = nfc(path).split("/")
    for number in range(len(parts) - 2, -1, -1):
        if label_of(parts[number]):
            return "/".join(parts[number + 1 :])
    return "/".join(parts)


def _size(path: str) -> int | None:
    """In bytes. None for a file that is gone, for what is no file, and for a name that no file can have."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _digest(path: str, beginning: int = -1) -> bytes | str:
    """Of the whole file or its first bytes. A file that cannot be read is like no other."""
    try:
        with Path(path).open("rb") as file:
            return sha256(file.read(beginning)).digest()
    except OSError:
        return path
