"""A file that only grows, by whole lines, and that survives a crash.

    end = find_end(path, StageARecord)             looks, changes nothing
    … everything is read and checked …
    with Appender(path, end) as file:              repairs the end: cuts off a half-written line, adds a missing break
        file.append(record)

After `append` returns, the operating system has the line, so it survives the end of the process, SIGKILL included.
After a failed `append` (full disk) the file is as it was before. fsync is called every few seconds and at close, not
after each line: a power cut loses the groups of those seconds, and the next run redoes them.

One writer at a time: the caller holds a lock. Locks do not bind other programs, and some file systems only pretend to
have them. So every append looks first whether the file is as this writer left it: the same file, of the same size.
"""

import logging
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Never, Self

from pydantic import BaseModel

from yanshou.errors import OutputError
from yanshou.storage.atomic import flush_to_disk, write_error, write_errors
from yanshou.storage.file_end import FileEnd
from yanshou.storage.jsonl import dump_line
from yanshou.text import printable

SYNC_EVERY_S = 5.0  # seconds between two fsyncs while lines are appended

logger = logging.getLogger(__name__)


class Appender:
    """The file, open for appending; `end` is how it ended when it was read. Raises OutputError."""

    def __init__(self, path: Path, end: FileEnd) -> None:
        self.path = path
        self.size = end.size  # bytes, as this writer left the file
        self._line_break = end.line_break
        with write_errors(path):
            self._file = path.open("a+b", buffering=0)
            self._identity = os.fstat(self._file.fileno())
        self._synced = time.monotonic()
        try:
            self._repair(end)
        except BaseException:
            self._file.close()
            raise

    def append(self, record: BaseModel | Mapping[str, Any]) -> None:
        """Appends one line."""
        self.append_bytes(dump_line(record))

    def append_bytes(self, lines: bytes) -> None:
        """Appends several whole lines: all of them, or none."""
        assert lines.endswith(b"\n")
        self.check()
        self._write(lines if self._line_break == b"\n" else lines.replace(b"\n", self._line_break))
        if time.monotonic() - self._synced > SYNC_EVERY_S:
            with write_errors(self.path):
                self.sync()

    def check(self) -> None:
        """Raises OutputError where the file is no longer as this writer left it."""
        try:
            there = self.path.stat()
        except FileNotFoundError:
            self._stop("was deleted or moved", "")
        except OSError as error:
            raise write_error(self.path, error) from error
        if not os.path.samestat(self._identity, there):
            self._stop("was replaced", "")
        if there.st_size != self.size:
            self._stop("was changed by another program", f" It has {there.st_size} bytes; this run left {self.size}.")

    def sync(self) -> bool:
        """Makes the lines safe on the disk. Returns False where the file system cannot do that."""
        self._synced = time.monotonic()
        return flush_to_disk(self._file.fileno())

    def close(self) -> None:
        """Closes the file, its lines safe on the disk."""
        if self._file.closed:
            return
        with write_errors(self.path), self._file:
            self.sync()

    def _repair(self, end: FileEnd) -> None:
        self.check()
        for repair in end.repairs(self.path):
            logger.info("%s", repair)
        if end.torn:
            with write_errors(self.path):
                self._file.truncate(end.keep)
            self.size = end.keep
        if end.missing:
            self._write(end.missing)

    def _write(self, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):  # a disk that fills up takes a part, and refuses the rest in the next call
                written += self._file.write(data[written:])
        except BaseException as error:  # Ctrl-C in the middle of a write leaves half a line, as a full disk does
            self._undo(data)
            if isinstance(error, OSError):
                raise write_error(self.path, error) from error
            raise
        self.size += len(data)
        if self._file.tell() != self.size:  # where the operating system put the last byte
            self._stop("was written by another program at the same time", f" It had {self.size - len(data)} bytes.")

    def _undo(self, data: bytes) -> None:
        """Takes back what a failed write of `data` left, and nothing else."""
        with suppress(OSError):  # an unreachable disk: the first error is reported, and the next open cuts the line
            descriptor = self._file.fileno()
            length = os.fstat(descriptor).st_size - self.size
            if 0 < length <= len(data) and os.pread(descriptor, length, self.size) == data[:length]:
                self._file.truncate(self.size)

    def _stop(self, what: str, sizes: str) -> Never:
        raise OutputError(
            f"{printable(self.path)}: the file {what} during the run.{sizes} Nothing was overwritten. Look at the end "
            "of the file, let nothing else write it, and run again: what is there is kept."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
