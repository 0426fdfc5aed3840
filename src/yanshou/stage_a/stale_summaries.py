"""Which lines lost their group: its folder was moved to the other label, renamed, deleted, or has another id now.

    /data/bbu_groups / 挡风板安装检查 / 审核通过 / QC-1 / 1.jpg      the path of a line's first photo
    └── root ──────┘ └────────── place ──────────┘

A line belongs to this run's input only if its root is the input folder, or leads to the same folder, and its place is
one of the mission. Roots are compared as they are written and with links resolved; names in Unicode NFC.

The group that has the photos now is the one in the same folder; otherwise the one that has photos of the same names
and summaries, if only one has them, or only one whose folder has the same name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from yanshou.errors import GroupFolderError
from yanshou.inputs.discovery import Group
from yanshou.pipeline.stale_lines import NAMED, AbsentLines, real_path, short_name
from yanshou.schema.records import GroupKey, StageARecord
from yanshou.storage.lines_file import LinesFile
from yanshou.text import nfc

Place = tuple[str, ...]  # mission folder, label folder (not in the flat layout), group folder; in NFC


@dataclass(frozen=True, slots=True)
class InputTree:
    """The folders that a run reads for one mission."""

    root: Path  # --input-dir
    names: frozenset[str]  # of the mission's folder: its name and aliases, in NFC
    groups: Sequence[Group]
    unlisted: Sequence[Path] = ()  # folders that could not be listed
    _same: dict[str, bool] = field(default_factory=dict)  # roots of lines: whether they are this root

    def place(self, record: StageARecord) -> Place | None:
        """Where the line's photos lay in this tree; None: elsewhere."""
        parts = Path(record.images[0]).parts
        depth = 2 if record.label is None else 3
        root, place = parts[: -depth - 1], tuple(map(nfc, parts[-depth - 1 : -1]))
        return place if root and place[0] in self.names and self._is_root(str(Path(*root))) else None

    def place_of(self, folder: Path) -> Place:
        """The place of a folder that this run read."""
        return tuple(map(nfc, folder.relative_to(self.root).parts))

    def is_unlisted(self, place: Place) -> bool:
        """Whether the place is one of the folders that could not be listed, or below one."""
        return any(place[: len(folder)] == folder for folder in map(self.place_of, self.unlisted))

    def _is_root(self, folder: str) -> bool:
        if folder not in self._same:
            self._same[folder] = is_same_folder(folder, self.root)
        return self._same[folder]


def is_same_folder(recorded: str, folder: Path) -> bool:
    """Whether an absolute path of an earlier run is the folder, or leads to it."""
    if nfc(recorded) == nfc(str(folder.absolute())):
        return True
    return Path(recorded).is_absolute() and nfc(real_path(recorded)) == nfc(real_path(folder))


class _Photos(NamedTuple):
    """What is known about the photos of a stale line."""

    key: GroupKey
    place: Place
    summaries: frozenset[tuple[str, str]]  # name and summary of each photo


def absent_lines(lines: LinesFile[StageARecord], present: set[GroupKey], tree: InputTree) -> AbsentLines:
    """Sorts the lines whose group is not in the input. Reads the file once, and once more if lines are stale."""
    stale: dict[int, GroupKey] = {}
    first: list[_Photos] = []
    elsewhere = unlisted = 0
    for number, record in lines.numbered():
        if record.key in present:
            continue
        place = tree.place(record)
        if place is None:
            elsewhere += 1
        elif tree.is_unlisted(place):
            unlisted += 1
        else:
            stale[number] = record.key
            if len(first) < NAMED:
                first.append(_Photos(record.key, place, _summaries(record)))
    groups = {**_moved(first, lines.records(), present), **_in_place(first, tree)} if first else {}
    now = {key: f"whose photos are now in group {short_name(group)}" for key, group in groups.items()}
    return AbsentLines(stale, now, elsewhere, unlisted)


def _in_place(stale: Sequence[_Photos], tree: InputTree) -> Mapping[GroupKey, GroupKey]:
    """The groups that are now in the folder of a stale line, and still hold one of its photos."""
    folders = {photos.place[-1] for photos in stale}
    groups = [group for group in tree.groups if nfc(group.name) in folders]
    return {
        photos.key: group.key
        for photos in stale
        for group in groups
        if tree.place_of(group.folder) == photos.place and not _names(group).isdisjoint(dict(photos.summaries))
    }


def _moved(
    stale: Sequence[_Photos], records: Iterable[StageARecord], present: set[GroupKey]
) -> Mapping[GroupKey, GroupKey]:
    """The groups that have the photos of a stale line, by name and summary, where it is clear which one it is."""
    found: dict[GroupKey, list[tuple[GroupKey, str]]] = {photos.key: [] for photos in stale}
    for record in records:
        if record.key in present:
            here = _summaries(record)
            for photos in stale:
                if photos.summaries <= here:
                    found[photos.key].append((record.key, nfc(Path(record.images[0]).parent.name)))
    moved = {}
    for photos in stale:
        groups = found[photos.key]
        same_name = [key for key, folder in groups if folder == photos.place[-1]]
        if len(clear := same_name or [key for key, _ in groups]) == 1:
            moved[photos.key] = clear[0]
    return moved


def _summaries(record: StageARecord) -> frozenset[tuple[str, str]]:
    return frozenset(
        (nfc(Path(image).name), text) for image, text in zip(record.images, record.clean_texts, strict=True)
    )


def _names(group: Group) -> set[str]:
    try:
        return {nfc(photo.name) for photo in group.photos()}
    except GroupFolderError:
        return set()
