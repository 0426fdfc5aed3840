"""The file of removed lines: what left a file of lines because its group is no longer in the input.

    out/挡风板安装检查_stage_a.jsonl           loses the lines, in one replacement
    out/挡风板安装检查_stage_a.removed.jsonl   gets them at its end; it only grows

The removed file is written first and is safe on the disk before the lines are replaced. A run that is killed in between
leaves lines in both files. The next one that moves these lines finds them in the removed file and does not repeat them.
"""

import logging
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from yanshou.schema.records import GroupRecord
from yanshou.storage.appender import Appender
from yanshou.storage.atomic import flush_to_disk, replacing, write_new
from yanshou.storage.file_end import find_end
from yanshou.storage.jsonl import dump_line, read_errors, read_records

ADVICE = "Correct the line, or move this file away, and run again: it is only kept for you."

logger = logging.getLogger(__name__)


def move_lines(lines: Path, removed: Path, numbers: Collection[int], record_type: type[GroupRecord]) -> None:
    """Moves lines, by their numbers (from 1), to the end of `removed`. The caller holds the lock of `lines`.

    Where `lines` is a link, the file that it leads to is replaced: a link would be left with an old copy behind it.
    Raises DamagedFileError where `removed` holds a line that no run writes, and OutputError.
    """
    _copy(lines, removed, numbers, record_type)
    with replacing(lines.resolve()) as draft:
        write_new(draft, (line for number, line in _raw_lines(lines) if number not in numbers))
    logger.info("%s: moved %d lines to %s", lines, len(numbers), removed)


def _copy(lines: Path, removed: Path, numbers: Collection[int], record_type: type[GroupRecord]) -> None:
    """Appends those of the lines that are not in `removed` yet, and waits for the disk."""
    end = find_end(removed, record_type)
    there = read_records(removed, record_type, ADVICE, end.torn) if end.size else ()
    known = {_content(record) for _, record in there}
    with Appender(removed, end) as file:
        for (number, record), (_, line) in zip(read_records(lines, record_type), _raw_lines(lines), strict=True):
            if number in numbers and _content(record) not in known:
                file.append_bytes(line.rstrip(b"\r\n") + b"\n")
    _flush_folder(removed.parent)


def _content(record: GroupRecord) -> bytes:
    return sha256(dump_line(record)).digest()


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with read_errors(path), path.open("rb") as file:
        yield from enumerate(file, 1)


def _flush_folder(folder: Path) -> None:
    """Makes a new file's name safe on the disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            flush_to_disk(descriptor)
        finally:
            os.close(descriptor)
