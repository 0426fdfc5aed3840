"""Stage-A: mission folders or loose photos in, `<mission>_stage_a.jsonl` out.

results = summarize_directory(StageASettings(input_dir=…, output_dir=…, missions=("all",), engine=…))
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from yanshou.engines.base import Engine, RunPlan
from yanshou.errors import GroupFolderError
from yanshou.inputs.discovery import Group
from yanshou.missions import Mission, load_missions
from yanshou.missions.prompts import summary_prompt
from yanshou.pipeline.listener import Listener
from yanshou.pipeline.mission_result import MissionResult
from yanshou.pipeline.mission_task import MissionTask
from yanshou.pipeline.outcome import AnswerCallback, Outcome
from yanshou.pipeline.stage import Stage
from yanshou.pipeline.stale_lines import AbsentLines
from yanshou.pipeline.vanished import vanished
from yanshou.schema.prompt import Prompt
from yanshou.schema.records import StageARecord
from yanshou.settings import ALL, StageASettings
from yanshou.stage_a.assembly import GroupAssembler
from yanshou.stage_a.mission_inputs import MissionInput, mission_inputs
from yanshou.stage_a.stale_summaries import InputTree, absent_lines, is_same_folder
from yanshou.storage.lines_file import LinesFile
from yanshou.storage.settings_diff import Change
from yanshou.text import nfc, printable

PATHS_RECORDED = 20  # of loose photos


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
    inputs = mission_inputs(known, settings)
    engine = engine or load_engine(settings.engine)
    inputs += _vanished([mission for mission in known if mission not in [read.mission for read in inputs]], settings)
    tasks = [SummarizeTask(read, settings, engine) for read in inputs]
    return Stage(
        tasks, engine, settings.output_dir, fresh=settings.fresh, prune_share=settings.prune_share, listener=listener
    )


def _vanished(missions: Sequence[Mission], settings: StageASettings) -> Iterator[MissionInput]:
    """The missions that "all" passes over although there are lines from this input folder, each with an error."""
    input_dir = settings.input_dir
    if input_dir is None or ALL not in settings.missions or settings.limit is not None:
        return

    def came_from_here(inputs: Sequence[str]) -> bool:
        return any(is_same_folder(path, input_dir) for path in inputs)

    for mission, lines in vanished(missions, settings.output_dir, SummarizeTask, came_from_here):
        yield MissionInput.without_groups(
            mission,
            f"{printable(lines)} has lines from {printable(input_dir)}, where {mission.name} is no longer a "
            "folder. Put the folder back, or move the lines and the files beside them to another folder.",
        )


class SummarizeTask(MissionTask[Group, StageARecord]):
    """The groups of photos of one mission."""

    kind = "stage_a"
    record_type = StageARecord
    may_change: ClassVar[Mapping[str, Change]] = {  # these can repair a failed group
        "sampling.max_new_tokens": "grow",
        "allow_truncated": "any",
    }

    def __init__(self, read: MissionInput, settings: StageASettings, engine: Engine) -> None:
        super().__init__(read.mission, read.found.groups, settings.limit)
        self.present |= {fault.key for fault in read.found.faults}
        self.unusable = [Outcome.failed(fault.key, fault.error) for fault in read.found.faults]
        self.warnings, self.error, self.unknown_folders = read.warnings, read.error, read.unknown_folders
        if settings.input_dir is None:
            self.whole = self.sees_all = False  # loose photos are a choice
        else:
            self.inputs = [str(settings.input_dir.absolute())]
        self._settings, self._engine, self._found = settings, engine, read.found

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
        given = self._settings
        place = {"input_dir": str(given.input_dir.absolute())} if given.input_dir else {"photos": self._photos()}
        return {**place, **self._engine.environment()}

    def _photos(self) -> list[str]:
        """The paths that were given, for the run file; each line names its photos."""
        given = self._settings.photos
        more = [f"… {len(given)} paths"] if len(given) > PATHS_RECORDED else []
        return [str(path.absolute()) for path in given[:PATHS_RECORDED]] + more

    def absent(self, lines: LinesFile[StageARecord], inputs: Sequence[str]) -> AbsentLines:
        assert self._settings.input_dir is not None  # nothing is absent from loose photos
        names = frozenset(map(nfc, self.mission.names))
        tree = InputTree(self._settings.input_dir, names, self._found.groups, self._found.unlisted)
        return absent_lines(lines, self.present, tree)

    def check(self, group: Group, lines: LinesFile[StageARecord]) -> GroupFolderError | None:
        """A line whose photos are no longer those on disk is an error."""
        if group.key not in lines.done:
            return None
        try:
            names = [photo.name for photo in group.photos()]
        except GroupFolderError as error:
            return error
        if lines.fits(group.key, "/".join(names)):
            return None
        before = lines.freshness(group.key).split("/")
        return GroupFolderError(
            f"{group.folder}: its line was written from {', '.join(before)}; now there are {', '.join(names)}",
            "put the photos back, or delete the group's line from the output and run again",
        )

    def outcomes(self, pending: Sequence[Group], on_answer: AnswerCallback) -> Iterator[Outcome[StageARecord]]:
        return GroupAssembler(self._engine, self.prompt, self._settings.allow_truncated, on_answer).run(pending)
