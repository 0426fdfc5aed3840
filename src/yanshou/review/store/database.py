"""The SQLite file of a store: opened, checked, and one transaction at a time.

A transaction is on the disk when `writing` ends without an error (write-ahead log, synchronous=FULL); else nothing of
it is. The threads of a server share one connection and wait for each other. Errors are those of `errors`.
"""

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TypeVar

from yanshou.errors import DamagedFileError, InputError, OutputError
from yanshou.review.store.errors import SENT_AGAIN, START_AGAIN, busy, damaged, store_error
from yanshou.review.store.layout import APPLICATION_ID, LAYOUT, VERSION
from yanshou.review.store.network_mounts import network_drive
from yanshou.storage.atomic import write_errors
from yanshou.text import printable

WAIT_S = 2.0  # for another program's lock and for other threads, before the error says so
ANOTHER = "Give another --store."

Found = TypeVar("Found")


class Database:
    """The open file. Make one with `open_to_write`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, writes: bool) -> None:
        self.path, self._connection, self._lock = path, connection, Lock()
        self._files = _identities(path) if writes else ()

    @contextmanager
    def writing(self, then: str = SENT_AGAIN) -> Iterator[sqlite3.Connection]:
        """A transaction that is kept as a whole when the context ends, and undone where it raises.

        then: what an error says about the time after it.
        """
        with self._alone(), _translated(self.path, then):
            self._check_files()
            with _transaction(self._connection, "BEGIN IMMEDIATE"):
                yield self._connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A view that no writer changes until the context ends."""
        with self._alone(), _translated(self.path), _transaction(self._connection, "BEGIN"):
            yield self._connection

    @contextmanager
    def view(self) -> Iterator[sqlite3.Connection]:
        """As `reading`, on a connection of its own: a long look at the tables keeps no answer waiting."""
        with (
            _translated(self.path),
            closing(_connect(self.path, "ro")) as connection,
            _transaction(connection, "BEGIN"),
        ):
            yield connection

    def close(self) -> None:
        """Closes the file; the last one to do so empties the write-ahead log into it."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Waits for other threads; not for as long as each of them waits for another program in turn."""
        if not self._lock.acquire(timeout=WAIT_S):
            raise busy(self.path)
        try:
            yield
        finally:
            self._lock.release()

    def _check_files(self) -> None:
        """SQLite writes on into a deleted file. Raises OutputError before an answer is lost in one."""
        if self._files and _identities(self.path) != self._files:
            raise OutputError(
                f"{printable(self.path)}: the store was deleted, moved or replaced while it is served. Stop `yanshou "
                "review`, put the file and the one that ends with -wal back, and start again."
            )


def check_before_lock(path: Path) -> None:
    """Raises InputError for a file that is no store, before anything is left beside it.

    A store whose last words are in its log looks older than it is here: `open_to_write` looks again.
    """
    _check_place(path)
    if _exists(path):
        with suppress(sqlite3.Error), closing(_connect(path, "ro&immutable=1")) as connection:
            _is_blank(path, connection)


