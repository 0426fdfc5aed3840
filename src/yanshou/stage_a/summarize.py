"""Stage-A: mission folders in, `<mission>_stage_a.jsonl` out.

results = summarize_directory(StageASettings(input_dir=…, output_dir=…, missions=("all",), engine=…))
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar
from unicodedata import normalize

from yanshou.engines.base import Engine, RunPlan
from yanshou.errors import GroupFolderError, InputError
from yanshou.inputs.discovery import Discovery, Group, discover, mission_folders
from yanshou.inputs.layout import no_mission
from yanshou.inputs.unknown_folders import UnknownFolder, unknown_folders
from yanshou.missions import Mission, Missions, load_missions
from yanshou.missions.prompts import summary_prompt
from yanshou.pipeline.listener import Listener
from yanshou.pipeline.mission_result import MissionResult
from yanshou.pipeline.outcome import AnswerCallback, Outcome
from yanshou.pipeline.stage import MissionTask, Stage
from yanshou.pipeline.stale_lines import AbsentLines
from yanshou.pipeline.vanished import vanished
from yanshou.schema.prompt import Prompt
from yanshou.schema.records import StageARecord
from yanshou.settings import ALL, StageASettings
from yanshou.stage_a.assembly import GroupAssembler
from yanshou.stage_a.stale_lines import InputTree, absent_lines, is_same_folder
from yanshou.storage.lines_file import LinesFile
from yanshou.storage.settings_diff import Change
from yanshou.text import printable

UNKNOWN_NAMED = 50  # warnings about unknown folders


def summarize_directory(
    settings: StageASettings, engine: Engine | None = None, listener: Listener | None = None
) -> list[MissionResult]:
    """Summarises the missions that the settings name; `engine` overrides the settings' engine.

    Raises UsageError, InputError and CheckpointError for what concerns every mission. What concerns one mission is in
    its result.
    """
    return prepare(settings, engine, listener).run()


def prepare(settings: StageASettings, engine: Engine | None = None, listener: Listener | None = None) -> Stage:
    """Finds the groups, and only then loads the checkpoint. The stage is ready to run."""
    from yanshou.engines import load_engine

    known = load_missions(settings.mission_files)
    missions = chosen(known, settings)
    discoveries = [_discover(mission, settings) for mission in missions]
    engine = engine or load_engine(settings.engine)
    tasks = [
        SummarizeTask(mission, found, settings, engine, error)
        for mission, (found, error) in zip(missions, discoveries, strict=True)
    ]
    tasks += [
        SummarizeTask(mission, Discovery(mission.name), settings, engine, error)
        for mission, error in _vanished([mission for mission in known if mission not in missions], settings)
    ]
    _report_unknown_folders(tasks, known, settings)
    return Stage(
        tasks, engine, settings.output_dir, fresh=settings.fresh, prune_share=settings.prune_share, listener=listener
    )


def chosen(known: Missions, settings: StageASettings) -> list[Mission]:
    """The missions to run, each once. "all" is every known one that has a folder; others may be named beside it."""
    named = {mission.name: mission for mission in (known.get(name) for name in settings.missions if name != ALL)}
    if ALL not in settings.missions:
        return list(named.values())
    found = [m for m in known if mission_folders(settings.input_dir, m.name, m.aliases)]
    if not found and not named:
        raise no_mission(settings.input_dir, known.names, settings.layout)
    return list(({mission.name: mission for mission in found} | named).values())


def _discover(mission: Mission, settings: StageASettings) -> tuple[Discovery, str]:
    """What the mission's folder holds, and why it cannot be used, or ""."""
    try:
        found = discover(settings.input_dir, mission.name, mission.aliases, settings.layout)
    except InputError as error:
        return Discovery(mission.name), str(error)
    if found.groups or found.faults:
        return found, ""
    return found, f"{mission.name}: no group of photos in {settings.input_dir}. Nothing to do."


def _vanished(missions: Sequence[Mission], settings: StageASettings) -> Iterator[tuple[Mission, str]]:
    """The missions that "all" passes over although there are lines from this input folder, each with an error."""
    if ALL not in settings.missions or settings.limit is not None:
        return

    def came_from_here(inputs: Sequence[str]) -> bool:
        return any(is_same_folder(path, settings.input_dir) for path in inputs)

    for mission, lines in vanished(missions, settings.output_dir, SummarizeTask, came_from_here):
        yield (
            mission,
            f"{printable(lines)} has lines from {printable(settings.input_dir)}, where {mission.name} is no longer a "
            "folder. Put the folder back, or move the lines and the files beside them to another folder.",
        )


