"""The file of lines: the groups that are done. It is the only memory of what is done, and it only grows."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from yanshou.errors import DamagedFileError
from yanshou.schema.records import GroupKey, GroupRecord
from yanshou.storage.atomic import replace_file, write_errors
from yanshou.storage.jsonl import Appender, dump_line, read_records
from yanshou.storage.removed_lines import move_lines
from yanshou.text import excerpt

RecordT = TypeVar("RecordT", bound=GroupRecord)

logger = logging.getLogger(__name__)


class LinesFile(Generic[RecordT]):
    """One mission's lines, open for writing. The caller holds the lock.

    Opening cuts off a torn last line, then checks every line. Raises DamagedFileError for a line that no run writes,
    for a line about another mission, and for a second line about one group.
    """

    def __init__(self, path: Path, record_type: type[RecordT], mission: str) -> None:
        self.path, self._record_type = path, record_type
        self._file = Appender(path)
        try:
            self.done = self._read(mission)  # group → its record's `freshness`
        except BaseException:
            self.close()
            raise
        logger.info("%s: %d groups are done", path, len(self.done))

    def append(self, record: RecordT) -> None:
        """Writes a group's line; from now on the group is done."""
        assert record.key not in self.done, record.key
        self._file.append(record)
        self.done[record.key] = record.freshness

    def records(self) -> Iterator[RecordT]:
        """The records on disk, in the file's order."""
        return (record for _, record in self.numbered())

    def numbered(self) -> Iterator[tuple[int, RecordT]]:
        """Line number (from 1) and record of every line on disk."""
        return read_records(self.path, self._record_type)

    def remove(self, groups: Mapping[int, GroupKey], removed: Path) -> None:
        """Moves the lines of these groups, by line number, to the end of the file `removed`."""
        self._file.close()
        move_lines(self.path, removed, groups)
        self._file = Appender(self.path)
        for key in groups.values():
            del self.done[key]

    def replace(self, records: Iterable[RecordT]) -> None:
        """Replaces all lines at once by others of the same groups."""
        replace_file(self.path, b"".join(map(dump_line, records)))
        self._file.close()
        self._file = Appender(self.path)  # the old one would append to the old file

    def close(self) -> None:
        """Closes the file, its lines safe on the disk."""
        self._file.close()

    def _read(self, mission: str) -> dict[GroupKey, str]:
        done: dict[GroupKey, str] = {}
        numbers: dict[GroupKey, int] = {}
        for number, record in read_records(self.path, self._record_type):
            if record.key.mission != mission:
                raise DamagedFileError(
                    f"{self.path}:{number}: group {record.key.group_id} is of mission "
                    f"{excerpt(record.key.mission)}, but this file is for {mission}. Delete the line and run again."
                )
            first = numbers.setdefault(record.key, number)
            if first != number:
                raise DamagedFileError(
                    f"{self.path}:{number}: group {record.key.group_id} (label {record.key.label}) is already on line "
                    f"{first}. Delete one of the two lines and run again."
                )
            done[record.key] = record.freshness
        return done


def has_line(path: Path) -> bool:
    """Whether the file holds a whole line. A torn first line does not count."""
    if not path.exists():
        return False
    with write_errors(path), path.open("rb") as file:
        return file.readline().endswith(b"\n")
