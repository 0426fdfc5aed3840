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

from yanshou.errors import GroupFolderError, InputError
from yanshou.inputs.label_folders import label_of, meant_label
from yanshou.inputs.layout import labels_missing, mission_missing, quoted
from yanshou.inputs.listing import (
    EMPTY_GROUP,
    LOST_LINK,
    UNKNOWN_LABEL,
    LeftOut,
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
from yanshou.text import as_utf8, nfc

GROUP_ID = re.compile(r"^(QC-[A-Za-z]+-[0-9]{8}-[0-9]+)")


@dataclass(frozen=True, slots=True)
class Group:
    """One job: its identity and its folder."""

    key: GroupKey
    parent: Path  # one object for all groups of a label, which keeps 60,000 groups small
    name: str  # of the group's folder

    @property
    def folder(self) -> Path:
        return Path(f"{self.parent}/{self.name}")  # `parent / name` would keep the name in Python's table of names

    def photos(self) -> list[Path]:
        """The photos in natural order, at least one. Reads the folder at each call."""
        folder = self.folder
        try:
            names = [entry.name for entry in scan(folder) if not_a_photo(entry) is None]
        except OSError as error:
            raise unreadable(folder, error) from error
        if not names:
            raise GroupFolderError(f"{folder}: the photos are gone", "Put them back, then run again.")
        for name in names:
            if not is_text(name):
                raise not_utf8(folder / name)
        return [folder / name for name in sorted(names, key=natural_key)]


@dataclass(frozen=True, slots=True)
class GroupFault:
    """A group that cannot be processed, known before any photo is read."""

    key: GroupKey
    error: GroupFolderError


@dataclass(frozen=True, slots=True)
class Discovery(LeftOut):
    """What is in the folder of a mission. `where` is the mission's name."""

    groups: list[Group] = field(default_factory=list)  # in natural order: the input order of a run
    faults: list[GroupFault] = field(default_factory=list)


def discover(input_dir: Path, name: str, aliases: Sequence[str] = (), layout: Layout = "labelled") -> Discovery:
    """All groups of the mission `name`, whose folder may also have the name of an alias."""
    found = Discovery(name)
    missions = mission_folders(input_dir, name, aliases, found)
    if not missions:
        raise mission_missing(input_dir, (name, *aliases), layout)
    groups = [
        group
        for mission in missions
        for label, folder in _label_folders(mission, layout, found)
        for group in _groups(folder, GroupKey(name, label, ""), mission, found)
    ]
    _sort_out_duplicates(groups, found)
    return found


def mission_folders(
    input_dir: Path, name: str, aliases: Sequence[str] = (), found: Discovery | None = None
) -> list[Path]:
    """The folders of one mission: none if it is absent, several if its name and its aliases are in use side by side.

    `found` learns of those that are links to a disk that is not there.
    """
    wanted = {nfc(called) for called in (name, *aliases)}
    beside = LeftOut(name)
    folders = [input_dir / folder for folder in sub_folders(input_dir, beside) if nfc(folder) in wanted]
    for lost in beside.unlisted:
        if found and nfc(lost.name) in wanted:
            found.skip(LOST_LINK, lost.name)
            found.unlisted.append(lost)
    return folders


def _label_folders(mission: Path, layout: Layout, found: Discovery) -> Iterator[tuple[Label | None, Path]]:
    folders = sub_folders(mission, found)
    labels = {folder: label for folder in folders if (label := label_of(folder))}
    if layout == "flat":
        if labels:
            raise InputError(f"{mission} has label folders ({', '.join(labels)}): read it with --layout labelled.")
        yield None, mission
        return
    if not labels:
        raise labels_missing(mission, folders)
    for folder in folders:
        if folder in labels:
            yield labels[folder], mission / folder
        else:
            found.skip(UNKNOWN_LABEL, folder)
            if meant := meant_label(folder):
                found.hints.append(f"if {quoted([folder])} is the label {meant}, rename the folder")


def _groups(folder: Path, template: GroupKey, mission: Path, found: Discovery) -> Iterator[Group]:
    """The groups of one label folder. Those that cannot be read are added to the faults."""
    where = "" if folder == mission else f"{folder.name}/"  # in the flat layout the stray files are counted already
    for name in sub_folders(folder, found if where else None, where):
        try:
            first = _first_photo(f"{folder}/{name}", where + name, found)
        except OSError as error:
            found.faults.append(GroupFault(_key(template, as_utf8(name)), unreadable(folder / name, error)))
            found.unlisted.append(folder / name)
            continue
        if not is_text(name):
            found.faults.append(GroupFault(_key(template, as_utf8(name)), not_utf8(folder / name)))
        elif first is None:
            found.skip(EMPTY_GROUP, where + name)
            if not where and (meant := meant_label(name)):
                found.hints.append(f"if {quoted([name])} is the label {meant}, rename it and use --layout labelled")
        else:
            match = GROUP_ID.match(first)
            group_id = name if match is None or match[1] == name else match[1]  # one text for both, where they agree
            yield Group(_key(template, group_id), folder, name)


def _key(template: GroupKey, group_id: str) -> GroupKey:
    return GroupKey(template.mission, template.label, nfc(group_id))


def _first_photo(folder: str, where: str, found: Discovery) -> str | None:
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
