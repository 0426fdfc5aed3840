"""What an error of SQLite means for whoever runs `yanshou review`, in one sentence with its cure."""

import errno
import sqlite3
import tempfile
from pathlib import Path

from yanshou.errors import DamagedFileError, LockedError, OutputError, RunError
from yanshou.text import printable

LEAST_FREE = 2**20  # bytes: without room for these, an error of writing comes from that
NO_ROOM = {
    errno.ENOSPC: "the disk is full. Make room",
    errno.EDQUOT: "the quota on its disk is used up. Make room",
    errno.EFBIG: "ulimit -f allows no larger file. Raise it",
}
SENT_AGAIN = "What is answered already is kept, and the page sends the last answer again."
START_AGAIN = "Then start again: what is answered already is kept."


class DiskFullError(OutputError):
    """There is no room for more on the disk of the store."""


def store_error(path: Path, error: sqlite3.Error, then: str = SENT_AGAIN) -> RunError | None:
    """The error in yanshou's words. None: it is a bug here, not a fault of the disk or of another program.

    then: what happens, or is to be done, once another program or a full disk is out of the way.
    """
    name = getattr(error, "sqlite_errorname", "")
    shown, kind = printable(path), "_".join(name.split("_")[:2])
    match kind:
        case "SQLITE_BUSY" | "SQLITE_LOCKED":
            return busy(path, then)
        case "SQLITE_FULL":
            return _full(shown, NO_ROOM[errno.ENOSPC], then)
        case "SQLITE_IOERR" | "SQLITE_CANTOPEN" if why := _no_room(path):
            return _full(shown, why, then)
        case "SQLITE_IOERR":
            return OutputError(
                f"{shown}: the disk reports a fault ({name}). Look into dmesg, copy the store to another disk, and "
                "start from there."
            )
        case "SQLITE_READONLY" | "SQLITE_PERM" | "SQLITE_CANTOPEN" | "SQLITE_AUTH":
            return OutputError(
                f"{shown}: the store cannot be written ({name}). Give the account that runs this the right to write "
                "the file, its folder, and the files beside it that end with -wal and -shm."
            )
        case "SQLITE_CORRUPT" | "SQLITE_NOTADB":
            return damaged(path, str(error))
    return None


def busy(path: Path, then: str = SENT_AGAIN) -> LockedError:
    """The error for a store that another program keeps from being written."""
    return LockedError(
        f"{printable(path)}: another program is writing the store. Close it there (a database browser, a script, a "
        f"backup). {then}"
    )


def damaged(path: Path, what: str) -> DamagedFileError:
    """The error for a store whose content is not what SQLite wrote."""
    shown = printable(path)
    return DamagedFileError(
        f"{shown}: the store is damaged: {printable(what)}. Restore a backup, or save what can still be read: sqlite3 "
        f"{shown} .recover | sqlite3 saved.sqlite"
    )


def _full(shown: str, why: str, then: str) -> DiskFullError:
    return DiskFullError(f"{shown}: {why}. {then}")


def _no_room(path: Path) -> str | None:
    """Why a file as large as the store and its log cannot grow. SQLite keeps the system's error to itself."""
    try:
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            probe.seek(max(_size(path), _size(path.with_name(f"{path.name}-wal"))))
            probe.write(bytes(LEAST_FREE))
    except OSError as error:
        return NO_ROOM.get(error.errno or 0)
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