def _report_unknown_folders(tasks: Sequence["SummarizeTask"], known: Missions, settings: StageASettings) -> None:
    """Warns about each unknown folder once: at the mission that it was probably meant for, else at the first one.

    With named missions, only of the folders that were probably meant for one of them.
    """
    try:
        folders, beside = unknown_folders(settings.input_dir, known)
    except InputError:
        return  # every mission says so
    by_mission = {task.mission.name: task for task in tasks}
    everywhere = ALL in settings.missions
    for folder in folders:
        task = by_mission.get(folder.near.name) if folder.near else None
        if task or everywhere:
            (task or tasks[0]).add_unknown(folder)
    if everywhere:
        tasks[0].warnings += beside.warnings()


class SummarizeTask(MissionTask[Group, StageARecord]):
    """The groups of photos of one mission."""

    kind = "stage_a"
    record_type = StageARecord
    may_change: ClassVar[Mapping[str, Change]] = {  # these can repair a failed group
        "sampling.max_new_tokens": "grow",
        "allow_truncated": "any",
    }

    def __init__(
        self, mission: Mission, found: Discovery, settings: StageASettings, engine: Engine, error: str = ""
    ) -> None:
        super().__init__(mission, found.groups, settings.limit)
        self.present |= {fault.key for fault in found.faults}
        self.unusable = [Outcome.failed(fault.key, fault.error) for fault in found.faults]
        self.warnings, self.error = found.warnings(), error
        self.inputs = [str(settings.input_dir.absolute())]
        self._settings, self._engine, self._found = settings, engine, found

    def add_unknown(self, folder: UnknownFolder) -> None:
        """Counts a folder that is no mission's, and warns about the first ones."""
        self.unknown_folders += 1
        if self.unknown_folders <= UNKNOWN_NAMED:
            self.warnings.append(folder.warning(self._settings.input_dir))
        elif self.unknown_folders == UNKNOWN_NAMED + 1:
            self.warnings.append(f"{self._settings.input_dir}: more folders are left out, which no mission knows")

    @cached_property
    def prompt(self) -> Prompt:
        """Read once, so that the prompt on record is the one that the model gets."""
        return summary_prompt(self.mission, self._settings.prompts)

    def settings(self) -> dict[str, Any]:
        return {
            **self._engine.identity(),
            "photo": self._settings.engine.photo.model_dump(mode="json"),
            "sampling": self._settings.engine.sampling.model_dump(mode="json"),
            "prompts": {"system": self.prompt.system, "user": self.prompt.user},
            "allow_truncated": self._settings.allow_truncated,
        }

    def environment(self, earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        self._engine.prepare_run(RunPlan(self.prompt, photos=True, earlier=earlier))
        return {"input_dir": str(self._settings.input_dir.absolute()), **self._engine.environment()}

    def absent(self, lines: LinesFile[StageARecord], inputs: Sequence[str]) -> AbsentLines:
        names = frozenset(normalize("NFC", name) for name in (self.mission.name, *self.mission.aliases))
        tree = InputTree(self._settings.input_dir, names, self._found.groups, self._found.unlisted)
        return absent_lines(lines, self.present, tree)

    def check(self, group: Group, freshness: str | None) -> GroupFolderError | None:
        """A line whose photos are no longer those on disk is an error."""
        if freshness is None:
            return None
        try:
            names = [photo.name for photo in group.photos()]
        except GroupFolderError as error:
            return error
        if "/".join(names) == freshness:
            return None
        return GroupFolderError(
            f"{group.folder}: its line was written from {', '.join(freshness.split('/'))}; now there are "
            f"{', '.join(names)}",
            "put the photos back, or delete the group's line from the output and run again",
        )

    def outcomes(self, pending: Sequence[Group], on_answer: AnswerCallback) -> Iterator[Outcome[StageARecord]]:
        return GroupAssembler(self._engine, self.prompt, self._settings.allow_truncated, on_answer).run(pending)
