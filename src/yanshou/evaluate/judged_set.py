"""Every group that was judged or should have been, as the files say.

    out/挡风板安装检查_verdicts.jsonl          verdicts
    out/挡风板安装检查_verdicts.errors.jsonl   faults: groups that the judge failed on
    out/挡风板安装检查_stage_a.jsonl           photos and summaries; the rules decide about the summaries
    out/挡风板安装检查_stage_a.errors.jsonl    missing: groups without summaries, which could not be judged

A group in any of these files is one group of the set. If it has no verdict, `fault` says why. If a group has a verdict
and a fault, the verdict counts, because it is newer; a verdict about other summaries does not count.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.sources import check_rewritten, exists, find_stage_a_files
from yanshou.missions import Missions
from yanshou.schema.records import OTHER_SUMMARIES, Fault, GroupKey, GroupRecord, Label, StageARecord, VerdictRecord
from yanshou.schema.summary import parse
from yanshou.stage_b.reason import GroupReasons, ReasonCheck
from yanshou.stage_b.shared_photos import PhotosOfGroup
from yanshou.storage.errors_file import latest_attempts, read_faults
from yanshou.storage.labels_file import Labels
from yanshou.storage.line_place import LinePlace
from yanshou.storage.read_groups import JUDGE_AGAIN, canonical_key, known_key, read_groups, unique_paths
from yanshou.storage.run_files import RunPaths
from yanshou.text import escape_surrogates

NOT_JUDGED = "not judged: there is neither a verdict nor a fault"


@dataclass(frozen=True)
class JudgedSet:
    """What the files say about each group. Nothing here touches a file."""

    verdicts: Mapping[GroupKey, VerdictRecord]
    faults: Mapping[GroupKey, list[Fault]]
    written: Mapping[GroupKey, StageARecord]
    missing: Mapping[GroupKey, list[Fault]]
    verdict_files: Mapping[str, Sequence[Path]]  # mission → the files of verdicts that are about it
    stage_a_files: Sequence[Path]
    stage_a_of_missions: Mapping[str, Sequence[Path]]  # mission → those of these files that have lines of it
    photos: Sequence[PhotosOfGroup]  # of all lines of the Stage-A files
    missions: Missions
    labels: Labels

    @property
    def judged(self) -> Collection[str]:
        """The names of the missions that the verdict files are about."""
        return self.verdict_files.keys()

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


def read_set(
    verdict_files: Sequence[Path], stage_a_files: Sequence[Path] | None, missions: Missions, labels: Labels
) -> JudgedSet:
    """Reads all files. `stage_a_files`: None takes those named by the verdicts' run files."""
    # Verdicts first: a file of another kind is refused before its run file is looked for.
    judged = list(read_groups(verdict_files, VerdictRecord, missions, JUDGE_AGAIN))
    check_rewritten(verdict_files, judged)
    verdicts = {record.key: record for _, record in judged}
    faults = _read_faults(verdict_files, missions)
    sources = find_stage_a_files(verdict_files) if stage_a_files is None else unique_paths(stage_a_files)
    # Some missions may not have been judged.
    lines = list(read_groups(sources, StageARecord, missions, any_mission=True))
    return JudgedSet(
        verdicts=verdicts,
        faults=faults,
        written={record.key: record for _, record in lines},
        missing=_read_faults(sources, missions, any_mission=True),
        verdict_files=_files_by_mission(verdict_files, judged, faults, missions),
        stage_a_files=sources,
        stage_a_of_missions=_files_of_missions(lines),
        photos=[PhotosOfGroup.of(*line) for line in lines],
        missions=missions,
        labels=labels,
    )


def _read_faults(
    paths: Iterable[Path], missions: Missions, *, any_mission: bool = False
) -> dict[GroupKey, list[Fault]]:
    """The faults of the latest attempt at each group, from the errors files beside the files of lines."""
    found: list[Fault] = []
    for file in (RunPaths.beside(path).errors for path in unique_paths(paths)):
        for number, fault in read_faults(file) if exists(file) else ():
            key = fault.key if any_mission else known_key(fault.key, missions, LinePlace(file, number))
            found.append(fault.model_copy(update={"mission": canonical_key(key, missions).mission}))
    return latest_attempts(found)


def _files_of_missions(
    lines: Iterable[tuple[LinePlace, GroupRecord]], more: Collection[tuple[str, Path]] = ()
) -> dict[str, list[Path]]:
    """For each mission the files with lines of it. `more`: further pairs of a mission and a file about it."""
    pairs = {(record.mission, place.path) for place, record in lines}
    found: dict[str, list[Path]] = {}
    for mission, path in sorted({*pairs, *more}):
        found.setdefault(mission, []).append(path)
    return found


def _files_by_mission(
    verdict_files: Sequence[Path],
    judged: Iterable[tuple[LinePlace, VerdictRecord]],
    faults: Iterable[GroupKey],
    missions: Missions,
) -> dict[str, list[Path]]:
    """The missions that the files are about, each with its files. An empty file counts for the mission in its name."""
    names = {(path.name.removesuffix("_verdicts.jsonl"), path) for path in verdict_files}
    named = {(missions.get(name).name, path) for name, path in names if name in missions}
    found = _files_of_missions(judged, named)
    return {**found, **{key.mission: [] for key in faults if key.mission not in found}}
