"""The groups of verdicts or decisions files, each with what the machine says about it.

    out/挡风板安装检查_verdicts.jsonl      given: its Stage-A files are found through the run.json beside it
    out/BBU线缆布放_decisions.jsonl        given: the verdicts beside it give verdict and reason, and lead to Stage-A
    out/BBU线缆布放_verdicts.jsonl         found; a mission that is given by both kinds is refused

A decision counts with the p_pass that it was made from. A group with a line of Stage-A and no decision was not decided:
that is its fault, as it is the fault of a group that was not judged.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from yanshou.errors import InputError, UsageError
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.judged_set import JudgedSet, read_set
from yanshou.evaluate.sources import NAME_THEM, exists, find_stage_a_files, unfinished_warnings
from yanshou.missions import Missions
from yanshou.schema.policy import DecisionRecord
from yanshou.schema.records import OTHER_SUMMARIES, GroupKey
from yanshou.storage.jsonl import read_errors
from yanshou.storage.labels_file import Labels
from yanshou.storage.line_place import LinePlace
from yanshou.storage.read_groups import JUDGE_AGAIN, read_groups, unique_paths
from yanshou.storage.stale_counts import stale_warnings
from yanshou.text import printable

DECISIONS, VERDICTS = "_decisions", "_verdicts"  # how the names of the files end
NOT_DECIDED = "not decided: the file of decisions does not have it"
BEGINNING = 65_536  # bytes of a file in which its first line is looked for


@dataclass(frozen=True, slots=True)
class FilesRead:
    """The groups of the files, and what a person has to know about these."""

    groups: tuple[JudgedGroup, ...]
    without_line: Mapping[GroupKey, str]  # groups that have no photos here, and why
    warnings: tuple[str, ...]


def read_files(files: Sequence[Path], stage_a: Sequence[Path], missions: Missions) -> FilesRead:
    """Reads the files and those that belong to them. `stage_a`: empty takes the files that the run files name.

    Raises UsageError for a mission that is given by both kinds, InputError and DamagedFileError.
    """
    given = unique_paths(files)
    decision_files = [path for path in given if _has_decisions(path)]
    decided = list(read_groups(decision_files, DecisionRecord, missions, JUDGE_AGAIN))
    verdict_files = [path for path in given if path not in decision_files]
    beside = [verdicts_beside(path) for path in decision_files]
    there = unique_paths([*verdict_files, *filter(exists, beside)])
    all_there = all(map(exists, beside))  # else run files are looked for that are beside nothing
    named = stage_a or (None if all_there else find_stage_a_files([*verdict_files, *beside]))
    read = read_set(there, named, missions, Labels())
    _refuse_both_kinds(verdict_files, decided, read)
    under_policy = {record.mission for _, record in decided} | _named(decision_files, missions)
    groups, missing = _groups(read, {record.key: record for _, record in decided}, under_policy)
    _check_lines(groups, missing, given, read.stage_a_files)
    warnings = (
        *unfinished_warnings(there),
        *stale_warnings([*there, *read.stage_a_files]),
        *_without_verdicts(decision_files, beside),
        *_other_p_pass(read, decided),
    )
    return FilesRead(groups, missing, warnings)


def verdicts_beside(decisions: Path) -> Path:
    """The file of the verdicts that were decided about."""
    return decisions.with_name(f"{decisions.stem.removesuffix(DECISIONS)}{VERDICTS}.jsonl")


def _named(decision_files: Iterable[Path], missions: Missions) -> set[str]:
    """The missions in the files' names: an empty file is about one, too."""
    names = (path.stem.removesuffix(DECISIONS) for path in decision_files)
    return {missions.get(name).name for name in names if name in missions}


