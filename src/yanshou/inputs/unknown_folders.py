"""Folders beside those of the missions: a blank at the end of a name, and a whole mission would be missed.

--mission all     every folder that no mission knows gets a warning, with the mission that it was probably meant for
--mission NAME    only the folders that were probably meant for NAME get one
"""

from dataclasses import dataclass
from pathlib import Path

from yanshou.inputs.layout import quoted
from yanshou.inputs.listing import LeftOut, sub_folders
from yanshou.inputs.similar_names import guess
from yanshou.missions import Mission, Missions

UNPACK = "rename the folder, or unpack its archive again with the right encoding (`unzip -O gbk`)"


@dataclass(frozen=True, slots=True)
class UnknownFolder:
    """A folder whose name is no mission's."""

    name: str
    near: Mission | None  # the mission that it was probably meant for
    called: str = ""  # which of the mission's names is near
    garbled: bool = False  # its name is `called` in a wrong encoding

    def warning(self, input_dir: Path) -> str:
        left_out = f"{input_dir}: left out the folder {quoted([self.name])}: no mission has this name"
        if self.garbled:
            return f"{left_out}. It reads {self.called} in another encoding: {UNPACK}"
        if self.near:
            return f"{left_out}. If it is {self.called}, rename the folder"
        return f"{left_out}. --mission-file adds missions"


def unknown_folders(input_dir: Path, known: Missions) -> tuple[list[UnknownFolder], LeftOut]:
    """The folders that are no mission's, in natural order, and what else lies beside. Raises InputError."""
    beside = LeftOut(str(input_dir))
    names = [name for name in sub_folders(input_dir, beside) if name not in known]
    return [_unknown(name, known) for name in names], beside


def _unknown(name: str, known: Missions) -> UnknownFolder:
    near = guess(name, known.names)
    if near is None:
        return UnknownFolder(name, None)
    return UnknownFolder(name, known.get(near.name), near.name, near.garbled)
