"""The comparison of two files: figures, changes, differing settings, and what a reader has to know beside them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yanshou.compare.pairs import Kind, check_common, common_kind, failed_groups, read_pairs
from yanshou.compare.run_differences import RunDifferences, run_differences
from yanshou.compare.summaries_compared import PhotoChange, Summaries, SummaryComparison
from yanshou.compare.verdicts_compared import Said, VerdictComparison, VerdictPair
from yanshou.errors import UsageError
from yanshou.missions import Missions
from yanshou.schema.records import GroupKey, StageARecord, VerdictRecord
from yanshou.storage.labels_file import read_labels

MAX_NAMED = 5  # groups that warnings of one kind name


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that `yanshou compare` says."""

    a: Path
    b: Path
    found: SummaryComparison | VerdictComparison
    changes: Sequence[PhotoChange | VerdictPair]  # worst first
    runs: RunDifferences
    warnings: tuple[str, ...]

    @property
    def kind(self) -> str:
        return "summaries" if isinstance(self.found, SummaryComparison) else "verdicts"

    def to_dict(self) -> dict[str, Any]:
        """For --json: shares are between 0 and 1, or null if there is nothing to count."""
        found = self.found
        if isinstance(found, SummaryComparison):
            overall = found.overall.to_dict()
            missions = {name: part.to_dict() for name, part in found.missions.items()}
        else:
            overall = found.overall.to_dict(self.runs.thresholds)
            missions = {name: part.to_dict(self.runs.thresholds) for name, part in found.missions.items()}
        return {
            "kind": self.kind, "a": str(self.a), "b": str(self.b), "overall": overall, "missions": missions,
            "only_in_a": [key._asdict() for key in found.only_a],
            "only_in_b": [key._asdict() for key in found.only_b],
            "settings_that_differ": self.runs.to_dict(), "warnings": list(self.warnings),
        }  # fmt: skip


def compare(a: Path, b: Path, missions: Missions, labels: Sequence[Path] = ()) -> Comparison:
    """Compares two Stage-A files, or two files of verdicts. `labels`: files whose labels count for verdicts.

    Raises UsageError for files of other kinds or of two kinds, for one file given twice, and for labels of Stage-A
    files; InputError where no group is in both; DamagedFileError for a line that no run writes.
    """
    kind: Kind = common_kind(a, b)
    if labels and kind is StageARecord:
        raise UsageError("--labels is for files of verdicts: no figure about summaries depends on a label.")
    read = read_labels(labels, missions)
    found: SummaryComparison | VerdictComparison
    if kind is StageARecord:
        found = SummaryComparison(missions)
        for summaries in read_pairs(a, b, StageARecord, missions, Summaries.of):
            found.add(*summaries)
        common = found.overall.groups
    else:
        found = VerdictComparison(read)
        for said in read_pairs(a, b, VerdictRecord, missions, Said.of):
            found.add(*said)
        common = found.overall.groups
    check_common(a, b, common, found.only_a, found.only_b)
    runs = run_differences(a, b)
    warnings = (*runs.warnings, *_unpaired_warnings(a, b, found, missions), *_own_warnings(found))
    return Comparison(a, b, found, found.worst_first(), runs, warnings)


def _unpaired_warnings(
    a: Path, b: Path, found: SummaryComparison | VerdictComparison, missions: Missions
) -> Iterator[str]:
    """Groups that only one file has, and why, as far as the files say so."""
    sides = (("A", found.only_a, "B", b, found.only_b), ("B", found.only_b, "A", a, found.only_a))
    for one, only, other, path, others in sides:
        if only:
            failed = len(failed_groups(path, missions).intersection(only))
            relabelled = len({key._replace(label=None) for key in only} & {key._replace(label=None) for key in others})
            notes = [f"{failed} of them failed in {other}"] if failed else []
            notes += [f"{relabelled} are in {other} under another label, which is another group"] if relabelled else []
            yield f"{_named(only)} only in {one}, in no share" + "".join(f"; {note}" for note in notes)


def _own_warnings(found: SummaryComparison | VerdictComparison) -> Iterator[str]:
    if isinstance(found, SummaryComparison):
        return _summary_warnings(found)
    return _verdict_warnings(found)


def _summary_warnings(found: SummaryComparison) -> Iterator[str]:
    total = found.overall
    if found.other_photos:
        more = f"{total.photos_only_a} photos only in A and {total.photos_only_b} only in B, in no share"
        yield f"{_named(found.other_photos)} with other numbers of photos: {more}"
    if found.renamed:
        yield (
            f"{_named(found.renamed)} with photos of another name under the same number: {total.renamed} photos, whose "
            "lines are compared all the same"
        )
    for mission, groups in found.without_rule.items():
        yield f"{mission}: unknown mission, so no decision of the rules about its {groups} groups with a changed photo"


def _verdict_warnings(found: VerdictComparison) -> Iterator[str]:
    total = found.overall
    if found.labels.files:
        yield f"labels of the files given with --labels: {found.labels.used(pair.key for pair in total.pairs)}"
        yield from found.labels.warnings([*(pair.key for pair in total.pairs), *found.only_a, *found.only_b])
    if other := total.other_summaries:
        yield f"{other} groups were judged from other summaries in B: what differs is not the judge alone"
    if not total.labelled:
        yield "no group has a human label: nothing says which of the two is right, and there is no McNemar test"
    elif unlabelled := total.groups - total.labelled:
        yield f"{unlabelled} groups have no human label and are in no McNemar test"
    if without := total.groups - len(total.shifts):
        yield f"{without} groups have no p_pass in A or in B and are in no figure of its shift"


def _named(keys: Sequence[GroupKey]) -> str:
    """`7 groups (QC-1 (挡风板安装检查, pass), …, and 2 more)`"""
    more = len(keys) - MAX_NAMED
    names = ", ".join(map(str, keys[:MAX_NAMED])) + (f", and {more} more" if more > 0 else "")
    return f"{len(keys)} group{'' if len(keys) == 1 else 's'} ({names})"
