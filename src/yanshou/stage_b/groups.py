"""The groups of one or more Stage-A files, each once, read as strictly as they were written."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from yanshou.errors import DamagedFileError, InputError, UsageError
from yanshou.jsonl import read_records
from yanshou.missions import Missions
from yanshou.records import GroupKey, StageARecord


def read_groups(paths: Sequence[Path], known: Missions) -> Iterator[tuple[str, StageARecord]]:
    """`file:line` and record of every group, in the files' order; missions by their own names, not by an alias.

    Raises DamagedFileError for a line that no run writes and for a group that stands there twice, InputError for a
    mission that is not known.
    """
    places: dict[GroupKey, str] = {}
    for path in paths:
        for number, record in read_records(path, StageARecord):
            place = f"{path}:{number}"
            try:
                mission = known.get(record.mission)
            except UsageError as error:
                raise InputError(f"{place}: group {record.group_id}: {error}") from error
            group = record.model_copy(update={"mission": mission.name})
            first = places.setdefault(group.key, place)
            if first != place:
                raise DamagedFileError(
                    f"{place}: group {group.group_id} ({group.mission}, {group.label or 'no label'}) stands at {first} "
                    "already. Keep one of the two."
                )
            yield place, group
