"""The file of removed lines: what left a file of lines because its group is no longer in the input.

    out/挡风板安装检查_stage_a.jsonl           loses the lines, in one replacement
    out/挡风板安装检查_stage_a.removed.jsonl   gets them at its end, byte by byte; it only grows

The removed file is written first and is safe on the disk before the lines are replaced. A run that is killed in between
leaves lines in both files. The next one that moves these lines finds them in the removed file and does not repeat them.
"""

import logging
import os
from collections.abc import Collection, Iterator
from hashlib import sha256
from pathlib import Path

from yanshou.storage.atomic import replacing, write_errors
from yanshou.storage.jsonl import Appender

logger = logging.getLogger(__name__)


def move_lines(lines: Path, removed: Path, numbers: Collection[int]) -> None:
    """Moves lines, by their numbers (from 1), to the end of `removed`. The caller holds the lock of `lines`."""
    with write_errors(removed), Appender(removed) as file:  # closing it waits for the disk
        there = {sha256(line).digest() for _, line in _numbered(removed)}
        for number, line in _numbered(lines):
            if number in numbers and sha256(line).digest() not in there:
                file.append_bytes(line)
    with replacing(lines) as draft, draft.open("xb") as kept:
        kept.writelines(line for number, line in _numbered(lines) if number not in numbers)
        kept.flush()
        os.fsync(kept.fileno())
    logger.info("%s: moved %d lines to %s", lines, len(numbers), removed)


def _numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        yield from enumerate(file, 1)
