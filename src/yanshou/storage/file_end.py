"""How a file of lines ends, and what a killed run may have left there.

    {"group_id": "QC-1", …}⏎{"group_id": "QC-2", …}⏎                 whole
    {"group_id": "QC-1", …}⏎{"group_id": "QC-2", …}                  whole, its last break is missing: it is added
    {"group_id": "QC-1", …}⏎{"group_id": "QC-2", "mission": "挡      torn: the beginning of one record, it is cut off
    {"group_id": "QC-1", …}⏎\\0\\0\\0\\0                                 torn: zeros, which a power cut leaves

Nothing else is repaired. What follows the last break is torn only where it begins as a record of the file's kind does
and could go on as one: a file that another program wrote without line breaks, as an array or in another encoding, is
refused by whoever reads it. Looking changes nothing; `Appender` repairs the end once everything else was checked.
"""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel
from pydantic_core import from_json

from yanshou.errors import InputError
from yanshou.storage.jsonl import read_errors
from yanshou.storage.strict_json import is_cut, parse
from yanshou.text import printable, truncate

BLOCK = 65_536  # bytes per read in the search for the last line break
SURROGATE = re.compile(rb"(\\\\)|\\u[dD][89a-fA-F][0-9a-fA-F]{2}")  # the escape in names that are not UTF-8


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The end of a file of lines."""

    size: int = 0  # bytes
    torn: int = 0  # bytes at the end that are no whole line and are cut off
    missing: bytes = b""  # the line break that a whole last record lacks
    line_break: bytes = b"\n"  # of the file's lines; \r\n where another program turned them into that
    group: str = ""  # of the torn or unbroken line, as far as it can be read

    @property
    def keep(self) -> int:
        """The bytes that stay."""
        return self.size - self.torn

    def repairs(self, path: Path) -> list[str]:
        """What an Appender repairs, for the user."""
        of = f" (group {truncate(self.group)})" if self.group else ""
        found = []
        if self.torn:
            found.append(
                f"{printable(path)}: cut off {self.torn} bytes of an incomplete last line{of}, left by a killed run"
            )
        if self.missing:
            found.append(f"{printable(path)}: the last line{of} had no line break, which is added")
        return found


def find_end(path: Path, record_type: type[BaseModel]) -> FileEnd:
    """How the file ends; a missing file is empty. Raises InputError where it cannot be read, or is no regular file."""
    if not path.exists():
        return FileEnd()
    if not path.is_file():  # reading a pipe would wait for ever
        raise InputError(f"{path}: not a file but a folder, a pipe or a device. Move it away, then run again.")
    with read_errors(path), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        begin = _after_last_break(file)
        file.seek(max(begin - 2, 0))
        line_break = b"\r\n" if file.read(2) == b"\r\n" else b"\n"
        file.seek(begin)
        tail = file.read(size - begin)
    end = FileEnd(size, line_break=line_break)
    return _classify(tail, end, record_type) if tail else end


def half_record(tail: bytes, record_type: type[BaseModel]) -> dict[str, Any] | None:
    """What can be read of one half-written record; None where the bytes cannot be the beginning of one.

    A record is written with its keys in the declared order. It is half-written where more must follow.
    """
    fields = list(record_type.model_fields)
    opening = f'{{"{fields[0]}": "'.encode()
    if not (tail.startswith(opening) or opening.startswith(tail)) or tail.find(opening, 1) > 0:
        return None
    values = _partial_object(SURROGATE.sub(lambda match: match[1] or b"?", tail))
    return values if values is not None and list(values) == fields[: len(values)] else None


def _classify(tail: bytes, end: FileEnd, record_type: type[BaseModel]) -> FileEnd:
    text = tail.rstrip(b"\0")  # a power cut may leave zeros, where the file's size was written and its data were not
    zeros = len(tail) - len(text)
    if not text:
        return replace(end, torn=zeros)
    if group := _group_of_whole(text, record_type):
        missing = end.line_break.removeprefix(b"\r") if text.endswith(b"\r") else end.line_break
        return replace(end, torn=zeros, missing=missing, group=group)
    values = half_record(text, record_type)
    if values is None:
        return end
    return replace(end, torn=len(tail), group=str(values.get("group_id", "")))


def _group_of_whole(line: bytes, record_type: type[BaseModel]) -> str:
    """The group of a whole and valid record; "" for anything else."""
    try:
        record = record_type.model_validate(parse(line))
    except (ValueError, RecursionError):  # a ValidationError is a ValueError, too
        return ""
    return str(getattr(record, "group_id", "")) or "?"


def _partial_object(text: bytes) -> dict[str, Any] | None:
    """The values of a JSON object that is not at its end; None for anything that is no beginning of one."""
    if not is_cut(text):
        return None
    value = from_json(text, allow_partial="trailing-strings")
    return value if isinstance(value, dict) else None


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
