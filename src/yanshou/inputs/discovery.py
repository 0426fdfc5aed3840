"""Finds the groups of photos in a mission's folder, in natural order.

    /data/挡风板安装检查/                                 the mission's name or one of its aliases
    ├── 审核不通过/                                       label "fail"
    │   └── QC-TEMP-20241022-0015062/                    one group
    │       ├── QC-TEMP-20241022-0015062_9.jpeg          图片_1, and the group's id is QC-TEMP-20241022-0015062
    │       └── QC-TEMP-20241022-0015062_10.JPG          图片_2
    ├── 审核通过/                                         label "pass": the same id under another label is another group
    │   ├── QC-TEMP-20241022-0015062/…
    │   └── 站点【A】 2/图片 1.png                        no id in the first photo's name: the folder's name is the id
    └── 待定/                                             not a label: left out, named in a warning

Layout "flat" (new jobs) has no label folders: `<mission>/<group>/*.jpg`, and the label is None.

Names are compared in Unicode NFC and ordered naturally (2 before 10), then by the plain name (`01` before `1`), so the
order never depends on the disk. A `Group` holds no photos; it lists them on request. What is left out is counted in
`Discovery.skipped`; groups that cannot be read, or have the same id, are in `Discovery.faults`. The folders that could
not be listed are in `Discovery.unlisted`: what they hold is unknown, which is not the same as nothing.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from natsort import natsort_keygen

from yanshou.errors import GroupFolderError, InputError
from yanshou.schema.records import GroupKey, Label
from yanshou.settings import Layout
from yanshou.text import as_utf8, printable

GROUP_ID = re.compile(r"^(QC-[A-Za-z]+-[0-9]{8}-[0-9]+)")
PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})  # compared without case
LABELS: dict[str, Label] = {"审核通过": "pass", "审核不通过": "fail"}

UNKNOWN_LABEL = "folder that is not a label"
EMPTY_GROUP = "group without photos"
STRAY_FILE = "file outside a group folder"
HIDDEN = "hidden file or folder"
SUB_FOLDER = "folder inside a group"
OTHER_TYPE = "file that is not JPEG or PNG by its name"

NAMES_SHOWN = 3  # in a warning; "…" for the others

_natural = natsort_keygen()


@dataclass(frozen=True, slots=True)
class Group:
    """One job: its identity and its folder."""

    key: GroupKey
    parent: Path  # one object for all groups of a label, which keeps 60,000 groups small
    name: str  # of the group's folder

    @property
    def folder(self) -> Path:
        return self.parent / self.name

    def photos(self) -> list[Path]:
        """The photos in natural order, at least one. Reads the folder at each call."""
        try:
            names = [entry.name for entry in _scan(self.folder) if _kind(entry) is None]
        except OSError as error:
            raise _unreadable(self.folder, error) from error
        if not names:
            raise GroupFolderError(f"{self.folder}: the photos are gone", "Put them back, then run again.")
        for name in names:
            if not _is_text(name):
                raise _not_utf8(self.folder / name)
        return [self.folder / name for name in sorted(names, key=natural_key)]


@dataclass(frozen=True, slots=True)
class GroupFault:
    """A group that cannot be processed, known before any photo is read."""

    key: GroupKey
    error: GroupFolderError


@dataclass(slots=True)
class Skipped:
    """The number of things of one kind that are left out, and the first few names, relative to the mission's folder."""

    count: int = 0
    names: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Discovery:
    """What is in the folder of a mission."""

    mission: str
    groups: list[Group] = field(default_factory=list)  # in natural order: the input order of a run
    faults: list[GroupFault] = field(default_factory=list)
    skipped: dict[str, Skipped] = field(default_factory=dict)  # by kind
    unlisted: list[Path] = field(default_factory=list)  # folders whose content is unknown: no permission, a lost disk

    def skip(self, kind: str, name: str) -> None:
        """Counts one thing that is left out."""
        skipped = self.skipped.setdefault(kind, Skipped())
        skipped.count += 1
        if len(skipped.names) < NAMES_SHOWN:
            skipped.names.append(printable(name))

    def warnings(self) -> list[str]:
        """One line per kind that is left out: `挡风板安装检查: left out 1 × folder that is not a label: 待定`."""
        return [
            f"{self.mission}: left out {skipped.count} × {kind}: {', '.join(skipped.names)}"
            + (", …" if skipped.count > len(skipped.names) else "")
            for kind, skipped in self.skipped.items()
        ]


def discover(input_dir: Path, name: str, aliases: Sequence[str] = (), layout: Layout = "labelled") -> Discovery:
    """All groups of the mission `name`, whose folder may also have the name of an alias."""
    missions = mission_folders(input_dir, name, aliases)
    if not missions:
        raise _mission_missing(input_dir, name, aliases)
    found = Discovery(name)
    groups = [
        group
        for mission in missions
        for label, folder in _label_folders(mission, layout, found)
        for group in _groups(folder, GroupKey(name, label, ""), mission, found)
    ]
    _sort_out_duplicates(groups, found)
    return found


def mission_folders(input_dir: Path, name: str, aliases: Sequence[str] = ()) -> list[Path]:
    """The folders of one mission: none if it is absent, several if its name and its aliases are in use side by side."""
    wanted = {normalize("NFC", called) for called in (name, *aliases)}
    return [input_dir / folder for folder in _folders(input_dir) if normalize("NFC", folder) in wanted]


def natural_key(name: str) -> tuple[object, str]:
    """The sort key of natural order. Different names never compare as equal."""
    return _natural(name), name


