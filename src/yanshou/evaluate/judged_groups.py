"""The groups of an evaluation, and what a reader of their figures has to know about them.

    verdicts, Stage-A ─ read_set ─ JudgedSet ─┬─ groups, only those of the dataset files (--only)
                                              └─ warnings

Two kinds of gaps give a warning: a group with summaries but neither verdict nor fault was not judged, and a group with
a verdict but no summaries has no decision of the rules. A group without a verdict counts as not released.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from yanshou.errors import InputError
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.judged_set import NOT_JUDGED, JudgedSet, read_set
from yanshou.evaluate.sources import NAME_THEM, read_run, unfinished_warnings
from yanshou.missions import Missions
from yanshou.schema.label_row import LabelsUsed
from yanshou.schema.records import OTHER_SUMMARIES, GroupKey, Label, unbound_warnings
from yanshou.schema.run_record import RunRecord
from yanshou.stage_b.dataset_files import check_dataset_files
from yanshou.stage_b.dataset_rows import GroupRow, read_rows
from yanshou.stage_b.shared_photos import check_shared_photos
from yanshou.storage.labels_file import Labels, read_labels
from yanshou.storage.read_groups import canonical_key
from yanshou.storage.stale_counts import stale_warnings

MAX_NAMED = 5  # groups that warnings of one kind name


@dataclass(frozen=True, slots=True)
class JudgedGroups:
    """The groups of an evaluation."""

    groups: tuple[JudgedGroup, ...]  # in the order of the Stage-A files, followed by groups without a line there
    verdict_files: Mapping[str, Sequence[Path]]  # mission → the files of verdicts that are about it
    stage_a_files: tuple[Path, ...]
    stage_a_of_missions: Mapping[str, Sequence[Path]]  # mission → those of these files that have lines of it
    runs: Mapping[Path, RunRecord | None]  # file → its run.json; None: missing or damaged
    only: Sequence[Path]  # dataset files, to whose groups the evaluation is limited
    unbound: int  # verdicts that do not name the summaries they were judged from
    labels: LabelsUsed | None  # None: no labels files
    warnings: tuple[str, ...]


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
    read = read_set(verdict_files, stage_a_files, missions, read_labels(labels, missions))
    shared = check_shared_photos(
        [group for group in read.photos if group.key.mission in read.judged], allowed=allow_shared_photos
    )
    _check_selected(only, rows, read)
    groups = read.groups(rows if only else None)
    _check_groups(groups, [*verdict_files, *only], read)
    unbound = sum(group.key in read.unbound for group in groups)
    return JudgedGroups(
        groups=groups,
        verdict_files=read.verdict_files,
        stage_a_files=tuple(read.stage_a_files),
        stage_a_of_missions=read.stage_a_of_missions,
        runs={file: read_run(file) for file in (*verdict_files, *read.stage_a_files)},
        only=only,
        unbound=unbound,
        labels=read.labels.used(group.key for group in groups),
        warnings=(
            *of_dataset,
            *unfinished_warnings(verdict_files),
            *stale_warnings([*verdict_files, *read.stage_a_files]),
            *_outdated_warnings(groups, read),
            *unbound_warnings(unbound),
            *shared,
            *_only_warnings(only, groups, read),
            *_other_label_warnings(rows, read.labels),
            *_gap_warnings(groups),
            *read.labels.warnings(read.keys),
            # Files found by a run file also hold missions that were judged into other files: no reason for a warning.
            *_mission_warnings(rows if only else read.keys if stage_a_files else (), read.judged),
        ),
    )


def _check_selected(only: Sequence[Path], selected: Collection[GroupKey], read: JudgedSet) -> None:
    unknown = [key for key in selected if key.mission in read.judged and key not in read.keys]
    if unknown:
        raise InputError(
            f"{_joined(only)}: {len(unknown)} groups are in none of the other files, first {min(map(str, unknown))}. "
            "Give the verdicts and Stage-A files of the groups from which the dataset was built."
        )


def _check_groups(groups: Sequence[JudgedGroup], files: Sequence[Path], read: JudgedSet) -> None:
    if not groups:
        raise InputError(f"{_joined(files)}: no group to evaluate. Check the files.")
    if read.verdicts and not any(key in read.written for key in read.verdicts):
        raise InputError(
            f"{_joined(read.stage_a_files)}: no line for any of the {len(read.verdicts)} groups with a verdict. "
            f"Check the files, and {NAME_THEM}"
        )


def _outdated_warnings(groups: Sequence[JudgedGroup], read: JudgedSet) -> Iterable[str]:
    yield from _name_groups(
        [group.key for group in groups if group.key in read.outdated],
        f"{OTHER_SUMMARIES}: counted as an error, not released. Delete the verdict's line and judge again",
    )


def _only_warnings(only: Sequence[Path], groups: Sequence[JudgedGroup], read: JudgedSet) -> Iterable[str]:
    if only:
        others = len(read.groups()) - len(groups)
        yield f"only the {len(groups)} groups of {_joined(only)} are evaluated; {others} others are left out"


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
        "neither a verdict nor a fault: counted as an error, not released. Judge it: run `yanshou judge` again, or the "
        "program that gave the verdicts",
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
