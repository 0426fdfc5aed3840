"""The file of lines: the groups that are done. It is the only memory of what is done, and it only grows."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Generic, TypeVar

from yanshou.errors import DamagedFileError
from yanshou.schema.records import GroupKey, GroupRecord
from yanshou.storage.appender import Appender
from yanshou.storage.atomic import replace_file
from yanshou.storage.file_end import FileEnd, find_end
from yanshou.storage.jsonl import dump_line, read_records
from yanshou.storage.removed_lines import move_lines
from yanshou.text import excerpt

RecordT = TypeVar("RecordT", bound=GroupRecord)

logger = logging.getLogger(__name__)


class LinesFile(Generic[RecordT]):
    """One mission's lines. The caller holds the lock.

        lines = LinesFile(path, StageARecord, mission)        reads and checks every line, changes nothing
        lines.open()                                          repairs the end of the file; from now on lines are written

    Raises DamagedFileError for a line that no run writes, for a line about another mission, and for a second line
    about one group.
    """

    def __init__(self, path: Path, record_type: type[RecordT], mission: str) -> None:
        self.path, self._record_type = path, record_type
        self.end = find_end(path, record_type)
        self.done = self._read(mission)  # group → its record's `freshness`
        self._file: Appender | None = None
        logger.info("%s: %d groups are done", path, len(self.done))

    def open(self) -> None:
        """Repairs the end of the file and opens it for writing. Raises OutputError."""
        self._file = Appender(self.path, self.end)

    def append(self, record: RecordT) -> None:
        """Writes a group's line; from now on the group is done."""
        assert record.key not in self.done, record.key
        self._opened.append(record)
        self.done[record.key] = record.freshness

    def records(self) -> Iterator[RecordT]:
        """The records on disk, in the file's order."""
        return (record for _, record in self.numbered())

    def numbered(self) -> Iterator[tuple[int, RecordT]]:
        """Line number (from 1) and record of every line on disk."""
        return read_records(self.path, self._record_type)

    def remove(self, groups: Mapping[int, GroupKey], removed: Path) -> None:
        """Moves the lines of these groups, by line number, to the end of the file `removed`."""
        self._opened.check()
        move_lines(self.path, removed, groups, self._record_type)
        self._opened.close()
        self._file = Appender(self.path, find_end(self.path, self._record_type))
        for key in groups.values():
            del self.done[key]

    def replace(self, records: Iterable[RecordT]) -> None:
        """Replaces all lines at once by others of the same groups. A link stays, and the file behind it is replaced."""
        data = b"".join(map(dump_line, records))
        self._opened.check()
        replace_file(self.path.resolve(), data)
        self._opened.close()
        self._file = Appender(self.path, FileEnd(len(data)))  # the old one would append to the old file

    def sync(self) -> bool:
        """Makes the lines safe on the disk. Returns False where the file system cannot do that."""
        return self._opened.sync()

    def close(self) -> None:
        """Closes the file, its lines safe on the disk."""
        if self._file:
            self._file.close()

    @property
    def _opened(self) -> Appender:
        assert self._file, "open() comes first"
        return self._file

    def _read(self, mission: str) -> dict[GroupKey, str]:
        done: dict[GroupKey, str] = {}
        numbers: dict[GroupKey, int] = {}
        lines = read_records(self.path, self._record_type, torn=self.end.torn) if self.path.exists() else ()
        for number, record in lines:
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


def has_line(path: Path, record_type: type[GroupRecord]) -> bool:
    """Whether the file holds anything but a torn first line."""
    return find_end(path, record_type).keep > 0
