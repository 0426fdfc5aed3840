"""The file of lines: the groups that are done. It is the only memory of what is done, and it only grows."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Generic, TypeVar

from yanshou.errors import DamagedFileError
from yanshou.schema.records import GroupKey, GroupRecord
from yanshou.storage.appender import Appender
from yanshou.storage.atomic import replace_file
from yanshou.storage.file_end import FileEnd, find_end
from yanshou.storage.jsonl import dump_line, read_records
from yanshou.storage.removed_lines import move_lines
from yanshou.text import excerpt, nfc

RecordT = TypeVar("RecordT", bound=GroupRecord)

DIGEST_BYTES = 15  # of what a line was made from: 48 bytes as a Python object

logger = logging.getLogger(__name__)


class LinesFile(Generic[RecordT]):
    """One mission's lines. The caller holds the lock.

        lines = LinesFile(path, StageARecord, mission)        reads and checks every line, changes nothing
        lines.open()                                          repairs the end of the file; from now on lines are written

    Raises DamagedFileError for a line that no run writes, for a line about another mission, and for a second line
    about one group. Memory holds every group's key and a digest of what its line was made from.
    """

    def __init__(self, path: Path, record_type: type[RecordT], mission: str) -> None:
        self.path, self._record_type = path, record_type
        self.end = find_end(path, record_type)
        self.done = self._read(mission)  # group → digest of its record's `freshness`; b"" where that is ""
        self._file: Appender | None = None
        logger.info("%s: %d groups are done", path, len(self.done))

    def open(self) -> None:
        """Repairs the end of the file and opens it for writing. Raises OutputError."""
        self._file = Appender(self.path, self.end)

    def append(self, record: RecordT) -> None:
        """Writes a group's line; from now on the group is done."""
        assert record.key not in self.done, record.key
        self._opened.append(record)
        self.done[record.key] = _digest(record.freshness)

    def fits(self, key: GroupKey, freshness: str) -> bool:
        """Whether the group's line was made from the input that it has now, or does not say from which."""
        return self.done[key] in (b"", _digest(freshness))

    def freshness(self, key: GroupKey) -> str:
        """The `freshness` of the group's record. The first call reads the file again, for messages about such lines."""
        return self._freshness[key]

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

    @cached_property
    def _freshness(self) -> dict[GroupKey, str]:
        return {record.key: record.freshness for record in self.records()}

    @property
    def _opened(self) -> Appender:
        assert self._file, "open() comes first"
        return self._file

    def _read(self, mission: str) -> dict[GroupKey, bytes]:
        done: dict[GroupKey, bytes] = {}
        lines = read_records(self.path, self._record_type, torn=self.end.torn) if self.path.exists() else ()
        for number, record in lines:
            if record.key.mission != mission:
                raise DamagedFileError(
                    f"{self.path}:{number}: group {record.key.group_id} is of mission "
                    f"{excerpt(record.key.mission)}, but this file is for {mission}. Delete the line and run again."
                )
            key = GroupKey(mission, record.label, record.group_id)  # one text for the mission of all lines
            if key in done:
                first = next(number for number, record in self.numbered() if record.key == key)
                raise DamagedFileError(
                    f"{self.path}:{number}: group {key.group_id} (label {key.label}) is already on line {first}. "
                    "Delete one of the two lines and run again."
                )
            done[key] = _digest(record.freshness)
        return done


def _digest(freshness: str) -> bytes:
    """Equal for names that differ only in Unicode's form, which a Mac on the way changes."""
    text = nfc(freshness).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=DIGEST_BYTES).digest() if text else b""


def has_line(path: Path, record_type: type[GroupRecord]) -> bool:
    """Whether the file holds anything but a torn first line."""
    return find_end(path, record_type).keep > 0
