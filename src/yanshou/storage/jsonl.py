"""JSON Lines: a strict reader, and the bytes of a line.

    {"group_id": "QC-TEMP-20241022-0015062", …, "timestamp": "2026-01-18T09:30:00+08:00"}⏎
    {"group_id": "QC-TEMP-20241022-0015063", …, "timestamp": "2026-01-18T09:30:02+08:00"}⏎

Reading refuses, naming file and line: bytes that are not UTF-8, blank lines, anything but one object per line, a
repeated key in an object, NaN and infinities. Lines may end with CRLF. Files are streamed; memory holds one line.
`file_end.py` says what may follow the last line break, `appender.py` writes.

File names that are not valid UTF-8 reach Python with lone surrogates (`\\udcff`). They are written as the JSON escape
`\\udcff`, which reads back as the same string; every other character is written as itself.
"""

import codecs
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Never, TypeVar

from pydantic import BaseModel, ValidationError

from yanshou.errors import DamagedFileError, InputError
from yanshou.text import excerpt, truncate
from yanshou.validation import validation_message

RecordT = TypeVar("RecordT", bound=BaseModel)

REDO = "Delete the line and run again: only that group is redone."


def read_lines(path: Path, advice: str = REDO, torn: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number (from 1) and object of every line.

    `advice` ends the message of a DamagedFileError. `torn`: bytes at the end of the file that are left out.
    """
    with read_errors(path), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            last = torn and not line.endswith(b"\n")
            if kept := line[: len(line) - torn] if last else line:
                yield number, parse_object(kept, path, advice, number)


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Raises InputError, naming the file, for an OSError of the context."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. Check the path.") from error


def read_object(path: Path, advice: str) -> dict[str, Any]:
    """The one object of a JSON file, read as strictly as a line. `advice` ends the message of a DamagedFileError."""
    with read_errors(path):
        if path.exists() and not path.is_file():  # reading a pipe could wait for ever
            raise InputError(f"{path}: not a regular file. {advice}")
        data = path.read_bytes()
    return parse_object(data, path, advice)


def read_records(
    path: Path, record_type: type[RecordT], advice: str = REDO, torn: int = 0
) -> Iterator[tuple[int, RecordT]]:
    """Line number (from 1) and record of every line, validated as strictly as when it was written."""
    for number, line in read_lines(path, advice, torn):
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


def parse_object(line: bytes, path: Path, advice: str, number: int | None = None) -> dict[str, Any]:
    """The object that the bytes are. Raises DamagedFileError, which names the file and the line."""
    where = f"{path}:{number}" if number else str(path)
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
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
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
