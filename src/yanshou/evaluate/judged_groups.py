"""Every group that was judged or should have been: its summaries, verdict, decision of the rules, and fault.

    out/挡风板安装检查_verdicts.jsonl          verdicts
    out/挡风板安装检查_verdicts.errors.jsonl   faults: groups that the judge failed on
    out/挡风板安装检查_stage_a.jsonl           photos and summaries; the rules decide about the summaries
    out/挡风板安装检查_stage_a.errors.jsonl    missing: groups without summaries, which could not be judged

A group in any of these files is one group of the evaluation. If it has no verdict, `fault` says why. If a group has a
verdict and a fault, the verdict counts, because it is newer; a verdict about other summaries does not count.
Two kinds of gaps give a warning: a group with summaries but neither verdict nor fault was not judged, and a group with
a verdict but no summaries has no decision of the rules. A group without a verdict counts as not released.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from yanshou.errors import InputError
from yanshou.evaluate.sources import NAME_THEM, check_rewritten, exists, find_stage_a_files, unfinished_warnings
from yanshou.missions import Missions
from yanshou.missions.rules import Decision as RuleDecision
from yanshou.schema.label_row import LabelsUsed
from yanshou.schema.policy import Decision
from yanshou.schema.records import (
    OTHER_SUMMARIES,
    Fault,
    GroupKey,
    GroupRecord,
    Label,
    StageARecord,
    VerdictRecord,
    unbound_warnings,
)
from yanshou.schema.summary import parse
from yanshou.stage_b.dataset_files import check_dataset_files
from yanshou.stage_b.dataset_rows import GroupRow, read_rows
from yanshou.stage_b.reason import GroupReasons, ReasonCheck
from yanshou.stage_b.shared_photos import PhotosOfGroup, check_shared_photos
from yanshou.storage.errors_file import latest_attempts, read_faults
from yanshou.storage.labels_file import Labels, read_labels
from yanshou.storage.place import Place
from yanshou.storage.read_groups import JUDGE_AGAIN, canonical_key, known_key, read_groups, unique_paths
from yanshou.storage.run_files import RunPaths
from yanshou.storage.stale_counts import stale_warnings
from yanshou.text import escape_surrogates

NOT_JUDGED = "not judged: there is neither a verdict nor a fault"
MAX_NAMED = 5  # groups that warnings of one kind name


@dataclass(frozen=True, slots=True)
class JudgedGroup:
    """One group and everything that is known about it."""

    key: GroupKey  # its label is the folder's
    label: Label | None  # that figures are computed with: the folder's, or a correction of it
    images: tuple[str, ...]  # paths, in the order of the summaries; empty without a Stage-A line
    summaries: tuple[str, ...]
    verdict: Label | None  # after a threshold; None: an error
    file_verdict: Label | None  # as written in the file
    reason: str | None
    p_pass: float | None
    rules: RuleDecision | None  # None without a Stage-A line
    fault: str | None  # why there is no verdict
    decision: Decision | None = None  # under a policy
    reason_checks: Mapping[Label, ReasonCheck] | None = None  # of the reason, as that of each verdict; None: unknown

    @property
    def reason_check(self) -> ReasonCheck | None:
        """Whether the reason holds, as that of the verdict."""
        return self.reason_checks[self.verdict] if self.reason_checks and self.verdict else None

    @property
    def rules_verdict(self) -> Label | None:
        return None if self.rules is None else "pass" if self.rules.passed else "fail"

    @property
    def outcome(self) -> str:
        """The cell of the confusion matrix; under a policy, `review` for what a person decides."""
        if self.verdict is None:
            return "error"
        if self.decision == "review":
            return "review"
        if self.label is None:
            return "no label"
        released = self.verdict == "pass" if self.decision is None else self.decision == "release"
        wrong = "" if released == (self.label == "pass") else "false "
        return wrong + ("release" if released else "block")


@dataclass(frozen=True, slots=True)
class JudgedGroups:
    """The groups of an evaluation."""

    groups: tuple[JudgedGroup, ...]  # in the order of the Stage-A files, followed by groups without a line there
    verdict_files: Mapping[str, Sequence[Path]]  # mission → the files of verdicts that are about it
    stage_a_files: tuple[Path, ...]
    stage_a_of_missions: Mapping[str, Sequence[Path]]  # mission → those of these files that have lines of it
    unbound: int  # verdicts that do not name the summaries they were judged from
    labels: LabelsUsed | None  # None: no labels files
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class JudgedSet:
    """What the files say about each group. Nothing here touches a file."""

    verdicts: Mapping[GroupKey, VerdictRecord]
    faults: Mapping[GroupKey, list[Fault]]
    written: Mapping[GroupKey, StageARecord]
    missing: Mapping[GroupKey, list[Fault]]
    files: Mapping[str, Sequence[Path]]  # mission → the files of verdicts that are about it
    stage_a_files: Mapping[str, Sequence[Path]]  # mission → the Stage-A files with lines of it
    missions: Missions
    labels: Labels

    @property
    def judged(self) -> Collection[str]:
        """The names of the missions that the verdict files are about."""
        return self.files.keys()

    @cached_property
    def keys(self) -> Mapping[GroupKey, None]:
        """All groups of the files in order, also those of missions that were not judged."""
        return dict.fromkeys([*self.written, *self.missing, *self.verdicts, *self.faults])

    @cached_property
    def outdated(self) -> frozenset[GroupKey]:
        """The groups with a verdict about other summaries than those they have now."""
        return frozenset(key for key, verdict in self._beside_summaries() if not verdict.belongs_to(self.written[key]))

    @cached_property
    def unbound(self) -> frozenset[GroupKey]:
        """The groups with summaries and a verdict that does not name the summaries it was judged from."""
        return frozenset(key for key, verdict in self._beside_summaries() if verdict.summaries_sha256 is None)

    def groups(self, only: Collection[GroupKey] | None = None) -> tuple[JudgedGroup, ...]:
        """The groups of the judged missions. `only` limits them further."""
        return tuple(
            self._group(key) for key in self.keys if key.mission in self.judged and (only is None or key in only)
        )

    def fault_of(self, key: GroupKey) -> str:
        """Why a group has no verdict that counts. A fault of Stage-A no longer matters once there is a line."""
        if key in self.outdated:
            return OTHER_SUMMARIES
        faults = self.faults.get(key) or ([] if key in self.written else self.missing.get(key, []))
        return "; ".join(f"{fault.step}: {fault.message}" for fault in faults) or NOT_JUDGED

    def _beside_summaries(self) -> Iterable[tuple[GroupKey, VerdictRecord]]:
        return ((key, verdict) for key, verdict in self.verdicts.items() if key in self.written)

    def _group(self, key: GroupKey) -> JudgedGroup:
        line = self.written.get(key)
        verdict = None if key in self.outdated else self.verdicts.get(key)
        summaries = tuple(line.per_image.values()) if line else ()
        rule = self.missions.get(key.mission).rule
        reasons = GroupReasons(rule, map(parse, map(escape_surrogates, summaries))) if line else None
        return JudgedGroup(
            key=key,
            label=self.labels.label_of(key),
            images=tuple(line.images) if line else (),
            summaries=summaries,
            verdict=verdict.verdict if verdict else None,
            file_verdict=verdict.verdict if verdict else None,
            reason=verdict.reason if verdict else None,
            p_pass=verdict.p_pass if verdict else None,
            rules=reasons.rules if reasons else None,
            fault=None if verdict else self.fault_of(key),
            reason_checks=_checks(reasons, verdict.reason) if reasons and verdict else None,
        )


def _checks(reasons: GroupReasons, reason: str) -> dict[Label, ReasonCheck]:
    return {"pass": reasons.check(True, reason), "fail": reasons.check(False, reason)}


def read_judged(
    verdict_files: Sequence[Path],
    stage_a_files: Sequence[Path] | None,
    missions: Missions,
    only: Sequence[Path] = (),
    *,
    labels: Sequence[Path] = (),
    allow_shared_photos: bool = False,
) -> JudgedGroups:
    """Reads all files. `stage_a_files`: None takes those named by the verdicts' run files.

    `only`: dataset files, to whose groups the evaluation is limited. `labels`: labels files. Raises
    InputError where lines of two labels name the same photo, unless that is allowed.
    """
    of_dataset = check_dataset_files(only)
    rows = {canonical_key(row.key, missions): row.label for path in only for _, row in read_rows(path, GroupRow)}
    selected = rows.keys()
    read, sources, photos = read_set(verdict_files, stage_a_files, missions, read_labels(labels, missions))
    shared = check_shared_photos(
        [group for group in photos if group.key.mission in read.judged], allowed=allow_shared_photos
    )
    _check_selected(only, selected, read)
    groups = read.groups(selected if only else None)
    if not groups:
        raise InputError(f"{_joined([*verdict_files, *only])}: no group to evaluate. Check the files.")
    if read.verdicts and not any(key in read.written for key in read.verdicts):
        raise InputError(
            f"{_joined(sources)}: no line for any of the {len(read.verdicts)} groups with a verdict. "
            f"Check the files, and {NAME_THEM}"
        )
    unbound = sum(group.key in read.unbound for group in groups)
    warnings = [
        *of_dataset, *unfinished_warnings(verdict_files), *stale_warnings([*verdict_files, *sources]),
        *_outdated_warnings(groups, read), *unbound_warnings(unbound), *shared,
    ]  # fmt: skip
    if only:
        others = len(read.groups()) - len(groups)
        warnings.append(f"only the {len(groups)} groups of {_joined(only)} are evaluated; {others} others are left out")
    warnings += [*_other_label_warnings(rows, read.labels), *_gap_warnings(groups), *read.labels.warnings(read.keys)]
    # Files found by a run file also hold missions that were judged into other files: no reason for a warning.
    warnings += _mission_warnings(selected if only else read.keys if stage_a_files else (), read.judged)
    used = read.labels.used(group.key for group in groups)
    return JudgedGroups(groups, read.files, tuple(sources), read.stage_a_files, unbound, used, tuple(warnings))


def read_set(
    verdict_files: Sequence[Path], stage_a_files: Sequence[Path] | None, missions: Missions, labels: Labels
) -> tuple[JudgedSet, Sequence[Path], list[PhotosOfGroup]]:
    """The files' content, the Stage-A files, and the photos of their lines. `stage_a_files`: as in `read_judged`."""
    # Verdicts first: a file of another kind is refused before its run file is looked for.
    judged = list(read_groups(verdict_files, VerdictRecord, missions, JUDGE_AGAIN))
    check_rewritten(verdict_files, judged)
    verdicts = {record.key: record for _, record in judged}
    faults = _read_faults(verdict_files, missions)
    sources = find_stage_a_files(verdict_files) if stage_a_files is None else unique_paths(stage_a_files)
    # Some missions may not have been judged.
    lines = list(read_groups(sources, StageARecord, missions, any_mission=True))
    read = JudgedSet(
        verdicts=verdicts,
        faults=faults,
        written={record.key: record for _, record in lines},
        missing=_read_faults(sources, missions, any_mission=True),
        files=_files_by_mission(verdict_files, judged, faults, missions),
        stage_a_files=_files_of_missions(lines),
        missions=missions,
        labels=labels,
    )
    return read, sources, [PhotosOfGroup.of(*line) for line in lines]


