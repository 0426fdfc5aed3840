"""Files that are true only together, replaced so that files of two sets never lie side by side.

    train.jsonl   val.jsonl   dataset.card.json      the old set
         drafts of the new one beside it, whole and safe on the disk        1   .train.jsonl.new …
    train.jsonl                                      the first old file    2   the others go, the last one first
    train.jsonl   val.jsonl   dataset.card.json      the new set           3   the drafts take their places, in order

A process that is killed in step 1 leaves the old set. In the steps 2 and 3 it leaves some files of one set, without the
last one but with its draft: `is_unfinished` says so, and the same command again replaces all of them.
"""

import errno
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from yanshou.storage.atomic import write_error, write_errors, write_new


def replace_together(files: Mapping[Path, bytes]) -> None:
    """Replaces the files; the last one completes the set. One process at a time: the caller holds a lock.

    Raises OutputError, naming the file. Where not all drafts can be written, the old set stays.
    """
    try:
        for path, data in files.items():
            _write_draft(path, data)
    except BaseException:
        for path in files:
            with suppress(OSError):
                _draft(path).unlink(missing_ok=True)
        raise
    _switch(list(files))


def is_unfinished(last: Path) -> bool:
    """Whether a process ended, or is, between two files of the set that `last` completes."""
    return _draft(last).exists() and not last.exists()


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _write_draft(path: Path, data: bytes) -> None:
    with write_errors(path):
        if path.is_dir():  # known now, not when half of the set is replaced
            raise write_error(path, IsADirectoryError(errno.EISDIR, "Is a directory"))
        draft = _draft(path)
        draft.unlink(missing_ok=True)  # left by a killed run; a pipe or a link of that name is not written into
        write_new(draft, [data])


def _switch(paths: list[Path]) -> None:
    for path in reversed(paths[1:]):
        with write_errors(path):
            path.unlink(missing_ok=True)
    for path in paths:
        with write_errors(path):
            _draft(path).replace(path)
