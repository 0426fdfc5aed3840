"""The missions: one TOML file each, in this folder or in the user's own. Nothing else lists missions.

    name = "BBU安装方式检查（正装）"                     # names the folder and the output files
    aliases = ["BBU安装方式检查(正装)"]                  # other names of the same mission
    focus = "本检查项重点关注BBU设备和BBU安装螺丝。"      # ends the Stage-A prompt; also in the Stage-B prompt
    [rule]                                              # when a group passes: see yanshou.missions.rules
    text = "……"
    require = [["BBU设备"], ["螺丝、光纤插头/BBU安装螺丝,符合要求"]]
    forbid = ["*/不符合要求"]

A name or an alias belongs to one mission only. Names are compared in Unicode NFC, because file systems differ in it.
"""

import tomllib
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

from natsort import natsorted
from pydantic import AfterValidator, ValidationError

from yanshou.errors import InputError, UsageError
from yanshou.file_kind import find_kind
from yanshou.missions.rules import Condition, Pattern, PromptText, Rule
from yanshou.read_cure import read_cure
from yanshou.settings import ALL, Settings
from yanshou.text import excerpt, nfc
from yanshou.validation import validation_messages

__all__ = ["Condition", "Mission", "Missions", "Pattern", "Rule", "load_missions"]

NAME_BYTES = 80  # in UTF-8; file systems allow 255, and endings such as `_stage_a.errors.jsonl` are added


def _file_name(name: str) -> str:
    size = len(name.encode("utf-8", errors="replace"))
    if not name.isprintable() or "/" in name or name.startswith(".") or name != name.strip():
        raise ValueError(
            "a mission's name is part of file names: no /, no control characters, no leading ., no spaces around it"
        )
    if not 0 < size <= NAME_BYTES:
        raise ValueError(
            f"a mission's name is part of file names: 1 to {NAME_BYTES} bytes of UTF-8, this one has {size}"
        )
    if name == ALL:
        raise ValueError(f"{ALL} means every mission; choose another name")
    return name


Name = Annotated[str, AfterValidator(_file_name)]


class Mission(Settings):
    """One kind of check: what to look for in its photos, and when a group passes."""

    name: Name
    aliases: tuple[Name, ...] = ()
    focus: PromptText  # one Chinese sentence
    rule: Rule

    @property
    def names(self) -> tuple[str, ...]:
        """What a folder of the mission may be called."""
        return (self.name, *self.aliases)


class Missions:
    """The known missions, ordered by name."""

    def __init__(self, missions: Sequence[Mission]) -> None:
        self._missions = tuple(natsorted(missions, key=lambda mission: mission.name))
        self._by_key = {nfc(name): mission for mission in missions for name in mission.names}

    def get(self, name: str) -> Mission:
        """The mission with this name or alias. Raises UsageError."""
        if mission := self._by_key.get(nfc(name)):
            return mission
        known = ", ".join(map(_shown, self._missions))
        raise UsageError(f"unknown mission {excerpt(name)}. Known missions: {known}. --mission-file adds your own.")

    @property
    def names(self) -> list[str]:
        """The names and aliases of all missions."""
        return [name for mission in self._missions for name in mission.names]

    def __contains__(self, name: str) -> bool:
        return nfc(name) in self._by_key

    def __iter__(self) -> Iterator[Mission]:
        return iter(self._missions)

    def __len__(self) -> int:
        return len(self._missions)


def load_missions(files: Sequence[Path] = ()) -> Missions:
    """yanshou's own missions and those of the files; a folder means its *.toml. Raises InputError."""
    missions: list[Mission] = []
    owners: dict[str, str] = {}  # name or alias → its file
    own = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".toml")]
    for file in (*own, *(toml for path in files for toml in _tomls(path))):
        mission = _read(file)
        for name in mission.names:
            if owner := owners.get(nfc(name)):
                raise InputError(f"{file}: the name or alias {name} is already used by {owner}. Choose another one.")
            owners[nfc(name)] = str(file)
        missions.append(mission)
    return Missions(missions)


def _tomls(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = natsorted(path.glob("*.toml"), key=lambda file: file.name)
    if not found:
        raise InputError(f"{path}: no *.toml in this folder. Each mission is one TOML file.")
    return found


def _read(file: Traversable | Path) -> Mission:
    try:
        data = file.read_bytes()
        return Mission.model_validate(tomllib.loads(data.decode("utf-8-sig")))
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}. {read_cure(error)}") from error
    except ValidationError as error:
        raise InputError(f"{file}: {'; '.join(validation_messages(error))}. Correct the file.") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        kind = find_kind(data.removeprefix(BOM_UTF8))
        what = f"the whole file is {kind.what}: {kind.cure}" if kind else f"{error}. Correct the file"
        raise InputError(f"{file}: not a TOML file in UTF-8: {what}.") from error


def _shown(mission: Mission) -> str:
    return mission.name + (f" (also {', '.join(mission.aliases)})" if mission.aliases else "")