def _read_faults(
    paths: Iterable[Path], missions: Missions, *, any_mission: bool = False
) -> dict[GroupKey, list[Fault]]:
    """The faults of the latest attempt at each group, from the errors files beside the files of lines."""
    found: list[Fault] = []
    for file in (RunPaths.beside(path).errors for path in unique_paths(paths)):
        for number, fault in read_faults(file) if exists(file) else ():
            key = fault.key if any_mission else known_key(fault.key, missions, Place(file, number))
            found.append(fault.model_copy(update={"mission": canonical_key(key, missions).mission}))
    return latest_attempts(found)


def _files_of_missions(
    lines: Iterable[tuple[Place, GroupRecord]], more: Collection[tuple[str, Path]] = ()
) -> dict[str, list[Path]]:
    """For each mission the files with lines of it. `more`: further pairs of a mission and a file about it."""
    pairs = {(record.mission, place.path) for place, record in lines}
    found: dict[str, list[Path]] = {}
    for mission, path in sorted({*pairs, *more}):
        found.setdefault(mission, []).append(path)
    return found


def _files_by_mission(
    verdict_files: Sequence[Path],
    judged: Iterable[tuple[Place, VerdictRecord]],
    faults: Iterable[GroupKey],
    missions: Missions,
) -> dict[str, list[Path]]:
    """The missions that the files are about, each with its files. An empty file counts for the mission in its name."""
    names = {(path.name.removesuffix("_verdicts.jsonl"), path) for path in verdict_files}
    named = {(missions.get(name).name, path) for name, path in names if name in missions}
    found = _files_of_missions(judged, named)
    return {**found, **{key.mission: [] for key in faults if key.mission not in found}}


