"""The groups that a checkpoint judges wrong, from its verdicts about the groups of a dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from yanshou.errors import InputError
from yanshou.missions import Missions
from yanshou.schema.records import OTHER_SUMMARIES, GroupKey, VerdictRecord
from yanshou.storage.labels_file import Labels
from yanshou.storage.read_groups import JUDGE_AGAIN, read_groups


class Misjudged(NamedTuple):
    """What the verdicts say about the groups of a dataset."""

    groups: frozenset[GroupKey]  # their verdict is not the label that they are trained with
    unbound: int  # verdicts that do not name the summaries they were judged from


def read_misjudged(
    paths: Sequence[Path], missions: Missions, groups: Mapping[GroupKey, str], labels: Labels | None = None
) -> Misjudged:
    """`groups`: each with the `summaries_sha256` of its Stage-A line. Verdicts about other groups are ignored.

    Raises InputError where none of the verdicts is about these groups, and for one about other summaries.
    """
    labels = labels or Labels()
    found = list(read_groups(paths, VerdictRecord, missions, JUDGE_AGAIN))
    relevant = [(place, verdict) for place, verdict in found if verdict.key in groups]
    for place, verdict in relevant:
        if verdict.summaries_sha256 not in (None, groups[verdict.key]):
            raise InputError(
                f"{place}: group {verdict.key}: {OTHER_SUMMARIES}. Delete the verdict's line and judge it again."
            )
    if paths and not relevant:
        raise InputError(
            f"{', '.join(map(str, paths))}: none of the {len(found)} verdicts is about a group of the Stage-A "
            "files. Give the verdicts that `yanshou judge` wrote for the same files."
        )
    verdicts = [verdict for _, verdict in relevant]
    return Misjudged(
        frozenset(verdict.key for verdict in verdicts if verdict.verdict != labels.label_of(verdict.key)),
        sum(verdict.summaries_sha256 is None for verdict in verdicts),
    )
