"""What is wrong with the layout of an input folder, in words, and the layout that is wanted.

error: /data/挡风板安装检查 is a mission's own folder: give its parent, /data. Expected:
  <input-dir>/
  └── <mission>/
      ├── 审核通过/
      │   └── <group>/*.jpg
      └── 审核不通过/
          └── <group>/*.jpg
      <mission>: 挡风板安装检查
"""

from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path

from yanshou.errors import InputError
from yanshou.inputs.label_folders import LABELS, label_of, meant_label
from yanshou.inputs.listing import is_folder, is_hidden, is_photo_name, scan, sub_folders
from yanshou.inputs.similar_names import guess
from yanshou.settings import Layout
from yanshou.text import nfc, printable

TREES = {
    "labelled": """
  <input-dir>/
  └── <mission>/
      ├── 审核通过/
      │   └── <group>/*.jpg
      └── 审核不通过/
          └── <group>/*.jpg""",
    "flat": """
  <input-dir>/
  └── <mission>/
      └── <group>/*.jpg""",
}
LOOKED_AT = 100  # sub-folders, for what they hold


def mission_missing(input_dir: Path, names: Collection[str], layout: Layout = "labelled") -> InputError:
    """Why the input folder holds no folder with one of the mission's names. Raises InputError if it cannot be read."""
    folders = sub_folders(input_dir)
    if cause := _too_deep(input_dir, folders, names):
        return InputError(cause + _wanted(names, layout))
    message = f"{printable(input_dir)} holds no folder {' or '.join(names)}{_only(folders)}."
    if near := _near(folders, names):
        return InputError(f"{message} {near}")
    if any(any(map(label_of, _inside(input_dir / folder))) for folder in folders[:LOOKED_AT]):
        return InputError(message)  # the layout is right
    return InputError((_other_content(input_dir, folders, names) or message) + _wanted(names, layout))


def no_mission(input_dir: Path, known: Collection[str], layout: Layout = "labelled") -> InputError:
    """Why the input folder holds no folder of any known mission. `known`: names and aliases."""
    folders = sub_folders(input_dir)
    cause = _too_deep(input_dir, folders, known)
    if not cause and (near := _near(folders, known)):
        cause = f"{printable(input_dir)}: no folder of a known mission is here{_only(folders)}. {near}"
    cause = cause or _other_content(input_dir, folders, known)
    cause = cause or f"{printable(input_dir)}: no folder of a known mission is here{_only(folders)}."
    return InputError(cause + _wanted(known, layout))


def labels_missing(mission: Path, folders: Collection[str]) -> InputError:
    """Why the mission's folder, which holds `folders`, has no label folder."""
    where = printable(mission)
    message = f"{where} holds no folder {' or '.join(LABELS)}{_only(folders)}."
    if meant := {folder: label for folder in folders if (label := meant_label(folder))}:
        renamed = ", ".join(f"{quoted([folder])} to {label}" for folder, label in islice(meant.items(), 10))
        return InputError(f"{message} If these are the labels, rename {renamed}.")
    if _names(mission.name) & _names(*folders):
        return InputError(f"{message} The mission's folder is inside another one of its name: give {where}.")
    for folder in islice(folders, LOOKED_AT):
        if holds_photos(mission / folder):
            return InputError(
                f"{message} {printable(folder)} holds photos: for groups without labels, use --layout flat."
            )
    if holds_photos(mission):
        return InputError(f"{message} {_read_as_photos(mission)}")
    return InputError(message + _wanted([mission.name], "labelled"))


def holds_photos(folder: Path) -> bool:
    """Whether photos are in the folder itself."""
    return any(is_photo_name(name) for name in _files(folder))


def quoted(names: Iterable[str]) -> str:
    """Names in quotes: blanks at their ends show."""
    return ", ".join(f"'{printable(name)}'" for name in names)


def _too_deep(input_dir: Path, folders: Collection[str], known: Collection[str]) -> str:
    """What the folder is, if it lies below the level that is wanted; else ""."""
    here, place = input_dir.absolute(), printable(input_dir)
    if label_of(here.name):
        return f"{place} is a label's folder: give the folder above its mission, {_above(here, 2)}."
    if label_of(here.parent.name) and holds_photos(here):
        cause = f"{place} is one group's folder: give the folder above its mission, {_above(here, 3)}."
        return f"{cause} {_read_as_photos(input_dir)}"
    if _names(here.name) & _names(*known):
        return f"{place} is the mission's own folder: give its parent, {_above(here, 1)}."
    if any(map(label_of, folders)):
        return f"{place} is a mission's own folder: give its parent, {_above(here, 1)}."
    return ""


def _other_content(input_dir: Path, folders: Collection[str], known: Collection[str]) -> str:
    """What the folder holds in place of missions, if that is something known; else ""."""
    place = printable(input_dir)
    files = _files(input_dir)
    if joined := [name for name in files if "\\" in name]:
        return (
            f"{place} holds no mission's folder, but files with whole paths as their names ({quoted(joined[:1])}). "
            "Unpack the archive again with a program that reads \\ as a separator (`7z x`)."
        )
    if any(map(is_photo_name, files)):
        return f"{place} holds photos, and no mission's folder. {_read_as_photos(input_dir)}"
    for folder in islice(folders, LOOKED_AT):
        if _names(*_inside(input_dir / folder)) & _names(*known):
            inner = printable(input_dir / folder)
            return f"{place} holds no mission's folder, but its folder {printable(folder)} does: give {inner}."
    for folder in islice(folders, LOOKED_AT):
        if holds_photos(input_dir / folder):
            found = f"folders of photos ({printable(folder)})"
            return f"{place} holds {found}, and no mission's folder. {_read_as_photos(input_dir)}"
    return "" if folders else f"{place} holds no folder at all."


def _near(folders: Collection[str], known: Collection[str]) -> str:
    """Which folders are probably those of missions."""
    pairs = [(folder, near.name) for folder in islice(folders, 10 * LOOKED_AT) if (near := guess(folder, known))]
    return " ".join(f"If {quoted([folder])} is {name}, rename it." for folder, name in pairs[:10])


def _wanted(names: Iterable[str], layout: Layout) -> str:
    return f" Expected:{TREES[layout]}\n  <mission>: {', '.join(names)}"


def _only(folders: Collection[str]) -> str:
    shown = ", ".join(map(printable, islice(folders, 10)))
    more = f", … ({len(folders)} folders)" if len(folders) > 10 else ""
    return f", only {shown}{more}" if folders else ", and no folder at all"


def _read_as_photos(folder: Path) -> str:
    return f"To read its photos without labels, give --photos {printable(folder)} in place of --input-dir."


def _above(folder: Path, levels: int) -> str:
    return printable((folder, *folder.parents)[: levels + 1][-1])


def _names(*names: str) -> set[str]:
    return {nfc(name) for name in names}


def _inside(folder: Path) -> list[str]:
    try:
        return sub_folders(folder)
    except InputError:
        return []


def _files(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in scan(folder) if not is_hidden(entry.name) and not is_folder(entry))
    except OSError:
        return []
