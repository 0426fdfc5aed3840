"""The errors file: the groups that fail now, one line per fault.

The faults of one attempt share a timestamp. A killed run may leave several attempts at one group: the latest counts.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from yanshou.schema.records import Fault, GroupKey, now
from yanshou.storage.appender import Appender
from yanshou.storage.atomic import replace_file
from yanshou.storage.file_end import FileEnd, find_end
from yanshou.storage.jsonl import dump_line, read_records

ADVICE = "Delete the line: the group is tried again in any case."

logger = logging.getLogger(__name__)


def read_faults(path: Path, torn: int = 0) -> Iterator[tuple[int, Fault]]:
    """Line number (from 1) and fault of every line; none where there is no file. Raises DamagedFileError.

    `torn`: bytes at the end of the file that are left out.
    """
    if path.exists():
        yield from read_records(path, Fault, ADVICE, torn)


def latest_attempts(faults: Iterable[Fault]) -> dict[GroupKey, list[Fault]]:
    """The faults of the latest attempt at each group, in the order of the attempts."""
    attempts: dict[GroupKey, list[Fault]] = {}
    for fault in faults:
        attempt = attempts.get(fault.key)
        if attempt and attempt[0].timestamp == fault.timestamp:
            attempt.append(fault)
        else:
            attempts.pop(fault.key, None)
            attempts[fault.key] = [fault]
    return attempts


class ErrorsFile:
    """One mission's errors file. The caller holds the lock.

    errors = ErrorsFile(path, done)        reads and checks every line, changes nothing
    errors.open()                          drops a torn last line, older attempts and the faults of groups in `done`
    """

    def __init__(self, path: Path, done: Collection[GroupKey]) -> None:
        self.path = path
        self.end = find_end(path, Fault)
        faults = latest_attempts(fault for _, fault in read_faults(path, self.end.torn))
        self._failing = {key: found for key, found in faults.items() if key not in done}
        self._file: Appender | None = None
        if self._failing:
            logger.info("%s: %d groups failed before", path, len(self._failing))

    @property
    def failing(self) -> Mapping[GroupKey, list[Fault]]:
        """The groups that fail now, each with the faults of its latest attempt."""
        return self._failing

    def open(self) -> None:
        """Reduces the file to what fails now. Raises OutputError."""
        self._write()

    def fail(self, faults: Sequence[Fault]) -> None:
        """Writes all faults of one group's attempt together; they replace those of earlier attempts."""
        key, moment = faults[0].key, now()
        assert all(fault.key == key for fault in faults), faults
        assert self._file, "open() comes first"
        before = self._failing.pop(key, [])
        self._failing[key] = [fault.model_copy(update={"timestamp": moment}) for fault in faults]
        if before and before[0].timestamp == moment:  # appended, the two attempts would read as one
            self._write()
        else:
            self._file.append_bytes(b"".join(map(dump_line, self._failing[key])))

    def forget(self, key: GroupKey) -> None:
        """Drops the group's faults, on disk with the next `finish`: it is done now."""
        self._failing.pop(key, None)

    def finish(self, present: Collection[GroupKey] | None = None) -> None:
        """Reduces the file to what fails now. `present`: the groups in the input, to which it is limited."""
        if present is not None:
            self._failing = {key: faults for key, faults in self._failing.items() if key in present}
        self._write()

    def close(self) -> None:
        """Closes the file, its lines safe on the disk."""
        if self._file:
            self._file.close()

    def _write(self) -> None:
        data = b"".join(dump_line(fault) for faults in self._failing.values() for fault in faults)
        if self._file:
            self._file.check()
            self._file.close()
        replace_file(self.path, data)
        self._file = Appender(self.path, FileEnd(len(data)))