def _label_folders(mission: Path, layout: Layout, found: Discovery) -> Iterator[tuple[Label | None, Path]]:
    folders = _folders(mission, found)
    labels = {folder: LABELS[normalize("NFC", folder)] for folder in folders if normalize("NFC", folder) in LABELS}
    if layout == "flat":
        if labels:
            raise InputError(f"{mission} has label folders ({', '.join(labels)}): read it with --layout labelled.")
        yield None, mission
        return
    if not labels:
        raise _labels_missing(mission, folders)
    for folder in folders:
        if folder in labels:
            yield labels[folder], mission / folder
        else:
            found.skip(UNKNOWN_LABEL, folder)


def _groups(folder: Path, template: GroupKey, mission: Path, found: Discovery) -> Iterator[Group]:
    """The groups of one label folder. Those that cannot be read are added to the faults."""
    where = "" if folder == mission else f"{folder.name}/"  # in the flat layout the stray files are counted already
    for name in _folders(folder, found if where else None, where):
        key = template._replace(group_id=normalize("NFC", as_utf8(name)))
        try:
            first = _first_photo(folder / name, where + name, found)
        except OSError as error:
            found.faults.append(GroupFault(key, _unreadable(folder / name, error)))
            found.unlisted.append(folder / name)
            continue
        if not _is_text(name):
            found.faults.append(GroupFault(key, _not_utf8(folder / name)))
        elif first is None:
            found.skip(EMPTY_GROUP, where + name)
        else:
            match = GROUP_ID.match(first)
            yield Group(key._replace(group_id=match[1]) if match else key, folder, name)


def _first_photo(folder: Path, where: str, found: Discovery) -> str | None:
    """The name of 图片_1, or None. One pass over the folder, which counts everything that is not a photo."""
    photos = []
    for entry in _scan(folder):
        kind = _kind(entry)
        if kind is None:
            photos.append(entry.name)
        else:
            found.skip(kind, f"{where}/{entry.name}")
    return min(photos, key=natural_key) if len(photos) > 1 else next(iter(photos), None)


def _kind(entry: os.DirEntry[str]) -> str | None:
    """Why an entry of a group's folder is left out; None for a photo."""
    if entry.name.startswith("."):
        return HIDDEN
    if _is_folder(entry):
        return SUB_FOLDER
    return None if os.path.splitext(entry.name)[1].lower() in PHOTO_SUFFIXES else OTHER_TYPE  # noqa: PTH122 (speed)


def _sort_out_duplicates(groups: list[Group], found: Discovery) -> None:
    """Keeps the groups whose identity is unique and makes faults of the others, which would overwrite each other."""
    folders: dict[GroupKey, list[Path]] = {}
    seen: dict[GroupKey, Group] = {}
    for group in groups:
        first = seen.setdefault(group.key, group)
        if first is not group:
            folders.setdefault(group.key, [first.folder]).append(group.folder)
    found.groups.extend(group for group in groups if group.key not in folders)
    for key, places in folders.items():
        message = f"{key.group_id}: {len(places)} folders have this id: {', '.join(map(str, places))}"
        advice = "Merge the folders or remove all but one, then run again."
        found.faults.append(GroupFault(key, GroupFolderError(message, advice)))


def _folders(folder: Path, found: Discovery | None = None, prefix: str = "") -> list[str]:
    """The names of the sub-folders in natural order. Links are followed; everything else is counted."""
    names = []
    try:
        for entry in _scan(folder):
            if entry.name.startswith(".") or not _is_folder(entry):
                if found:
                    found.skip(HIDDEN if entry.name.startswith(".") else STRAY_FILE, prefix + entry.name)
                    if not _is_known(entry):
                        found.unlisted.append(folder / entry.name)
            else:
                names.append(entry.name)
    except OSError as error:
        message = f"{folder} cannot be read as a folder ({error.strerror or error})."
        raise InputError(f"{message} Give the folder that holds one folder per mission.") from error
    return sorted(names, key=natural_key)


def _scan(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from entries


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False


def _is_known(entry: os.DirEntry[str]) -> bool:
    """Whether the system says what the entry is. It does not for a link into a disk that is not there."""
    try:
        return entry.is_file() or not entry.is_symlink() or os.path.exists(entry.path)  # noqa: PTH110 (speed)
    except OSError:
        return False


def _is_text(name: str) -> bool:
    return name.isascii() or as_utf8(name) == name


def _unreadable(folder: Path, error: OSError) -> GroupFolderError:
    message = f"{folder}: the group's folder cannot be read ({error.strerror or error})"
    return GroupFolderError(message, "Check its permissions and the disk, then run again.")


def _not_utf8(path: Path) -> GroupFolderError:
    message = f"{printable(path)}: the name is not UTF-8, so that no output file can hold it"
    return GroupFolderError(message, "Rename it (`convmv -f gbk -t utf8` for names from a Chinese Windows).")


def _mission_missing(input_dir: Path, name: str, aliases: Sequence[str]) -> InputError:
    called = " or ".join((name, *aliases))
    if normalize("NFC", input_dir.name) in {normalize("NFC", known) for known in (name, *aliases)}:
        return InputError(f"{input_dir} is the mission's own folder: give its parent, {input_dir.parent}.")
    return InputError(f"{input_dir} holds no folder {called}, only {_listed(_folders(input_dir))}.")


def _labels_missing(mission: Path, folders: list[str]) -> InputError:
    message = f"{mission} holds no folder {' or '.join(LABELS)}, only {_listed(folders)}."
    for folder in folders[:100]:
        try:
            holds_photos = any(_kind(entry) is None for entry in _scan(mission / folder))
        except OSError:
            continue
        if holds_photos:
            return InputError(
                f"{message} {printable(folder)} holds photos: for groups without labels, use --layout flat."
            )
    return InputError(message)


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(printable, names[:10]))
    return (shown or "no folder at all") + (f", … ({len(names)} folders)" if len(names) > 10 else "")