def _check_selected(only: Sequence[Path], selected: Collection[GroupKey], read: JudgedSet) -> None:
    unknown = [key for key in selected if key.mission in read.judged and key not in read.keys]
    if unknown:
        raise InputError(
            f"{_joined(only)}: {len(unknown)} groups are in none of the other files, first {min(map(str, unknown))}. "
            "Give the verdicts and Stage-A files of the groups from which the dataset was built."
        )


def _outdated_warnings(groups: Sequence[JudgedGroup], read: JudgedSet) -> Iterable[str]:
    yield from _name_groups(
        [group.key for group in groups if group.key in read.outdated],
        f"{OTHER_SUMMARIES}: counted as an error, not released. Delete the verdict's line and judge again",
    )


def _other_label_warnings(rows: Mapping[GroupKey, Label], labels: Labels) -> Iterable[str]:
    """`rows`: the groups of the dataset files, each with the label that it is trained with."""
    yield from _name_groups(
        [key for key, label in rows.items() if labels.label_of(key) != label],
        "its label here is not that of the dataset file. Give the labels files (--labels) from which the dataset was "
        "built",
    )


def _gap_warnings(groups: Sequence[JudgedGroup]) -> Iterable[str]:
    yield from _name_groups(
        [group.key for group in groups if group.fault == NOT_JUDGED],
        "neither a verdict nor a fault: counted as an error, not released. Run `yanshou judge` again",
    )
    yield from _name_groups(
        [group.key for group in groups if group.rules is None and group.verdict],
        "a verdict, but no line in the Stage-A files: counted as an error of the rules. Name all judged Stage-A files "
        "with --stage-a",
    )
    if not any(group.label for group in groups):
        yield "no group has a human label, so there is nothing to compare the verdicts with"


def _mission_warnings(keys: Iterable[GroupKey], judged: Collection[str]) -> Iterable[str]:
    for mission, count in Counter(key.mission for key in keys if key.mission not in judged).items():
        yield f"{mission}: {count} groups without a file of verdicts are left out"


def _name_groups(keys: Sequence[GroupKey], problem: str) -> Iterable[str]:
    """One warning for each of the first groups, and one for all others together."""
    for key in keys[:MAX_NAMED]:
        yield f"group {key}: {problem}"
    if len(keys) > MAX_NAMED:
        yield f"{len(keys) - MAX_NAMED} more groups: {problem}. groups.csv lists all of them"


def _joined(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
