"""Stage-A: mission folders in, `<mission>_stage_a.jsonl` out.

    results = summarize_directory(StageASettings(input_dir=…, output_dir=…, missions=("all",), engine=…))

A mission that cannot be run at all (locked, damaged, other settings) does not keep the others from running.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from yanshou.engines.base import Engine, RunPlan
from yanshou.errors import GroupFolderError, InputError
from yanshou.inputs.discovery import Discovery, Group, discover, mission_folders
from yanshou.missions import Mission, Missions, load_missions
from yanshou.missions.prompts import summary_prompt
from yanshou.pipeline.mission_run import Listener, MissionResult, MissionRun, Silence, guarded
from yanshou.pipeline.outcome import Outcome
from yanshou.schema.prompt import Prompt
from yanshou.schema.records import StageARecord
from yanshou.settings import ALL, StageASettings
from yanshou.stage_a.assembly import GroupAssembler
from yanshou.storage.run_files import Output
from yanshou.storage.settings_diff import Change

MAY_CHANGE: dict[str, Change] = {
    "sampling.max_new_tokens": "grow",
    "allow_truncated": "any",
}  # the cures of a failed group

PhotoNames = tuple[str, ...]
Found = tuple[Mission, Discovery, str]  # what its folder holds, or why it cannot be read


def summarize_directory(
    settings: StageASettings, engine: Engine | None = None, listener: Listener | None = None
) -> list[MissionResult]:
    """Summarises the missions that the settings name; `engine` overrides the settings' one.

    Raises UsageError, InputError, CheckpointError for what concerns every mission. What concerns one is in its result.
    """
    found, engine = prepare(settings, engine)
    stage = StageA(settings, engine, listener or Silence())
    return [stage.run(*one) for one in found]


def prepare(settings: StageASettings, engine: Engine | None = None) -> "tuple[list[Found], Engine]":
    """What is there to do, found before the checkpoint is touched, and the engine to do it with."""
    from yanshou.engines import load_engine

    missions = chosen(load_missions(settings.mission_files), settings)
    found = [(mission, *_discover(mission, settings)) for mission in missions]
    return found, engine or load_engine(settings.engine)


def chosen(known: Missions, settings: StageASettings) -> list[Mission]:
    """The missions to run, each once. "all" is every known one that has a folder; others may be named beside it."""
    named = {mission.name: mission for mission in (known.get(name) for name in settings.missions if name != ALL)}
    if ALL not in settings.missions:
        return list(named.values())
    there = [m for m in known if mission_folders(settings.input_dir, m.name, m.aliases)]
    if not there and not named:
        names = ", ".join(mission.name for mission in known)
        raise InputError(f"{settings.input_dir}: no mission's folder is here. Known are: {names}.")
    return list(({mission.name: mission for mission in there} | named).values())


def _discover(mission: Mission, settings: StageASettings) -> tuple[Discovery, str]:
    try:
        return discover(settings.input_dir, mission.name, mission.aliases, settings.layout), ""
    except InputError as error:
        return Discovery(mission.name), str(error)


class StageA:
    """One engine over several missions."""

    def __init__(self, settings: StageASettings, engine: Engine, listener: Listener) -> None:
        self.settings, self.engine, self.listener = settings, engine, listener
        self.interrupted = False

    def interrupt(self) -> None:
        """Ends the run after the batch in hand. Safe from a signal handler."""
        self.interrupted = True
        self.engine.stop()

    def run(self, mission: Mission, discovery: Discovery, error: str = "") -> MissionResult:
        """One mission to its end, whatever the end is."""
        result = MissionResult(mission.name, warnings=discovery.warnings(), error=error)
        return guarded(result, self.listener, lambda: None if error else self._run(mission, discovery, result))

    def _run(self, mission: Mission, discovery: Discovery, result: MissionResult) -> None:
        groups = discovery.groups[: self.settings.limit]
        result.groups = len(groups) + len(discovery.faults)
        if not result.groups:
            raise InputError(f"{mission.name}: no group of photos in {self.settings.input_dir}. Nothing to do.")
        prompt = summary_prompt(mission, self.settings.prompts)  # once: what is recorded is what the model is told
        present = {group.key for group in discovery.groups} | {problem.key for problem in discovery.faults}
        with (
            self._output(mission, prompt) as output,
            MissionRun(output, result, self.listener, present) as run,
        ):
            for problem in discovery.faults:  # groups that cannot be worked on at all: told before the model loads
                run.settle(Outcome(problem.key, None, ((None, problem.error),)))
            pending = list(_pending(groups, run))
            run.take(self._outcomes(pending, prompt, run), lambda: self.interrupted, self.engine)

    def _output(self, mission: Mission, prompt: Prompt) -> Output[StageARecord, PhotoNames]:
        stem = f"{mission.name}_stage_a"

        def environment(earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
            self.engine.prepare_run(RunPlan(prompt, photos=True, earlier=earlier))
            return {"input_dir": str(self.settings.input_dir.absolute()), **self.engine.environment()}

        return Output.open(
            self.settings.output_dir, stem, StageARecord, mission=mission.name, digest=_photo_names,
            settings=self._identity(prompt),
            environment=environment,
            may_change=MAY_CHANGE, fresh=self.settings.fresh,
        )  # fmt: skip

    def _identity(self, prompt: Prompt) -> dict[str, Any]:
        """What a resume must have in common with the lines so far."""
        return {
            **self.engine.identity(),
            "photo": self.settings.engine.photo.model_dump(mode="json"),
            "sampling": self.settings.engine.sampling.model_dump(mode="json"),
            "prompts": {"system": prompt.system, "user": prompt.user},
            "allow_truncated": self.settings.allow_truncated,
        }

    def _outcomes(
        self, pending: Sequence[Group], prompt: Prompt, run: MissionRun[StageARecord, PhotoNames]
    ) -> Iterator[Outcome[StageARecord]]:
        if not pending or self.interrupted:
            return iter(())
        return GroupAssembler(self.engine, prompt, self.settings.allow_truncated, run.heard).run(pending)


def _pending(groups: Sequence[Group], run: MissionRun[StageARecord, PhotoNames]) -> Iterator[Group]:
    """The groups without a line. A line whose photos are no longer those on disk is an error."""
    done = run.output.done
    for group in groups:
        if group.key not in done:
            yield group
        elif error := _changed(group, done[group.key]):
            run.settle(Outcome(group.key, None, ((None, error),)))
        else:
            run.result.skipped += 1


def _photo_names(record: StageARecord) -> PhotoNames:
    return tuple(Path(image).name for image in record.images)


def _changed(group: Group, written: PhotoNames) -> GroupFolderError | None:
    try:
        there = tuple(photo.name for photo in group.photos())
    except GroupFolderError as error:
        return error
    if there == written:
        return None
    return GroupFolderError(
        f"{group.folder}: its line was written from {', '.join(written)}; now there are {', '.join(there)}",
        "put the photos back, or delete the group's line from the output and run again",
    )
