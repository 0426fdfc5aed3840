"""Stage-A: mission folders in, `<mission>_stage_a.jsonl` out.

    results = summarize_directory(StageASettings(input_dir=…, output_dir=…, missions=("all",), engine=…))

A group that fails stops nothing: it stands in the errors file, and the next run tries it again. A mission that cannot
be run at all (locked, damaged, other settings) does not keep the others from running.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from yanshou.assembly import Answer, Assembly, Outcome
from yanshou.engines.base import Completion, Engine, Prompt
from yanshou.errors import CheckpointError, GroupFolderError, InputError, RunError
from yanshou.groups import Discovery, Group, discover, mission_folders
from yanshou.missions import Mission, Missions, load_missions
from yanshou.output import Change, Output, Status
from yanshou.prompts import summary_prompt
from yanshou.records import GroupKey, StageARecord
from yanshou.settings import ALL, StageASettings

HOPELESS = 20  # groups that fail in a row before anything was ever written: something general is wrong
MAY_CHANGE: dict[str, Change] = {
    "sampling.max_new_tokens": "grow",
    "allow_truncated": "any",
}  # the cures of a failed group

PhotoNames = tuple[str, ...]
Found = tuple[Mission, Discovery, str]  # what its folder holds, or why it cannot be read


@dataclass(slots=True)
class MissionResult:
    """How one mission ended."""

    mission: str
    groups: int = 0  # in the input, those beyond the limit not counted
    written: int = 0
    failed: int = 0
    skipped: int = 0  # written by an earlier run
    photos: int = 0  # answered in this run
    rotated: int = 0  # turned as their EXIF orientation says
    seconds: float = 0.0  # from the first request to the last line
    warnings: list[str] = field(default_factory=list)
    error: str = ""  # why the mission could not be run, or not to its end
    interrupted: bool = False
    lines: Path | None = None
    errors: Path | None = None

    @property
    def images_per_s(self) -> float:
        return self.photos / self.seconds if self.seconds else 0.0

    @property
    def status(self) -> int:
        """The exit status of this mission alone."""
        return 130 if self.interrupted else 1 if self.error else 3 if self.failed else 0


def exit_status(results: Sequence[MissionResult]) -> int:
    """Of all missions together: interrupted, then could not run, then some groups failed."""
    return max((result.status for result in results), key=(0, 3, 1, 130).index, default=1)


class Listener(Protocol):
    """Who wants to know how far the run is."""

    def begin(self, result: MissionResult) -> None: ...
    def photo(self, answer: Answer) -> None: ...
    def group(self, outcome: Outcome) -> None: ...
    def end(self, result: MissionResult) -> None: ...


class Silence:
    """A listener that says nothing."""

    def begin(self, result: MissionResult) -> None: ...
    def photo(self, answer: Answer) -> None: ...
    def group(self, outcome: Outcome) -> None: ...
    def end(self, result: MissionResult) -> None: ...


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
        try:
            if not error:
                self._run(mission, discovery, result)
        except CheckpointError:
            raise
        except RunError as problem:
            result.error = str(problem)
        finally:  # a progress bar gives the terminal back, whatever ends the run
            self.listener.end(result)
        return result

    def _run(self, mission: Mission, discovery: Discovery, result: MissionResult) -> None:
        groups = discovery.groups[: self.settings.limit]
        result.groups = len(groups) + len(discovery.faults)
        if not result.groups:
            raise InputError(f"{mission.name}: no group of photos in {self.settings.input_dir}. Nothing to do.")
        prompt = summary_prompt(mission, self.settings.prompts)  # once: what is recorded is what the model is told
        with self._output(mission, prompt) as output:
            result.warnings += output.warnings
            result.lines, result.errors = output.paths.lines, output.paths.errors
            self.listener.begin(result)
            status: Status = "stopped"
            try:
                self._report(discovery, output, result)
                self._summarize(self._pending(groups, output, result), prompt, output, result)
                status = "interrupted" if result.interrupted else "finished"
            finally:
                output.finish(
                    status, self._counts(result), present={g.key for g in discovery.groups} | _faulty(discovery)
                )

    def _output(self, mission: Mission, prompt: Prompt) -> Output[StageARecord, PhotoNames]:
        stem = f"{mission.name}_stage_a"
        return Output.open(
            self.settings.output_dir, stem, StageARecord, mission=mission.name, digest=_photo_names,
            settings=self._identity(prompt),
            environment={"input_dir": str(self.settings.input_dir.absolute()), **self.engine.environment()},
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

    def _report(self, discovery: Discovery, output: Output[StageARecord, PhotoNames], result: MissionResult) -> None:
        """Groups that cannot be worked on at all: told before the model loads."""
        for problem in discovery.faults:
            self._settle(Outcome(problem.key, None, ((None, problem.error),)), output, result)

    def _pending(
        self, groups: Sequence[Group], output: Output[StageARecord, PhotoNames], result: MissionResult
    ) -> list[Group]:
        """The groups without a line. A line whose photos are no longer those on disk is an error."""
        pending = []
        for group in groups:
            if group.key not in output.done:
                pending.append(group)
            elif error := _changed(group, output.done[group.key]):
                self._settle(Outcome(group.key, None, ((None, error),)), output, result)
            else:
                result.skipped += 1
        return pending

    def _summarize(
        self,
        pending: Sequence[Group],
        prompt: Prompt,
        output: Output[StageARecord, PhotoNames],
        result: MissionResult,
    ) -> None:
        began, already_failed = time.monotonic(), result.failed
        for outcome in self._outcomes(pending, prompt, result):
            result.seconds = time.monotonic() - began
            self._settle(outcome, output, result)
            if result.failed - already_failed >= HOPELESS and not output.done:
                raise RunError(
                    f"the first {HOPELESS} groups all failed, the last one with: {outcome.faults[0].message}"
                )
        result.interrupted = self.interrupted and result.written + result.skipped + result.failed < result.groups

    def _settle(self, outcome: Outcome, output: Output[StageARecord, PhotoNames], result: MissionResult) -> None:
        """A group's line, or its faults, on disk."""
        if outcome.record is None:
            output.fail(outcome.faults)
            result.failed += 1
        else:
            output.append(outcome.record)
            result.written += 1
        self.listener.group(outcome)

    def _outcomes(self, pending: Sequence[Group], prompt: Prompt, result: MissionResult) -> Iterator[Outcome]:
        if not pending or self.interrupted:
            return iter(())

        def heard(answer: Answer) -> None:
            result.photos += 1
            result.rotated += isinstance(answer, Completion) and answer.rotated
            self.listener.photo(answer)

        return Assembly(self.engine, prompt, self.settings.allow_truncated, heard).run(pending)

    def _counts(self, result: MissionResult) -> dict[str, int]:
        names = ("groups", "written", "failed", "skipped", "photos", "rotated")
        return {name: getattr(result, name) for name in names}


def _photo_names(record: StageARecord) -> PhotoNames:
    return tuple(Path(image).name for image in record.images)


def _faulty(discovery: Discovery) -> set[GroupKey]:
    return {problem.key for problem in discovery.faults}


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
