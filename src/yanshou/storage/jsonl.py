"""JSON Lines: a strict reader, and a writer whose lines survive a crash.

    {"group_id": "QC-TEMP-20241022-0015062", …, "timestamp": "2026-01-18T09:30:00+08:00"}⏎   whole lines
    {"group_id": "QC-TEMP-20241022-0015063", …, "timestamp": "2026-01-18T09:30:02+08:00"}⏎
    {"group_id": "QC-TEMP-202410                                                             torn: cut off at next open

Reading refuses, naming file and line: bytes that are not UTF-8, blank lines, anything but one object per line, a
repeated key in an object, NaN and infinities. Files are streamed; memory holds one line.

Writing guarantees: after `append` returns, the operating system has the line, so it survives the end of the process,
SIGKILL included. After a failed `append` (full disk) the file is as it was before. fsync is called every few seconds
and at close, not after each line: a power cut loses the groups of those seconds, and the next run redoes them.

File names that are not valid UTF-8 reach Python with lone surrogates (`\\udcff`). They are written as the JSON escape
`\\udcff`, which reads back as the same string; every other character is written as itself.
"""

import codecs
import json
import logging
import math
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Never, Self, TypeVar

from pydantic import BaseModel, ValidationError

from yanshou.errors import DamagedFileError, InputError, OutputError
from yanshou.storage.atomic import write_error, write_errors
from yanshou.text import excerpt, truncate
from yanshou.validation import validation_message

RecordT = TypeVar("RecordT", bound=BaseModel)
logger = logging.getLogger(__name__)

REDO = "Delete the line and run again: only that group is redone."
SYNC_EVERY_S = 5.0  # seconds between two fsyncs while lines are appended
BLOCK = 65_536  # bytes per read in the search for the last line break


