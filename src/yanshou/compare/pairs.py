"""Two files of one kind, and their groups side by side.

a_stage_a.jsonl          b_stage_a.jsonl
QC-1  pass  ─────────────  QC-1  pass      a pair: same mission, label and id
QC-2  pass                                 only in A
                           QC-2  fail      only in B: another label is another group
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

from yanshou.errors import InputError, UsageError
from yanshou.missions import Missions
from yanshou.schema.records import GroupKey, GroupRecord, StageARecord, VerdictRecord
from yanshou.storage.errors_file import latest_attempts, read_faults
from yanshou.storage.jsonl import read_lines
from yanshou.storage.read_groups import FILE_KINDS, JUDGE_AGAIN, SUMMARIZE_AGAIN, canonical_key, read_groups
from yanshou.storage.run_files import RunPaths
from yanshou.text import printable

Kind = type[StageARecord] | type[VerdictRecord]
RecordT = TypeVar("RecordT", bound=GroupRecord)


class Keyed(Protocol):
    """What is kept of a group's line."""

    @property
    def key(self) -> GroupKey: ...


KeptT = TypeVar("KeptT", bound=Keyed)


def common_kind(a: Path, b: Path) -> Kind:
    """The kind of both files. Raises UsageError for other files, for two kinds, and for one file given twice."""
    if a.resolve() == b.resolve():
        raise UsageError(f"{printable(a)} is given twice. Give two files about the same groups.")
    kind_a, kind_b = kind_of(a), kind_of(b)
    if kind_a is not kind_b:
        raise UsageError(
            f"{printable(a)} is a file of {FILE_KINDS[kind_a][0]}, {printable(b)} one of {FILE_KINDS[kind_b][0]}. "
            "Give two files of one kind."
        )
    return kind_a


def kind_of(path: Path) -> Kind:
    """What the first line is; of an empty file, what its name says. Raises UsageError for anything else."""
    advice = JUDGE_AGAIN if path.name.endswith(FILE_KINDS[VerdictRecord][1]) else SUMMARIZE_AGAIN
    for _, line in islice(read_lines(path, advice), 1):
        if "images" in line and "per_image" in line:
            return StageARecord
        if "verdict" in line:
            return VerdictRecord
        raise _other_kind(path)
    if path.name.endswith(FILE_KINDS[StageARecord][1]):
        return StageARecord
    if path.name.endswith(FILE_KINDS[VerdictRecord][1]):
        return VerdictRecord
    raise _other_kind(path)


def _other_kind(path: Path) -> UsageError:
    truth = " `yanshou score` compares summaries with reference summaries." if path.name == "truth.jsonl" else ""
    return UsageError(
        f"{printable(path)} is neither a Stage-A file nor a file of verdicts. Give two files <mission>_stage_a.jsonl, "
        f"or two files <mission>_verdicts.jsonl.{truth}"
    )


def read_pairs(
    a: Path, b: Path, kind: type[RecordT], missions: Missions, keep: Callable[[RecordT], KeptT]
) -> Iterator[tuple[KeptT | None, KeptT | None]]:
    """What `keep` makes of each group in A and in B; None where a file lacks the group.

    Groups of B come first, in its order, then those that only A has. Memory holds what is kept of A.
    """
    left = {kept.key: kept for kept in map(keep, _records(a, kind, missions))}
    for record in _records(b, kind, missions):
        kept = keep(record)
        yield left.pop(kept.key, None), kept
    for only_a in left.values():
        yield only_a, None


def _records(path: Path, kind: type[RecordT], missions: Missions) -> Iterator[RecordT]:
    advice = JUDGE_AGAIN if issubclass(kind, VerdictRecord) else SUMMARIZE_AGAIN
    return (record for _, record in read_groups([path], kind, missions, advice, any_mission=True))


def failed_groups(path: Path, missions: Missions) -> frozenset[GroupKey]:
    """The groups in the errors file beside a file of lines: the run failed on them."""
    faults = (fault for _, fault in read_faults(RunPaths.beside(path).errors))
    return frozenset(canonical_key(key, missions) for key in latest_attempts(faults))


def check_common(a: Path, b: Path, pairs: int, only_a: Iterable[GroupKey], only_b: Iterable[GroupKey]) -> None:
    """Raises InputError where the files have no group in common."""
    if pairs:
        return
    sides = [f"{printable(path)} has {_some(list(keys))}" for path, keys in ((a, only_a), (b, only_b))]
    raise InputError(
        f"no group is in both files: {'; '.join(sides)}. Mission, label and id make a group; give two files about the "
        "same groups."
    )


def _some(keys: list[GroupKey]) -> str:
    return f"{len(keys)} groups, first {keys[0]}" if keys else "no group"
