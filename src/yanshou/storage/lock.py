"""The lock of an output: one run at a time writes it, also where somebody deletes the lock file.

    with Lock(folder / ".dataset.lock", folder) as lock:
        …                                  a second run is refused with LockedError; it does not wait
        lock.check()                       before each write: the lock file may have been deleted or replaced

The lock is one of the operating system (flock) on an empty file, which stays when the run ends; it ends with the
process. A forked child that outlives the process would keep it. Deleting the file lets a second run take a new one, so
`check` looks whether the file is still the locked one. Where it is not, the run takes the lock again, or stops because
another run has it.

Some file systems have no flock: Lustre mounted without it, FUSE, 9p, NFS without its lock service. There the lock is a
second file, `.dataset.lock.holder`, which holds the process and the host. It is deleted when the run ends. One that a
killed run left is recognised on the same host; on other hosts the user decides. The data itself is never locked: on
SMB that would keep every other program from reading it.
"""

import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import Self

from filelock import SoftFileLock, Timeout

from yanshou.errors import LockedError, OutputError
from yanshou.storage.atomic import write_errors
from yanshou.storage.write_cures import cure
from yanshou.text import printable

ENOTSUPP = 524  # the kernel's own number, which some network file systems pass on
NO_FLOCK = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS, errno.EPERM, ENOTSUPP}
HELD = {errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES}  # what flock answers where another process has the lock
OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK  # NFS locks only what is open for writing

logger = logging.getLogger(__name__)


class Lock:
    """The lock with the file `file`. `written` is what error messages say is written under it."""

    def __init__(self, file: Path, written: Path) -> None:
        self.file, self.written = file, written
        self._descriptor: int | None = None
        self._holder: SoftFileLock | None = None
        self._identity: os.stat_result | None = None  # of the lock file
        self._path = file  # of the file that is the lock: `file`, or the one beside it that names the holder

    def acquire(self) -> None:
        """Takes the lock; its folder is made where it is missing.

        Raises LockedError where another run has it, OutputError where the lock file cannot be made.
        """
        with write_errors(self.file.parent):
            self.file.parent.mkdir(parents=True, exist_ok=True)
        self._take()
        logger.debug("%s: lock taken", self._path)

    def check(self) -> None:
        """Takes the lock again where its file was deleted or replaced. Raises LockedError, OutputError."""
        if self._is_in_place():
            return
        self.release()
        try:
            self._take()
        except LockedError as error:
            raise LockedError(
                f"{printable(self.written)}: the lock file {printable(self._path.name)} was deleted during this run, "
                "and another run has taken the lock since. This run stops; what it wrote is kept. Let the other run "
                "end, then run again."
            ) from error
        logger.warning("%s: the lock file was deleted during the run, and is taken again", self._path)

    def release(self) -> None:
        """Gives the lock back."""
        if self._holder:
            self._holder.release(force=True)
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._holder = self._descriptor = self._identity = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()

    def _is_in_place(self) -> bool:
        try:
            return self._identity is not None and os.path.samestat(os.lstat(self._path), self._identity)
        except OSError:  # deleted, or its folder was
            return False

    def _take(self) -> None:
        try:
            if not self._flock():
                self._make_holder()
        except OSError as error:
            raise OutputError(
                f"{printable(self.written)}: cannot be locked: {printable(self._path)}: {error.strerror or error}. "
                f"{cure(self._path, error)}"
            ) from error

    def _flock(self) -> bool:
        """Locks `file`. Returns False where its file system has no such locks."""
        while self._identity is None:
            self._path = self.file
            descriptor = os.open(self.file, OPEN, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(descriptor)
                if error.errno in HELD:
                    raise self._held_by("another run is writing it") from error
                if error.errno in NO_FLOCK:
                    logger.info("%s: no flock here: %s", self.file, error.strerror)
                    return False
                raise
            self._descriptor, self._identity = descriptor, os.fstat(descriptor)
            if not self._is_in_place():  # deleted between the two calls: the lock would be on nothing
                self.release()
        return True

    def _make_holder(self) -> None:
        """Makes the file that names this process as the holder."""
        self._path = self.file.with_name(f"{self.file.name}.holder")
        holder = SoftFileLock(self._path, timeout=0)
        try:
            holder.acquire()
        except Timeout as error:  # an OSError, too
            raise self._held_by(
                f"{_read_holder(self._path)} is writing it, or was killed there: {printable(self._path)}. If that "
                "process has ended, delete this file"
            ) from error
        self._holder, self._identity = holder, self._path.lstat()

    def _held_by(self, what: str) -> LockedError:
        return LockedError(f"{printable(self.written)}: {what}. Wait until that ends, or choose another --output-dir.")


def _read_holder(path: Path) -> str:
    """`process 4711 on host gpu-3`, as far as the file says so."""
    try:
        process, host = path.read_text(encoding="utf-8").splitlines()[:2]
    except (OSError, ValueError):
        return "another run"
    return f"process {printable(process)} on host {printable(host)}"
