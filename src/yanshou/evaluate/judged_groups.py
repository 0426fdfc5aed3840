"""Every group that was, or should have been, judged: summaries, verdict, rule, and what went wrong.

    out/挡风板安装检查_verdicts.jsonl          a verdict
    out/挡风板安装检查_verdicts.errors.jsonl   no verdict: the judge failed
    out/挡风板安装检查_verdicts.run.json       "settings": {"stage_a": ["/…/挡风板安装检查_stage_a.jsonl"], …}
    /…/挡风板安装检查_stage_a.jsonl            photos and summaries, on which the rules say what they would say
    /…/挡风板安装检查_stage_a.errors.jsonl     no summaries: there was nothing to judge

A group that stands in any of them is a group of the evaluation, once. Where it has no verdict, `fault` says why; a
verdict beside a fault is newer and counts, one that is older than the summaries does not. A group that only one side
knows gets a warning: with summaries and neither verdict nor fault it was not judged; with a verdict and no summaries
the rules cannot say anything. Both count as not released by whoever has nothing to say.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from yanshou.errors import DamagedFileError, InputError
from yanshou.missions import Missions
from yanshou.missions.rules import Decision, decide
from yanshou.schema.records import Fault, GroupKey, Label, StageARecord, VerdictRecord, stale_verdict
from yanshou.schema.run_record import RunRecord
from yanshou.schema.summary import parse
from yanshou.stage_b.rows import GroupRow, read_rows
from yanshou.storage.errors_file import latest_attempts, read_faults
from yanshou.storage.read_groups import JUDGE_AGAIN, canonical_key, read_groups, unique_paths
from yanshou.storage.run_file import read_run_record
from yanshou.storage.run_files import RunPaths
from yanshou.text import excerpt

GIVE_THEM = "Give the Stage-A files that were judged with --stage-a."
OR_GIVE_THEM = "or give the Stage-A files that were judged with --stage-a."
NOT_JUDGED = "not judged: no verdict, and no fault that tells why"
OUTDATED = "a verdict older than its summaries: counted as an error, not released. Delete its line and judge again"
NAMED = 5  # groups that are named in a warning


@dataclass(frozen=True, slots=True)
class JudgedGroup:
    """One group, and all that is known about it."""

    key: GroupKey
    images: tuple[str, ...]  # paths, in the order of the summaries; empty without a Stage-A line
    summaries: tuple[str, ...]
    verdict: Label | None  # pass or fail as the figures have it, after a threshold; None: an error
    written: Label | None  # the verdict as the file has it
    reason: str | None  # as the file has it
    p_pass: float | None
    rules: Decision | None  # None without a Stage-A line
    fault: str | None  # why there is no verdict

    @property
    def rules_verdict(self) -> Label | None:
        return None if self.rules is None else "pass" if self.rules.passed else "fail"

    @property
    def outcome(self) -> str:
        """The cell it falls into, in words."""
        if self.verdict is None:
            return "error"
        if self.key.label is None:
            return "no label"
        wrong = "" if self.verdict == self.key.label else "false "
        return wrong + ("release" if self.verdict == "pass" else "block")


@dataclass(frozen=True, slots=True)
class JudgedGroups:
    """What the files hold."""

    groups: tuple[JudgedGroup, ...]  # in the order of the Stage-A files; what they lack follows
    stage_a_files: tuple[Path, ...]
    warnings: tuple[str, ...]


def read_judged(
    verdict_files: Sequence[Path],
    stage_a_files: Sequence[Path] | None,
    missions: Missions,
    only: Sequence[Path] = (),
) -> JudgedGroups:
    """Reads everything. `stage_a_files`: None takes those that the verdicts' run files name.

    `only`: dataset files; the other groups are left out.
    """
    wanted = {canonical_key(row.key, missions) for path in only for _, row in read_rows(path, GroupRow)}
    verdicts = {record.key: record for _, record in read_groups(verdict_files, VerdictRecord, missions, JUDGE_AGAIN)}
    faults = _faults(verdict_files, missions)
    sources = _named(verdict_files) if stage_a_files is None else unique_paths(stage_a_files)
    lines = read_groups(sources, StageARecord, missions, any_mission=True)  # judged or not
    written = {record.key: record for _, record in lines}
    missing = _faults(sources, missions)
    outdated = dict(_outdated(verdicts, written))
    current = {key: verdict for key, verdict in verdicts.items() if key not in outdated}

    judged = _missions_of(verdict_files, [*verdicts, *faults], missions)
    keys = dict.fromkeys([*written, *missing, *verdicts, *faults])
    _refuse_unknown(only, [key for key in wanted if key.mission in judged and key not in keys])
    why_none = partial(_why_none, written=written, faults=faults, missing=missing)
    groups = tuple(
        _group(key, written.get(key), current.get(key), outdated.get(key) or why_none(key), missions)
        for key in keys
        if key.mission in judged and (not only or key in wanted)
    )
    if not groups:
        raise InputError(f"{_listed([*verdict_files, *only])}: no group to evaluate. Check the files.")
    if verdicts and not any(key in written for key in verdicts):
        raise InputError(
            f"{_listed(sources)}: none of the {len(verdicts)} groups with a verdict has a line here. {GIVE_THEM}"
        )
    # A run file names the files of all missions that were judged together.
    left_out = wanted if only else keys if stage_a_files else ()
    others = sum(key.mission in judged for key in keys) - len(groups)
    told = [warning for file in verdict_files for warning in _not_ended(file)]
    told += _naming([group.key for group in groups if group.key in outdated], OUTDATED)
    if only:
        told.append(f"{len(groups)} groups of {_listed(only)} alone; {others} others are left out")
    return JudgedGroups(groups, tuple(sources), (*told, *_warnings(groups), *_other_missions(left_out, judged)))


def run_settings(file: Path) -> Mapping[str, Any] | None:
    """What made the lines of a file, as the run file beside it says; None where that is missing or damaged."""
    try:
        return _run_record(_beside(file).run).settings
    except (InputError, DamagedFileError):
        return None


def _group(
    key: GroupKey, written: StageARecord | None, verdict: VerdictRecord | None, fault: str, missions: Missions
) -> JudgedGroup:
    rule = missions.get(key.mission).rule
    summaries = tuple(written.per_image.values()) if written else ()
    return JudgedGroup(
        key=key,
        images=tuple(written.images) if written else (),
        summaries=summaries,
        verdict=verdict.verdict if verdict else None,
        written=verdict.verdict if verdict else None,
        reason=verdict.reason if verdict else None,
        p_pass=verdict.p_pass if verdict else None,
        rules=decide(rule, map(parse, summaries)) if written else None,
        fault=None if verdict else fault,
    )


def _outdated(
    verdicts: dict[GroupKey, VerdictRecord], written: dict[GroupKey, StageARecord]
) -> Iterable[tuple[GroupKey, str]]:
    """The groups whose verdict is older than their summaries, and when the two were written."""
    for key, verdict in verdicts.items():
        if key in written and (told := stale_verdict(written[key].timestamp, verdict.timestamp)):
            yield key, told


def _why_none(
    key: GroupKey,
    written: dict[GroupKey, StageARecord],
    faults: dict[GroupKey, list[Fault]],
    missing: dict[GroupKey, list[Fault]],
) -> str:
    """Why a group has no verdict. A Stage-A fault is history once there is a line."""
    told = faults.get(key) or ([] if key in written else missing.get(key))
    return "; ".join(f"{fault.step}: {fault.message}" for fault in told or ()) or NOT_JUDGED


def _refuse_unknown(only: Sequence[Path], unknown: Sequence[GroupKey]) -> None:
    if unknown:
        raise InputError(
            f"{_listed(only)}: {len(unknown)} groups stand in none of the files, first {min(map(str, unknown))}. "
            "Give the verdicts and Stage-A files of the groups that the dataset was built from."
        )


def _warnings(groups: Sequence[JudgedGroup]) -> Iterable[str]:
    not_judged = [group.key for group in groups if group.fault == NOT_JUDGED]
    yield from _naming(
        not_judged,
        "no verdict, and no fault that tells why: counted as an error, not released. Run `yanshou judge` again",
    )
    unread = [group.key for group in groups if group.rules is None and group.verdict]
    yield from _naming(
        unread,
        "a verdict, but no line in the Stage-A files: an error of the rules. Give all that were judged with --stage-a",
    )
    if not any(group.key.label for group in groups):
        yield "no group has a human label: there is nothing to compare the verdicts with"


def _not_ended(file: Path) -> Iterable[str]:
    """Warns of verdicts that a run is writing, or was killed while it wrote them."""
    with suppress(InputError, DamagedFileError):
        if _run_record(run := _beside(file).run).status == "running":
            yield f"{run}: its run goes on or was killed: verdicts may be missing, or by another threshold. Judge again"


def _other_missions(keys: Iterable[GroupKey], judged: set[str]) -> Iterable[str]:
    for mission, count in Counter(key.mission for key in keys if key.mission not in judged).items():
        yield f"{mission}: {count} groups and no file of verdicts: left out"


def _naming(keys: Sequence[GroupKey], what: str) -> Iterable[str]:
    for key in keys[:NAMED]:
        yield f"group {key}: {what}"
    if len(keys) > NAMED:
        yield f"{len(keys) - NAMED} more groups have {what}. All stand in groups.csv"


def _named(verdict_files: Sequence[Path]) -> list[Path]:
    """The Stage-A files that the verdicts were made from, as their run files say."""
    paths: list[Path] = []
    for file in verdict_files:
        run = _beside(file).run
        if not _exists(run):
            raise InputError(
                f"{file}: {run.name} is missing beside it, so its Stage-A files are not known. {GIVE_THEM}"
            )
        for path in _stage_a_of(run):
            if not _exists(path):
                raise InputError(f"{run}: its Stage-A file {path} is not there any more. {GIVE_THEM}")
            paths.append(path)
    return unique_paths(paths)


def _run_record(run: Path) -> RunRecord:
    return read_run_record(run, OR_GIVE_THEM)


def _stage_a_of(run: Path) -> list[Path]:
    named = _run_record(run).settings.get("stage_a")
    if not (isinstance(named, list) and named and all(isinstance(path, str) and path for path in named)):
        raise DamagedFileError(
            f"{run}: key settings.stage_a is {excerpt(named)}: no list of Stage-A files. {GIVE_THEM}"
        )
    return [run.parent / path for path in named]


def _faults(paths: Iterable[Path], missions: Missions) -> dict[GroupKey, list[Fault]]:
    """The faults of the latest attempt at each group, from the errors files beside the lines."""
    files = [_beside(path).errors for path in unique_paths(paths)]
    faults = (fault for file in files if _exists(file) for fault in read_faults(file))
    missioned = ((canonical_key(fault.key, missions), fault) for fault in faults)
    return latest_attempts(fault.model_copy(update={"mission": key.mission}) for key, fault in missioned)


def _missions_of(verdict_files: Sequence[Path], keys: Iterable[GroupKey], missions: Missions) -> set[str]:
    """The missions that the files are about. A file with nothing in it tells by its name."""
    named = {file.name.removesuffix("_verdicts.jsonl") for file in verdict_files}
    return {key.mission for key in keys} | {missions.get(name).name for name in named if name in missions}


def _beside(path: Path) -> RunPaths:
    return RunPaths.beside(path)


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - pathlib raises for a name that is too long


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