def _has_decisions(path: Path) -> bool:
    """Whether it is a file of decisions: by its name, and by its first line where the name says nothing."""
    if path.stem.endswith((DECISIONS, VERDICTS)):
        return path.stem.endswith(DECISIONS)
    if not path.is_file():  # a pipe can be read only once
        return False
    with read_errors(path), path.open("rb") as file:
        first = file.read(BEGINNING).partition(b"\n")[0]
    try:
        return "decision" in json.loads(first)
    except (ValueError, TypeError, RecursionError):
        return False  # whoever reads the verdicts says what is wrong with the line


def _refuse_both_kinds(
    verdict_files: Sequence[Path], decided: Iterable[tuple[LinePlace, DecisionRecord]], read: JudgedSet
) -> None:
    of_decisions = {record.mission: place.path for place, record in decided}
    for mission, paths in read.verdict_files.items():
        for path in paths:
            if mission in of_decisions and path in verdict_files:
                raise UsageError(
                    f"{mission} is in {printable(path)} and in {printable(of_decisions[mission])}. Give the decisions "
                    "alone: the verdicts beside them are read with them. Without the policy, give the verdicts alone."
                )


def _groups(
    read: JudgedSet, decided: Mapping[GroupKey, DecisionRecord], by_policy: Collection[str]
) -> tuple[tuple[JudgedGroup, ...], dict[GroupKey, str]]:
    """The groups with a line of Stage-A, and those without one. by_policy: missions with a file of decisions."""
    judged = set(read.judged)
    every = replace(read, verdict_files={**read.verdict_files, **dict.fromkeys(set(by_policy) - judged, ())})
    groups: list[JudgedGroup] = []
    missing = {key: "no line of Stage-A" for key in decided if key not in read.keys}
    for group in every.groups():
        if not group.images:
            missing[group.key] = group.fault or "no line of Stage-A"
        elif group.key.mission in by_policy:
            groups.append(_decided(group, decided.get(group.key), verdicts_known=group.key.mission in judged))
        else:
            groups.append(group)
    return tuple(groups), missing


def _decided(group: JudgedGroup, record: DecisionRecord | None, *, verdicts_known: bool) -> JudgedGroup:
    """The group under a policy. Without a file of verdicts, the decision is all that is known."""
    if record is None:
        return replace(group, fault=group.fault if group.fault == OTHER_SUMMARIES else NOT_DECIDED)
    fault = group.fault if verdicts_known else None
    if fault == OTHER_SUMMARIES:
        return replace(group, decision=record.decision)
    reason = group.reason or record.reason
    return replace(group, decision=record.decision, p_pass=record.p_pass, reason=reason, fault=fault)


def _check_lines(
    groups: Sequence[JudgedGroup], missing: Mapping[GroupKey, str], files: Sequence[Path], sources: Sequence[Path]
) -> None:
    if groups:
        return
    if missing:
        raise InputError(
            f"{_joined(sources)}: no line for any of the {len(missing)} groups of {_joined(files)}, so there is no "
            f"photo to show. Check the files, and {NAME_THEM}"
        )
    raise InputError(f"{_joined(files)}: no group to review. Check the files.")


def _without_verdicts(decision_files: Sequence[Path], beside: Sequence[Path]) -> Iterable[str]:
    for file, verdicts in zip(decision_files, beside, strict=True):
        if not exists(verdicts):
            yield (
                f"{file}: {verdicts.name} is not beside it, so the verdicts of its groups and their reasons are "
                "unknown. Put it there and start again to show them after an answer"
            )


def _other_p_pass(read: JudgedSet, decided: Iterable[tuple[LinePlace, DecisionRecord]]) -> Iterable[str]:
    """A warning about verdicts that were made again after the decision."""
    other = [
        place
        for place, record in decided
        if (verdict := read.verdicts.get(record.key)) and verdict.p_pass != record.p_pass and record.p_pass is not None
    ]
    if other:
        yield (
            f"{len(other)} decisions were made from another p_pass than that of the verdict beside them, first "
            f"{other[0]}. The decision's counts. Run `yanshou judge --policy` again to decide by the verdicts"
        )


def _joined(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))