def read_lines(path: Path, advice: str = REDO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number (from 1) and object of every line. `advice` ends the message of a DamagedFileError."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, _parse_object(line, f"{path}:{number}", advice)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error


def read_object(path: Path, advice: str) -> dict[str, Any]:
    """The one object of a JSON file, read as strictly as a line. `advice` ends the message of a DamagedFileError."""
    try:
        if path.exists() and not path.is_file():  # reading a pipe could wait for ever
            raise InputError(f"{path}: not a regular file. {advice}")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error
    return _parse_object(data, str(path), advice)


def read_records(path: Path, record_type: type[RecordT], advice: str = REDO) -> Iterator[tuple[int, RecordT]]:
    """Line number (from 1) and record of every line, validated as strictly as when it was written."""
    for number, line in read_lines(path, advice):
        try:
            yield number, record_type.model_validate(line)
        except ValidationError as error:
            raise DamagedFileError(f"{path}:{number}: {validation_message(error)}{_locate(line)}. {advice}") from error


def dump_line(record: BaseModel | Mapping[str, Any], indent: int | None = None) -> bytes:
    """The record as one line, line break included; keys keep their order. `indent` makes it a readable file instead."""
    fields = record.model_dump() if isinstance(record, BaseModel) else record
    text = json.dumps(fields, ensure_ascii=False, allow_nan=False, indent=indent)
    return text.encode("utf-8", errors="backslashreplace") + b"\n"  # only a lone surrogate is replaced, by its escape


def as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they come back from a JSON file: a tuple as a list."""
    return dict(json.loads(json.dumps(values, allow_nan=False)))


class Appender:
    """A file that only grows, by whole lines.

        with Appender(path) as file:
            file.append({"group_id": "QC-20241022-1"})

    Opening cuts off a torn last line. One process at a time: the caller holds a lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        cut_torn_line(path)
        with write_errors(path):
            self._file = path.open("ab", buffering=0)
        self._synced = time.monotonic()

    def append(self, record: BaseModel | Mapping[str, Any]) -> None:
        """Appends one line."""
        self.append_bytes(dump_line(record))

    def append_bytes(self, lines: bytes) -> None:
        """Appends several whole lines: all of them, or none."""
        assert lines.endswith(b"\n")
        begin = self._end()
        try:
            self._write(lines)
            if time.monotonic() - self._synced > SYNC_EVERY_S:
                self._sync()
        except BaseException as error:  # Ctrl-C in the middle of a write leaves half a line, as a full disk does
            self._truncate(begin)
            if isinstance(error, OSError):
                raise write_error(self.path, error) from error
            raise

    def _end(self) -> int:
        stat = os.fstat(self._file.fileno())
        if stat.st_nlink == 0:
            raise OutputError(f"{self.path}: the file was deleted or replaced during the run. Run again.")
        return stat.st_size

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:  # a disk that fills up takes a part, and refuses the rest in the next call
            rest = rest[self._file.write(rest) :]

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def _truncate(self, size: int) -> None:
        with suppress(OSError):  # an unreachable disk: the first error is reported, and the next open cuts the line
            self._file.truncate(size)

    def close(self) -> None:
        """Closes the file, its lines safe on the disk."""
        if self._file.closed:
            return
        with write_errors(self.path), self._file:
            self._sync()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def cut_torn_line(path: Path) -> None:
    """Cuts off what follows the last line break. A missing file stays missing."""
    if path.exists():
        with write_errors(path), path.open("r+b") as file:
            size, end = path.stat().st_size, _after_last_break(file)
            file.truncate(end)
            if end < size:
                logger.info("%s: cut off %d bytes of an incomplete last line", path, size - end)


def _parse_object(line: bytes, where: str, advice: str) -> dict[str, Any]:
    if line.startswith(codecs.BOM_UTF8):
        raise DamagedFileError(
            f"{where}: begins with a byte-order mark, which an editor put there. Save the file as UTF-8 without one."
        )
    try:
        return _parse(line)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{where}: {_describe_parse_error(error, line)}. {advice}") from error


def _parse(line: bytes) -> dict[str, Any]:
    if not line.strip():
        raise ValueError("blank")
    value = json.loads(
        line.decode("utf-8"),
        object_pairs_hook=_object,
        parse_constant=_no_constant,
        parse_float=_finite,
    )
    if not isinstance(value, dict):
        raise ValueError(f"not an object but {excerpt(value)}")  # noqa: TRY004 - _parse_object catches it as damage
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"key {truncate(twice)} occurs twice")
    return value


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{truncate(digits)} is too large a number")
    return number


def _describe_parse_error(error: Exception, line: bytes) -> str:
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) and not line.endswith(b"\n"):
        return f"incomplete, because the run that wrote it was killed: {excerpt(_beginning(line))}"
    match error:
        case json.JSONDecodeError():
            near = error.doc[max(error.pos - 15, 0) : error.pos + 15]
            return f"not JSON at character {error.pos + 1}, {error.msg[:1].lower()}{error.msg[1:]}: {excerpt(near)}"
        case UnicodeDecodeError():
            return f"not UTF-8 at byte {error.start + 1}: {excerpt(line[max(error.start - 15, 0) : error.start + 15])}"
        case RecursionError():
            return f"nested too deeply: {excerpt(_beginning(line))}"
        case _:
            return str(error)


def _beginning(line: bytes) -> str:
    return line[:200].decode("utf-8", errors="replace")


def _locate(line: Mapping[str, Any]) -> str:
    """` (group QC-…, 4 photos)`: what helps to find the line, as far as it can be read."""
    group, images = line.get("group_id"), line.get("images")
    parts = [f"group {truncate(str(group))}"] if group else []
    if isinstance(images, list):
        parts.append(f"{len(images)} photo{'' if len(images) == 1 else 's'}")
    return f" ({', '.join(parts)})" if parts else ""


def _after_last_break(file: BinaryIO) -> int:
    """The offset after the last line break, or 0. Reads backwards, because the file may be large."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        begin = max(end - BLOCK, 0)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
