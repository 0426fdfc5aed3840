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

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from yanshou.errors import GroupFolderError, InputError
from yanshou.inputs.listing import (
    EMPTY_GROUP,
    is_text,
    natural_key,
    not_a_photo,
    not_utf8,
    scan,
    sub_folders,
    unreadable,
)
from yanshou.schema.records import GroupKey, Label
from yanshou.settings import Layout
from yanshou.text import as_utf8, printable

GROUP_ID = re.compile(r"^(QC-[A-Za-z]+-[0-9]{8}-[0-9]+)")
LABELS: dict[str, Label] = {"审核通过": "pass", "审核不通过": "fail"}

UNKNOWN_LABEL = "folder that is not a label"

NAMES_SHOWN = 3  # in a warning; "…" for the others


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
            names = [entry.name for entry in scan(self.folder) if not_a_photo(entry) is None]
        except OSError as error:
            raise unreadable(self.folder, error) from error
        if not names:
            raise GroupFolderError(f"{self.folder}: the photos are gone", "Put them back, then run again.")
        for name in names:
            if not is_text(name):
                raise not_utf8(self.folder / name)
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
    return [input_dir / folder for folder in sub_folders(input_dir) if normalize("NFC", folder) in wanted]


def _label_folders(mission: Path, layout: Layout, found: Discovery) -> Iterator[tuple[Label | None, Path]]:
    folders = sub_folders(mission, found)
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
    for name in sub_folders(folder, found if where else None, where):
        key = template._replace(group_id=normalize("NFC", as_utf8(name)))
        try:
            first = _first_photo(folder / name, where + name, found)
        except OSError as error:
            found.faults.append(GroupFault(key, unreadable(folder / name, error)))
            found.unlisted.append(folder / name)
            continue
        if not is_text(name):
            found.faults.append(GroupFault(key, not_utf8(folder / name)))
        elif first is None:
            found.skip(EMPTY_GROUP, where + name)
        else:
            match = GROUP_ID.match(first)
            yield Group(key._replace(group_id=match[1]) if match else key, folder, name)


def _first_photo(folder: Path, where: str, found: Discovery) -> str | None:
    """The name of 图片_1, or None. One pass over the folder, which counts everything that is not a photo."""
    photos = []
    for entry in scan(folder):
        kind = not_a_photo(entry)
        if kind is None:
            photos.append(entry.name)
        else:
            found.skip(kind, f"{where}/{entry.name}")
    return min(photos, key=natural_key) if len(photos) > 1 else next(iter(photos), None)


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


def _mission_missing(input_dir: Path, name: str, aliases: Sequence[str]) -> InputError:
    called = " or ".join((name, *aliases))
    if normalize("NFC", input_dir.name) in {normalize("NFC", known) for known in (name, *aliases)}:
        return InputError(f"{input_dir} is the mission's own folder: give its parent, {input_dir.parent}.")
    return InputError(f"{input_dir} holds no folder {called}, only {_listed(sub_folders(input_dir))}.")


def _labels_missing(mission: Path, folders: list[str]) -> InputError:
    message = f"{mission} holds no folder {' or '.join(LABELS)}, only {_listed(folders)}."
    for folder in folders[:100]:
        try:
            holds_photos = any(not_a_photo(entry) is None for entry in scan(mission / folder))
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
