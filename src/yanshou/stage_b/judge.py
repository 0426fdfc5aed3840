"""Stage-B's verdicts: Stage-A lines in, `<mission>_verdicts.jsonl` out.

    挡风板安装检查_stage_a.jsonl ── a group's lines ── model, or the mission's rule ── 挡风板安装检查_verdicts.jsonl

    results = judge_files(JudgeSettings(stage_a=(…,), output_dir=…, engine=EngineSettings(checkpoint=…)))

Files, resuming and interrupting work as in Stage-A.
"""

from collections.abc import Sequence
from pathlib import Path

from yanshou.engines.base import Engine
from yanshou.errors import InputError
from yanshou.missions import Mission, Missions, load_missions
from yanshou.pipeline.listener import Listener
from yanshou.pipeline.mission_result import MissionResult
from yanshou.pipeline.stage import Stage
from yanshou.pipeline.vanished import vanished
from yanshou.schema.policy import Policy
from yanshou.schema.records import StageARecord
from yanshou.settings import JudgeSettings
from yanshou.stage_b.decisions import MissionUnderPolicy, missing_of, undecided_warnings
from yanshou.stage_b.shared_photos import PhotosOfGroup, check_shared_photos
from yanshou.stage_b.stale_verdicts import reads_all
from yanshou.stage_b.verdict_tasks import ModelTask, RuleTask
from yanshou.storage.line_place import LinePlace
from yanshou.storage.policy_file import read_policy
from yanshou.storage.read_groups import read_groups, unique_paths
from yanshou.storage.stale_counts import stale_warnings
from yanshou.text import printable


def judge_files(
    settings: JudgeSettings, engine: Engine | None = None, listener: Listener | None = None
) -> list[MissionResult]:
    """Judges every mission in the files; `engine` overrides the settings' engine.

    Raises UsageError, InputError, DamagedFileError and CheckpointError for what concerns every mission.
    """
    return prepare(settings, engine, listener).run()


def prepare(settings: JudgeSettings, engine: Engine | None = None, listener: Listener | None = None) -> Stage:
    """Reads the groups, and only then loads the checkpoint. The stage is ready to run."""
    from yanshou.engines import load_engine

    known = load_missions(settings.mission_files)
    policy = read_policy(settings.policy) if settings.policy else None
    lines = list(read_groups(settings.stage_a, StageARecord, known))
    if not lines:
        raise InputError(f"{', '.join(map(str, settings.stage_a))}: no group to judge. Run `yanshou summarize` first.")
    shared = check_shared_photos([PhotosOfGroup.of(*line) for line in lines], allowed=settings.allow_shared_photos)
    engine = None if settings.engine is None else engine or load_engine(settings.engine)
    under, undecided = _under_policy(policy, lines, settings, known)
    groups: dict[str, list[StageARecord]] = {}
    for _, record in lines:
        groups.setdefault(record.mission, []).append(record)
    tasks = [
        ModelTask(known.get(name), records, settings, engine, under.get(name))
        if engine
        else RuleTask(known.get(name), records, settings)
        for name, records in groups.items()
    ]
    tasks[0].warnings += [*stale_warnings(settings.stage_a), *shared, *undecided]
    gone = _vanished([mission for mission in known if mission.name not in groups], settings)
    return Stage(
        [*tasks, *gone], engine, settings.output_dir, fresh=settings.fresh, prune_share=settings.prune_share,
        listener=listener,
    )  # fmt: skip


def _under_policy(
    policy: Policy | None, lines: Sequence[tuple[LinePlace, StageARecord]], settings: JudgeSettings, known: Missions
) -> tuple[dict[str, MissionUnderPolicy], list[str]]:
    """The missions that the policy decides about, and warnings about groups that it does not; empty without one."""
    if policy is None or settings.policy is None:
        return {}, []
    files: dict[str, dict[Path, None]] = {}  # of each mission, in their order
    for place, record in lines:
        files.setdefault(record.mission, {})[place.path] = None
    missing = missing_of(unique_paths(settings.stage_a), known)
    under = MissionUnderPolicy.of_missions(settings.policy, policy, files, missing, known)
    return under, undecided_warnings(missing, files.keys())


def _vanished(missions: Sequence[Mission], settings: JudgeSettings) -> list[RuleTask]:
    """A task that only fails, for each of the missions whose verdicts came from these files, where no group is left."""
    if settings.limit is not None:
        return []
    tasks = []
    for mission, lines in vanished(
        missions, settings.output_dir, RuleTask, lambda made: reads_all(settings.stage_a, made)
    ):
        task = RuleTask(mission, [], settings)
        task.error = (
            f"{printable(lines)}: the Stage-A files of these verdicts hold no group of this mission any more. Put the "
            f"groups back, or move the verdicts and the files beside them to another folder."
        )
        tasks.append(task)
    return tasks
