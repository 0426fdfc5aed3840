"""Photos that are in no mission's folder: files and folders, as groups without labels.

    现场/QC-A-20241022-1_1.jpg      group QC-A-20241022-1: the id in the photo's name, in whatever folder it lies
    备份/QC-A-20241022-1_2.jpg      the same group; that its photos come from two folders is reported
    现场/站点一/1.jpg                no id in the name, so the folder's name is the id: group 站点一
    别处/站点一/1.jpg                a fault, together with the one above: two folders of one name may be two jobs

A folder is searched with everything below it, each folder once, links followed. The same photo, by its file or by its
name and content, is in a group once. Groups and photos are in natural order, whatever the order of the paths given.
"""

import filecmp
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from pathlib import Path

from yanshou.errors import GroupFolderError, InputError
from yanshou.inputs.discovery import GROUP_ID, Discovery, Group, GroupFault
from yanshou.inputs.label_folders import LABELS, label_of
from yanshou.inputs.listing import (
    EMPTY_FOLDER,
    HIDDEN,
    NAMES_SHOWN,
    OTHER_TYPE,
    REPEATED_FOLDER,
    REPEATED_PHOTO,
    is_folder,
    is_hidden,
    is_photo_name,
    is_text,
    natural_key,
    not_utf8,
    scan,
    unreadable,
)
from yanshou.read_cure import read_cure
from yanshou.schema.records import GroupKey
from yanshou.text import as_utf8, nfc, printable

FileId = tuple[int, int]  # device, inode
MANY_PHOTOS = 100  # a group with more is reported: jobs in the field have up to 38
JOB_NUMBER = re.compile(r"QC-(?:[A-Z]+-)?[0-9]{8}-[0-9]+", re.IGNORECASE)  # begins a name; GROUP_ID is stricter


@dataclass(frozen=True, slots=True)
class ListedGroup(Group):
    """A group whose photos are known one by one. Its folder is that of the first photo."""

    files: tuple[Path, ...] = ()

    def photos(self) -> list[Path]:
        for photo in self.files:
            if not is_text(photo.name):
                raise not_utf8(photo)
        return list(self.files)


def list_photos(paths: Sequence[Path], mission: str) -> Discovery:
    """The groups of all photos in `paths`, files or folders. Raises InputError for a path that cannot be used."""
    found = Discovery(mission)
    groups: dict[GroupKey, list[Path]] = {}
    for photo in _photos(paths, found):
        groups.setdefault(GroupKey(mission, None, _group_id(photo)), []).append(photo)
    _refuse_labels({photo.parent for photos in groups.values() for photo in photos})
    listed = []
    for key in sorted(groups, key=lambda key: natural_key(key.group_id)):
        photos = _without_repeats(groups[key], found)
        if error := _fault(key, photos):
            found.faults.append(GroupFault(key, error))
        else:
            first = photos[0].parent
            listed.append(ListedGroup(key, first.parent, first.name, tuple(photos)))
    found.groups.extend(listed)
    _report_scattered(listed, found)
    _report_large(listed, found)
    _report_mixed(listed, found)
    return found


def _photos(paths: Iterable[Path], found: Discovery) -> Iterator[Path]:
    """Every photo, those of a folder included; what is no photo is counted."""
    seen: set[FileId] = set()
    for path in sorted(paths, key=lambda path: natural_key(str(path))):
        if path.is_dir():
            yield from _of_folder(_absolute(path), seen, found)
        elif not os.path.lexists(path):
            raise InputError(f"{printable(path)}: no such file or folder. Check the path.")
        elif not is_photo_name(path.name):
            raise InputError(
                f"{printable(path)} is not a photo by its name (.jpg, .jpeg, .png). Convert it, or leave it out."
            )
        else:
            yield _absolute(path)


def _of_folder(top: Path, seen: set[FileId], found: Discovery) -> Iterator[Path]:
    """The photos of a folder that was given, and of all folders below it, each folder once."""
    if _seen(top, seen):
        found.skip(REPEATED_FOLDER, str(top))
        return
    folders, some = [top], False
    while folders:
        folder = folders.pop()
        try:
            photos, inner = _sorted(folder, found)
        except OSError as error:
            _note_unreadable(folder, error, top, found)
            continue
        yield from photos
        some = some or bool(photos)
        folders += reversed(list(_unseen(inner, seen, found)))
    if not some:
        found.skip(EMPTY_FOLDER, str(top))


def _sorted(folder: Path, found: Discovery) -> tuple[list[Path], list[Path]]:
    """The photos of a folder, by plain name, and its sub-folders, in natural order. Counts everything else."""
    photos, inner = [], []
    for entry in sorted(scan(folder), key=attrgetter("name")):
        path = folder / entry.name
        if is_hidden(entry.name):
            found.skip(HIDDEN, str(path))
        elif is_folder(entry):
            inner.append(path)
        elif is_photo_name(entry.name):
            photos.append(path)
        else:
            found.skip(OTHER_TYPE, str(path))
    return photos, sorted(inner, key=lambda path: natural_key(path.name))


def _unseen(folders: Iterable[Path], seen: set[FileId], found: Discovery) -> Iterator[Path]:
    for folder in folders:
        if _seen(folder, seen):
            found.skip(REPEATED_FOLDER, str(folder))
        else:
            yield folder


