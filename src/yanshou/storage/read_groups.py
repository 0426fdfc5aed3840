"""The groups of one or more files of lines, each group once, validated as strictly as when they were written.

    a_stage_a.jsonl:1   QC-1  挡风板安装检查        pass  ┐ three groups: mission, label and id identify a group
    b_stage_a.jsonl:1   QC-1  挡风板安装检查        fail  │
    b_stage_a.jsonl:2   QC-2  BBU线缆布放要求       pass  ┘ read as BBU线缆布放, which this is an alias of
    b_stage_a.jsonl:3   QC-2  BBU线缆布放           pass    refused: the group is already at b_stage_a.jsonl:2

A file that is given twice, or under two names, is read once.
"""

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from yanshou.errors import DamagedFileError, InputError, UsageError
from yanshou.missions import Missions
from yanshou.schema.policy import DecisionRecord
from yanshou.schema.records import GroupKey, GroupRecord, StageARecord, VerdictRecord
from yanshou.storage.jsonl import read_records
from yanshou.storage.line_place import LinePlace

SUMMARIZE_AGAIN = "Delete the line and run `yanshou summarize` again: only that group is redone."
JUDGE_AGAIN = "Delete the line and run `yanshou judge` again: only that group is redone."

FILE_KINDS: dict[type[GroupRecord], tuple[str, str]] = {
    StageARecord: ("summaries", "_stage_a.jsonl"),
    VerdictRecord: ("verdicts", "_verdicts.jsonl"),
    DecisionRecord: ("decisions", "_decisions.jsonl"),
}

COMPARED = (StageARecord, VerdictRecord)  # what `yanshou compare` takes

RecordT = TypeVar("RecordT", bound=GroupRecord)


def read_groups(
    paths: Iterable[Path],
    record_type: type[RecordT],
    known: Missions,
    advice: str = SUMMARIZE_AGAIN,
    *,
    any_mission: bool = False,
) -> Iterator[tuple[LinePlace, RecordT]]:
    """Place and record of every group, in the files' order, under its mission's own name instead of an alias.

    Raises UsageError for a file of another kind; DamagedFileError for a line that no run writes (its message ends with
    `advice`) and for a repeated group; InputError for an unknown mission, unless `any_mission` is set.
    """
    places: dict[GroupKey, LinePlace] = {}
    for path in unique_paths(paths):
        _refuse_other_kind(path, record_type)
        for number, record in read_records(path, record_type, advice):
            place = LinePlace(path, number)
            key = canonical_key(record.key, known) if any_mission else known_key(record.key, known, place)
            if first := places.get(key):
                raise DamagedFileError(
                    f"{place}: group {key} is already at {first}. {_cure(first.path, path, record_type)}"
                )
            places[key] = place
            yield place, record if key == record.key else record.model_copy(update={"mission": key.mission})


def _cure(first: Path, second: Path, record_type: type[GroupRecord]) -> str:
    """What to do about a group in two lines, by whether one file or two runs have them."""
    if first == second:
        return "Keep one of the two lines."
    if record_type not in COMPARED:
        return "Give the files of one run only."
    return (
        "Give the files of one run only. Two files about the same groups are compared by `yanshou compare "
        f"{shlex.join(map(str, (first, second)))}`."
    )


def unique_paths(paths: Iterable[Path]) -> list[Path]:
    """One path per file: in the place of the first that leads to it, spelled as the last."""
    return list({path.resolve(): path for path in paths}.values())


def _refuse_other_kind(path: Path, record_type: type[GroupRecord]) -> None:
    """Raises UsageError for files that `out/*.jsonl` matches, too: their lines are of another kind, not damaged."""
    what, ending = FILE_KINDS.get(record_type, ("", ""))
    others = {other for _, other in FILE_KINDS.values()} - {ending}
    if what and path.name.endswith((".errors.jsonl", ".removed.jsonl", ".run.json", ".csv", *others)):
        raise UsageError(f"{path} is not a file of {what}. Give <mission>{ending}; the files beside it are found.")


def canonical_key(key: GroupKey, known: Missions) -> GroupKey:
    """The group under its mission's own name instead of an alias. An unknown mission keeps its name."""
    return key._replace(mission=known.get(key.mission).name) if key.mission in known else key


def known_key(key: GroupKey, known: Missions, place: LinePlace) -> GroupKey:
    """The group under its mission's own name. Raises InputError, naming the place, for an unknown mission."""
    try:
        return key._replace(mission=known.get(key.mission).name)
    except UsageError as error:
        raise InputError(f"{place}: group {key}: {error}") from error
