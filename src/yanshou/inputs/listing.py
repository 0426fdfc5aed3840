"""What a folder holds: sub-folders and photos by name, in natural order.

Names are ordered naturally (2 before 10), then by the plain name (`01` before `1`), so the order never depends on the
disk. Links are followed. Names that start with a dot, and folders that systems make for themselves, are hidden.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from natsort import natsort_keygen

from yanshou.errors import GroupFolderError, InputError
from yanshou.read_cure import read_cure
from yanshou.schema.records import TRUTH
from yanshou.text import as_utf8, printable

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")  # compared without case
SYSTEM_FOLDERS = frozenset(
    {
        "__MACOSX",  # a zip archive made by macOS
        "@eaDir", "#recycle",  # a Synology NAS
        "@Recycle", "@Recently-Snapshot",  # a QNAP NAS
        "$RECYCLE.BIN", "System Volume Information",  # a disk formatted by Windows
        "lost+found",  # a disk formatted by Linux
    }
)  # fmt: skip

GIVE_PARENT = "Give the folder that holds one folder per mission."
NAMES_SHOWN = 3  # in a warning; "…" for the others

UNKNOWN_LABEL = "folder that is not a label"
EMPTY_GROUP = "group without photos"
STRAY_FILE = "file outside a group folder"
LOST_LINK = "link that leads to nothing"
HIDDEN = "hidden file or folder"
SUB_FOLDER = "folder inside a group"
OTHER_TYPE = "file that is not JPEG or PNG by its name"
EMPTY_FOLDER = "folder without photos"
REPEATED_FOLDER = "folder that was read already"
REPEATED_PHOTO = "photo that its group has already"

_natural = natsort_keygen()


@dataclass(slots=True)
class Skipped:
    """The number of things of one kind that are left out, and the first few names."""

    count: int = 0
    names: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was not read, by kind."""

    where: str  # begins every warning; the names are relative to it
    skipped: dict[str, Skipped] = field(default_factory=dict)  # by kind
    hints: list[str] = field(default_factory=list)  # what to do about some of it
    unlisted: list[Path] = field(default_factory=list)  # folders whose content is unknown: no permission, a lost disk

    def skip(self, kind: str, name: str) -> None:
        """Counts one thing that is left out."""
        skipped = self.skipped.setdefault(kind, Skipped())
        skipped.count += 1
        if len(skipped.names) < NAMES_SHOWN:
            skipped.names.append(printable(name))

    def warnings(self) -> list[str]:
        """One line per kind that is left out: `挡风板安装检查: left out 1 × folder that is not a label: 待定`."""
        counted = [
            f"{self.where}: left out {skipped.count} × {kind}: {', '.join(skipped.names)}"
            + (", …" if skipped.count > len(skipped.names) else "")
            for kind, skipped in self.skipped.items()
        ]
        return counted + [f"{self.where}: {hint}" for hint in self.hints]


def natural_key(name: str) -> tuple[object, str]:
    """The sort key of natural order. Different names never compare as equal."""
    return _natural(name), name


def scan(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    """The entries of a folder, in any order. Raises OSError."""
    with os.scandir(folder) as entries:
        yield from entries


def sub_folders(folder: Path, left_out: LeftOut | None = None, prefix: str = "") -> list[str]:
    """The names of the sub-folders in natural order; everything else is left out. Raises InputError."""
    names = []
    try:
        for entry in scan(folder):
            hidden = is_hidden(entry.name)
            if hidden or not is_folder(entry):
                if left_out and entry.name != TRUTH:
                    known = _is_known(entry)
                    left_out.skip(HIDDEN if hidden else STRAY_FILE if known else LOST_LINK, prefix + entry.name)
                    if not known:
                        left_out.unlisted.append(folder / entry.name)
            else:
                names.append(entry.name)
    except OSError as error:
        message = f"{folder} cannot be read as a folder ({error.strerror or error})."
        raise InputError(f"{message} {read_cure(error, GIVE_PARENT)}") from error
    return sorted(names, key=natural_key)


def not_a_photo(entry: os.DirEntry[str]) -> str | None:
    """Why an entry of a folder of photos is left out; None for a photo, which need not be readable."""
    if entry.name.startswith("."):
        return HIDDEN
    if is_folder(entry):
        return SUB_FOLDER
    return None if is_photo_name(entry.name) else OTHER_TYPE


def is_photo_name(name: str) -> bool:
    return name.lower().endswith(PHOTO_SUFFIXES)


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name in SYSTEM_FOLDERS


def is_folder(entry: os.DirEntry[str]) -> bool:
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


def is_text(name: str) -> bool:
    """Whether an output file can hold the name."""
    return name.isascii() or as_utf8(name) == name


def unreadable(folder: Path, error: OSError) -> GroupFolderError:
    message = f"{folder}: the group's folder cannot be read ({error.strerror or error})"
    return GroupFolderError(message, "Check its permissions and the disk, then run again.")


def not_utf8(path: Path) -> GroupFolderError:
    message = f"{printable(path)}: the name is not UTF-8, so that no output file can hold it"
    return GroupFolderError(message, "Rename it (`convmv -f gbk -t utf8` for names from a Chinese Windows).")
