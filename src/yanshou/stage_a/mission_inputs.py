"""What a run of Stage-A reads: the groups of each mission, from folders of missions or from loose photos.

--input-dir /data --mission all      one MissionInput for every known mission that has a folder
--photos inbox --mission NAME        one MissionInput
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from yanshou.errors import InputError
from yanshou.inputs.discovery import Discovery, discover, mission_folders
from yanshou.inputs.layout import no_mission
from yanshou.inputs.photo_list import list_photos
from yanshou.inputs.unknown_folders import unknown_folders
from yanshou.missions import Mission, Missions
from yanshou.settings import ALL, StageASettings

UNKNOWN_NAMED = 50  # warnings about unknown folders, per mission


@dataclass(slots=True)
class MissionInput:
    """The groups of one mission, or why there are none."""

    mission: Mission
    found: Discovery
    error: str = ""  # why the mission cannot run
    unknown_folders: int = 0  # beside the missions' folders, reported with this mission
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def without_groups(cls, mission: Mission, error: str) -> "MissionInput":
        return cls(mission, Discovery(mission.name), error)

    def add_unknown(self, warning: str, input_dir: Path) -> None:
        """Counts a folder that is no mission's, and keeps the warnings about the first ones."""
        self.unknown_folders += 1
        if self.unknown_folders <= UNKNOWN_NAMED:
            self.warnings.append(warning)
        elif self.unknown_folders == UNKNOWN_NAMED + 1:
            self.warnings.append(f"{input_dir}: more folders are left out, which no mission knows")


def mission_inputs(known: Missions, settings: StageASettings) -> list[MissionInput]:
    """Finds the groups of every mission that the settings name. Raises UsageError and InputError."""
    if settings.input_dir is None:
        return [_loose(known.get(settings.missions[0]), settings.photos)]
    inputs = [_in_folders(mission, settings.input_dir, settings) for mission in _chosen(known, settings)]
    _report_unknown_folders(inputs, known, settings)
    return inputs


def _loose(mission: Mission, photos: Sequence[Path]) -> MissionInput:
    found = list_photos(photos, mission.name)
    read = MissionInput(mission, found, warnings=found.warnings())
    if not found.groups and not found.faults:
        read.error = f"{mission.name}: no photo in {', '.join(map(str, photos))}. Nothing to do."
    return read


def _in_folders(mission: Mission, input_dir: Path, settings: StageASettings) -> MissionInput:
    try:
        found = discover(input_dir, mission.name, mission.aliases, settings.layout or "labelled")
    except InputError as error:
        return MissionInput.without_groups(mission, str(error))
    read = MissionInput(mission, found, warnings=found.warnings())
    if not found.groups and not found.faults:
        read.error = f"{mission.name}: no group of photos in {input_dir}. Nothing to do."
    return read


def _chosen(known: Missions, settings: StageASettings) -> list[Mission]:
    """The missions to run, each once. "all" is every known one that has a folder; others may be named beside it."""
    assert settings.input_dir is not None, settings
    named = {mission.name: mission for mission in (known.get(name) for name in settings.missions if name != ALL)}
    if ALL not in settings.missions:
        return list(named.values())
    found = [m for m in known if mission_folders(settings.input_dir, m.name, m.aliases)]
    if not found and not named:
        raise no_mission(settings.input_dir, known.names, settings.layout or "labelled")
    return list(({mission.name: mission for mission in found} | named).values())


def _report_unknown_folders(inputs: Sequence[MissionInput], known: Missions, settings: StageASettings) -> None:
    """Warns about each unknown folder once: at the mission that it was probably meant for, else at the first one.

    Unless everything is to be read, only of the folders that were probably meant for one of these missions.
    """
    input_dir, everything = settings.input_dir, ALL in settings.missions
    assert input_dir is not None, settings
    try:
        folders, beside = unknown_folders(input_dir, known)
    except InputError:
        return  # every mission says so
    own = os.path.realpath(settings.output_dir)
    by_mission = {read.mission.name: read for read in inputs}
    for folder in folders:
        near = by_mission.get(folder.near.name) if folder.near else None
        if (near or everything) and os.path.realpath(input_dir / folder.name) != own:
            (near or inputs[0]).add_unknown(folder.warning(input_dir), input_dir)
    if everything:
        inputs[0].warnings += beside.warnings()