def _note_unreadable(folder: Path, error: OSError, top: Path, found: Discovery) -> None:
    """A folder that was given must be readable; one below it is a fault."""
    if folder == top:
        message = f"{printable(folder)} cannot be read as a folder ({error.strerror or error})."
        raise InputError(f"{message} {read_cure(error)}") from error
    key = GroupKey(found.where, None, nfc(as_utf8(folder.name)))
    found.faults.append(GroupFault(key, unreadable(folder, error)))
    found.unlisted.append(folder)


def _seen(folder: Path, seen: set[FileId]) -> bool:
    """Whether the folder was read before: given twice, or reached by a link that leads back."""
    status = folder.stat()
    known = (status.st_dev, status.st_ino) in seen
    seen.add((status.st_dev, status.st_ino))
    return known


def _absolute(path: Path) -> Path:
    """The path with a name for every folder: `..` would be none."""
    return path.resolve() if ".." in path.parts else path.absolute()


def _group_id(photo: Path) -> str:
    match = GROUP_ID.match(photo.name)
    return match[1] if match else nfc(as_utf8(photo.parent.name))


def _without_repeats(photos: list[Path], found: Discovery) -> list[Path]:
    """The photos in natural order, each once."""
    kept: dict[str, list[Path]] = {}  # by name
    files: set[FileId] = set()
    for photo in sorted(photos, key=lambda photo: (natural_key(photo.name), str(photo.parent))):
        same_name = kept.setdefault(photo.name, [])
        if _same_file(photo, files) or any(_same_content(photo, other) for other in same_name):
            found.skip(REPEATED_PHOTO, str(photo))
        else:
            same_name.append(photo)
    return [photo for photos in kept.values() for photo in photos]


def _same_file(photo: Path, files: set[FileId]) -> bool:
    try:
        return _seen(photo, files)
    except OSError:  # a link to nowhere: the engine says what is wrong with the photo
        return False


def _same_content(photo: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(photo, other, shallow=False)
    except OSError:
        return False


def _fault(key: GroupKey, photos: Sequence[Path]) -> GroupFolderError | None:
    """Why the photos are not one group: their folders only share a name."""
    if any(not is_text(photo.parent.name) for photo in photos if not GROUP_ID.match(photo.name)):
        return not_utf8(photos[0].parent)
    folders = sorted({str(photo.parent) for photo in photos if not GROUP_ID.match(photo.name)}, key=natural_key)
    if len(folders) <= 1:
        return None
    return GroupFolderError(
        f"{key.group_id}: {len(folders)} folders have this name, and their photos no id: {', '.join(folders)}",
        "Rename the folders after their jobs, or put all photos of one job into one folder, then run again.",
    )


def _refuse_labels(folders: Iterable[Path]) -> None:
    """Photos under both labels would be mixed in one group: a job that failed once and passed later."""
    labels = {part for folder in folders for part in folder.parts if label_of(part)}
    if len(labels) == len(LABELS):
        raise InputError(
            f"the photos are in folders of both labels ({', '.join(sorted(labels))}), which --photos does not read. "
            "Give the folder above the mission with --input-dir, or the photos of one label."
        )


def _report_scattered(groups: Iterable[ListedGroup], found: Discovery) -> None:
    several = {}
    for group in groups:
        folders = {str(photo.parent) for photo in group.files}
        if len(folders) > 1:
            several[group.key.group_id] = ", ".join(sorted(folders, key=natural_key))
    _report("group with photos of several folders", several, found)


def _report_large(groups: Iterable[ListedGroup], found: Discovery) -> None:
    large = {group.key.group_id: f"{len(group.files)} photos" for group in groups if len(group.files) > MANY_PHOTOS}
    _report(f"group of more than {MANY_PHOTOS} photos, which may be several jobs", large, found)


def _report_mixed(groups: Iterable[ListedGroup], found: Discovery) -> None:
    """Groups that have a folder's name, although their photos' names begin with the numbers of several jobs."""
    mixed = {}
    for group in groups:
        numbers = _job_numbers(photo.name for photo in group.files if not GROUP_ID.match(photo.name))
        if len(numbers) > 1:
            mixed[group.key.group_id] = ", ".join(numbers[:NAMES_SHOWN]) + (", …" if len(numbers) > NAMES_SHOWN else "")
    cure = "put the photos of each job into a folder of their own: only an id like QC-TEMP-20241022-1 makes a group"
    _report(f"group whose photos begin with the numbers of several jobs ({cure})", mixed, found)


def _job_numbers(names: Iterable[str]) -> list[str]:
    """The different job numbers that names begin with, in the order of the names."""
    return list(dict.fromkeys(match[0] for name in names if (match := JOB_NUMBER.match(name))))


def _report(what: str, groups: Mapping[str, str], found: Discovery) -> None:
    """One warning about all groups of a kind: their ids, each with a detail."""
    if groups:
        first = [f"{group_id} ({detail})" for group_id, detail in islice(groups.items(), NAMES_SHOWN)]
        more = ", …" if len(groups) > NAMES_SHOWN else ""
        found.hints.append(f"{len(groups)} × {what}: {', '.join(first)}{more}")