def open_to_write(path: Path) -> Database:
    """Opens the store; makes it where there is none. The caller holds its lock.

    Raises InputError for a file that is no store or a newer one, OutputError, DamagedFileError, LockedError.
    """
    _check_place(path)
    with write_errors(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with _translated(path, START_AGAIN):
        connection = _connect(path, "rw")
        try:
            _prepare(path, connection)
            return Database(path, connection, writes=True)
        except BaseException:
            connection.close()
            raise


def read_store(path: Path, read: Callable[[sqlite3.Connection], Found]) -> Found:
    """What `read` finds in a store that is there, without its lock: it may be served meanwhile.

    A store whose log is empty is read as the file that it is: also on a disk that cannot be written, and nothing is
    left beside it. If a server starts to write into it meanwhile, it is read again. Raises as `open_to_write`.
    """
    path = path.resolve()
    rest = _at_rest(path)
    try:
        with closing(_open_to_read(path, alone=rest is not None)) as database, database.reading() as db:
            found = read(db)
    except DamagedFileError:
        if rest == _at_rest(path):
            raise
    except OutputError as error:
        if os.access(path.parent, os.W_OK):
            raise
        raise InputError(
            f"{printable(path)}: newer answers are in {printable(path.name)}-wal, which SQLite reads only in a folder "
            "that it can write. Copy both files into one."
        ) from error
    else:
        if rest is None or rest == _at_rest(path):
            return found
    return read_store(path, read)


def _open_to_read(path: Path, *, alone: bool) -> Database:
    """`alone`: nobody writes, so that SQLite needs no files beside the store."""
    _check_place(path)
    if not _exists(path):
        raise InputError(
            f"{printable(path)}: there is no such store. Give the file that `yanshou review --store` made."
        )
    with _translated(path, START_AGAIN):
        connection = _connect(path, "ro&immutable=1" if alone else "ro")
        try:
            _check_made(path, connection)
            return Database(path, connection, writes=False)
        except BaseException:
            connection.close()
            raise


def _at_rest(path: Path) -> tuple[int, int] | None:
    """Time and size of a store whose log is empty. None: there are answers in the log, or no store is there."""
    try:
        found = path.stat()
    except OSError:
        return None
    log = path.with_name(f"{path.name}-wal")
    with suppress(OSError):  # there is none
        if log.stat().st_size:
            return None
    return found.st_mtime_ns, found.st_size


def _check_place(path: Path) -> None:
    """Raises InputError for what is no file of SQLite, and for a network drive."""
    if kind := network_drive(path):
        raise InputError(
            f"{printable(path)}: this is a network drive ({kind}), on which SQLite can lose answers. Give a --store on "
            "a disk of this machine."
        )
    try:
        found = path.stat()
    except OSError:  # missing, or opening it says why
        return
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{printable(path)}: this is not a file. {ANOTHER}")
    if found.st_nlink > 1:
        raise InputError(
            f"{printable(path)}: the file has a second name (a hard link), under which SQLite would not find its log. "
            "Copy it, and give the copy as --store."
        )


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - pathlib raises for a name that is too long


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    return connection


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    """Makes the tables of a new store and checks those of an old one."""
    is_new = _is_blank(path, connection)
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise InputError(f"{printable(path)}: its file system has no write-ahead log of SQLite. {ANOTHER}")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    if is_new:
        with _transaction(connection, "BEGIN IMMEDIATE"):
            _make_tables(connection)
    elif (found := connection.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
        raise damaged(path, found)


def _is_blank(path: Path, connection: sqlite3.Connection) -> bool:
    """Whether nothing is in the file: new, or left by a start that was killed. Raises InputError for another's."""
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise _no_store(path, "it is no SQLite file") from error
        raise
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        return True
    if application != APPLICATION_ID:
        raise _no_store(path, "it is an SQLite file of another program")
    if version > VERSION:
        raise InputError(
            f"{printable(path)}: a newer yanshou made this store (version {version}; this one knows {VERSION}). Update "
            "yanshou: pip install --upgrade yanshou"
        )
    return False


def _check_made(path: Path, connection: sqlite3.Connection) -> None:
    if _is_blank(path, connection):
        raise InputError(f"{printable(path)}: the store is empty. Start `yanshou review` with it first.")


def _make_tables(connection: sqlite3.Connection) -> None:
    statement = ""
    for line in LAYOUT.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):  # executescript would end the transaction
            connection.execute(statement)
            statement = ""
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={VERSION}")


def _no_store(path: Path, what: str) -> InputError:
    return InputError(f"{printable(path)}: this is no store of `yanshou review`: {what}. {ANOTHER}")


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors of SQLite have ended it
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _translated(path: Path, then: str = SENT_AGAIN) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if translated := store_error(path, error, then):
            raise translated from error
        raise


def _identities(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """Device and number of the file and of its log. None: it is not there."""
    return tuple(_identity(each) for each in (path, path.with_name(f"{path.name}-wal")))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
