"""JSON Lines: a strict reader, and the bytes of a line.

    {"group_id": "QC-TEMP-20241022-0015062", …, "timestamp": "2026-01-18T09:30:00+08:00"}⏎
    {"group_id": "QC-TEMP-20241022-0015063", …, "timestamp": "2026-01-18T09:30:02+08:00"}⏎

Reading refuses, naming file and line: bytes that are not UTF-8, blank lines, anything but one object per line, a
repeated key in an object, NaN and infinities. Lines may end with CRLF. Files are streamed; memory holds one line.
`file_end.py` says what may follow the last line break, `appender.py` writes.

File names that are not valid UTF-8 reach Python with lone surrogates (`\\udcff`). They are written as the JSON escape
`\\udcff`, which reads back as the same string; every other character is written as itself.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from yanshou.errors import DamagedFileError, InputError
from yanshou.read_cure import read_cure
from yanshou.storage.conversions import find_conversion
from yanshou.storage.strict_json import describe_parse_error, parse
from yanshou.text import truncate
from yanshou.validation import validation_message

RecordT = TypeVar("RecordT", bound=BaseModel)

REDO = "Delete the line and run again: only that group is redone."
PANDAS = "pandas rewrote the file, and turns texts into times and numbers unless convert_dates=False, dtype=False"
FOREIGN = "the file is of another kind, or another program rewrote it"
MAX_COMPARED = 1_000  # lines that are compared to see whether all have the same fault


def read_lines(path: Path, advice: str = REDO, torn: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number (from 1) and object of every line.

    `advice` ends the message of a DamagedFileError. `torn`: bytes at the end of the file that are left out.
    """
    with read_errors(path), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            last = torn and not line.endswith(b"\n")
            if kept := line[: len(line) - torn] if last else line:
                yield number, _parse_object(kept, path, advice, number)


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Raises InputError, naming the file, for an OSError of the context."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. {read_cure(error)}") from error


def read_object(path: Path, advice: str) -> dict[str, Any]:
    """The one object of a JSON file, read as strictly as a line. `advice` ends the message of a DamagedFileError."""
    with read_errors(path):
        if path.exists() and not path.is_file():  # reading a pipe could wait for ever
            raise InputError(f"{path}: not a regular file. {advice}")
        data = path.read_bytes()
    return _parse_object(data, path, advice)


def read_records(
    path: Path, record_type: type[RecordT], advice: str = REDO, torn: int = 0
) -> Iterator[tuple[int, RecordT]]:
    """Line number (from 1) and record of every line, validated as strictly as when it was written."""
    for number, line in read_lines(path, advice, torn):
        try:
            yield number, record_type.model_validate(line)
        except ValidationError as error:
            what = f"{path}:{number}: {validation_message(error)}{_locate(line)}"
            cure = _cure_of_every_line(path, record_type, error, line) if number == 1 else ""
            raise DamagedFileError(f"{what}. {cure or advice}") from error


def dump_line(record: BaseModel | Mapping[str, Any], indent: int | None = None) -> bytes:
    """The record as one line, line break included; keys keep their order. `indent` makes it a readable file instead."""
    fields = record.model_dump() if isinstance(record, BaseModel) else record
    text = json.dumps(fields, ensure_ascii=False, allow_nan=False, indent=indent)
    return text.encode("utf-8", errors="backslashreplace") + b"\n"  # only a lone surrogate is replaced, by its escape


def as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they come back from a JSON file: a tuple as a list."""
    return dict(json.loads(json.dumps(values, allow_nan=False)))


def _parse_object(line: bytes, path: Path, advice: str, number: int | None = None) -> dict[str, Any]:
    """The object that the bytes are: line `number`, or the whole file. Raises DamagedFileError, which names both.

    Where the first line fails because the file as a whole was converted, the message says so instead.
    """
    try:
        return parse(line)
    except (ValueError, RecursionError) as error:
        if number in (None, 1) and (conversion := find_conversion(path, lines=number is not None)):
            raise DamagedFileError(f"{path}: {conversion}.") from error
        where = f"{path}:{number}" if number else str(path)
        raise DamagedFileError(f"{where}: {describe_parse_error(error, line)}. {advice}") from error


def _cure_of_every_line(
    path: Path, record_type: type[BaseModel], error: ValidationError, line: Mapping[str, Any]
) -> str:
    """What to do where every line has the first line's fault; "" where it is one line's fault alone."""
    if _is_table(line):
        return (
            "The whole file is one object of columns, as pandas writes it: write it with orient='records', lines=True, "
            "or restore the file as yanshou wrote it."
        )
    pandas = isinstance(line.get("timestamp"), int)  # milliseconds: no run and no editor writes the time so
    with read_errors(path), path.open("rb") as file:
        others = list(islice(file, 1, MAX_COMPARED))
    if not (others or pandas) or not all(_has_fault(other, record_type, _kind(error)) for other in others):
        return ""
    return (
        f"Every line has this fault: {PANDAS if pandas else FOREIGN}. Give another file, or restore this one as "
        "yanshou wrote it."
    )


def _is_table(line: Mapping[str, Any]) -> bool:
    """Whether the object is a whole table of pandas: by columns, or in the orients split and table."""
    return isinstance(line.get("group_id"), dict | list) or ("data" in line and ("columns" in line or "schema" in line))


def _has_fault(line: bytes, record_type: type[BaseModel], kind: tuple[object, str]) -> bool:
    try:
        record_type.model_validate(parse(line))
    except ValidationError as error:
        return _kind(error) == kind
    except (ValueError, RecursionError):  # in this order: a ValidationError is a ValueError, too
        return False
    return False


def _kind(error: ValidationError) -> tuple[object, str]:
    """The key and the kind of the first finding."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return first["loc"][:1], first["type"]


def _locate(line: Mapping[str, Any]) -> str:
    """` (group QC-…, 4 photos)`: what helps to find the line, as far as it can be read."""
    group, images = line.get("group_id"), line.get("images")
    parts = [f"group {truncate(str(group))}"] if group else []
    if isinstance(images, list):
        parts.append(f"{len(images)} photo{'' if len(images) == 1 else 's'}")
    return f" ({', '.join(parts)})" if parts else ""
