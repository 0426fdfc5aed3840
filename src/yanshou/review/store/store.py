"""The store of `yanshou review`: one SQLite file with groups, photos, and what people say about them.

    with Store.open(Path("review.sqlite")) as store:                  the serving process: alone, by a lock
        store.add_groups(groups, audit=audit)
        session = store.sign_in("reader", store.key("reader"))
        store.set_name(session, "李")
        given = store.next_groups(session, "main", None, hold=[], count=2)
        store.answer(session, NewAnswer(uid, given.groups[0].id, "pass"))

An export reads the file beside it: `snapshot.read_store`.

Methods may be called from any thread; each is one transaction, on the disk when it returns. They raise RefusalError,
whose code is for the page, or an error of the file: LockedError (another program writes it), DiskFullError,
OutputError, DamagedFileError. After an error nothing has changed, and the same call may be made again.

What a reader may see before their answer (`GroupToRead`) is apart from the machine's side (`MachineSide`), which only
`reveal` gives out, and `next_groups` in open mode.
"""

import secrets
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Self

from yanshou.errors import LockedError, UsageError
from yanshou.review.store import answers, imported_groups, leases, queue, sessions
from yanshou.review.store.answers import NewAnswer, PastAnswer
from yanshou.review.store.database import Database, check_before_lock, open_to_write
from yanshou.review.store.errors import START_AGAIN
from yanshou.review.store.imported_groups import Added, ImportedGroup
from yanshou.review.store.leases import Clock, LeaseClock
from yanshou.review.store.queue import GroupToRead, MachineSide, NextGroups, Queue
from yanshou.review.store.readings import Role
from yanshou.review.store.sessions import SignedIn
from yanshou.schema.audit import Audit
from yanshou.settings.review import SECOND_SHARE, SEED
from yanshou.storage.lock import Lock
from yanshou.text import printable


class Store:
    """An open store. Make one with `open`."""

    def __init__(self, database: Database, lock: Lock, clock: Clock, open_mode: bool) -> None:
        self._database, self._lock, self._clock, self.open_mode = database, lock, clock, open_mode
        with database.reading() as db:
            self._meta: dict[str, str] = dict(db.execute("SELECT key, value FROM meta").fetchall())

    # ---- opening ----

    @classmethod
    def open(
        cls, path: Path, *, seed: int | None = None, second_share: float | None = None, open_mode: bool = False,
        clock: Clock | None = None,
    ) -> Self:  # fmt: skip
        """Opens the store for the serving process; makes it (mode 0600) where there is none.

        seed, second_share: None: as the store's, 0 and 0.1 for one without an import. Once groups are imported, another
        value is a UsageError.
        open_mode: groups come with the machine's side, and the audit sample has a queue of its own.
        clock: of leases, for tests. Leases of before get their full length again.
        Raises LockedError where another process serves it; InputError for a file that is no store, a newer one, one on
        a network drive; OutputError; DamagedFileError.
        """
        path, clock = path.resolve(), clock or LeaseClock()
        check_before_lock(path)
        lock = _locked(path)
        try:
            database = open_to_write(path)
            with _closing_on_error(database):
                with database.writing(START_AGAIN) as db:
                    _write_meta(db, seed, second_share)
                    leases.renew_at_start(db, clock())
                store = cls(database, lock, clock, open_mode)
                store._check_settings(seed, second_share)
                return store
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        """Closes the file and gives the lock back."""
        self._database.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ---- what the store is ----

    @property
    def id(self) -> str:
        """Random, 16 hexadecimal digits: part of the cookies' names, because cookies know no ports."""
        return self._meta["store"]

    @property
    def seed(self) -> int:
        """Of the order of the queue and of the groups that get a second reader."""
        return int(self._meta["seed"])

    @property
    def second_share(self) -> float:
        """The share of groups that get a second reader anyway."""
        return float(self._meta["second_share"])

    @property
    def audit(self) -> Audit | None:
        """The audit whose sample is in the queue."""
        with self._database.reading() as db:
            return imported_groups.stored_audit(db)

    def key(self, role: Role) -> str:
        """The secret of the link for readers or for the lead."""
        return self._meta[f"{role}_key"]

    def new_keys(self) -> None:
        """Makes new links; the old ones and their sessions end, and their groups are given back."""
        with self._database.writing() as db:
            sessions.new_keys(db)
            self._meta = _meta(db)

    # ---- groups ----

    def add_groups(
        self, groups: Iterable[ImportedGroup], *, audit: Audit | None = None, files: Iterable[str] = (),
        counts: Mapping[str, Any] | None = None,
    ) -> Added:  # fmt: skip
        """Imports groups: new ones are added, those without answers replaced, those with answers kept as read.

        A group that differs only in the paths of its photos gets the new paths, with answers, too. The audit is stored
        once and marks its groups. files, counts: what was read and what was not queued, for the record.
        All or nothing. Raises InputError for another audit than the store's, for an audit about groups that have
        answers, and for audited groups that are in none of the files.
        """
        with self._database.writing(START_AGAIN) as db:
            return imported_groups.add_groups(db, groups, audit, files, counts or {})

    def missions(self) -> list[str]:
        """Names of the missions with groups in the queue, done or not."""
        with self._database.reading() as db:
            return queue.missions(db)

    # ---- sessions ----

    def sign_in(self, role: Role, key: str) -> str:
        """A new session for the holder of the link's key. Returns the cookie's value. Raises RefusalError: sign_in."""
        with self._database.writing() as db:
            return sessions.sign_in(db, role, key)

    def session(self, session: str) -> SignedIn:
        """Role and name of a session. Raises RefusalError: sign_in."""
        with self._database.reading() as db:
            return sessions.find(db, session)

    def set_name(self, session: str, name: str) -> str:
        """Names the session's reader (or lead); returns the name as the store spells it.

        Under another name the session holds none of its groups any longer. Raises RefusalError: sign_in, bad_request.
        """
        with self._database.writing() as db:
            return sessions.name(db, session, name)

    # ---- reading ----

    def next_groups(
        self, session: str, queue_name: Queue, mission: str | None, hold: Collection[int], count: int
    ) -> tuple[NextGroups, dict[int, MachineSide]]:
        """Renews the groups that the page holds, and gives it more until it has `count`.

        No two pages get the same group: neither two sessions, nor two tabs of one browser, nor two browsers of one
        reader. mission: None: all. The dictionary has the machine's side of the new groups, by their ids: in open mode,
        but never of the audit sample; else it is empty. What is given out that way is recorded as revealed. A reader
        who has more than `leases.MOST` groups gives the oldest ones back. Raises RefusalError: sign_in, no_name.
        """
        with self._database.writing() as db:
            reader, now = sessions.find_reader(db, session), self._clock()
            held = leases.renew(db, hold, session, now)
            wanted = max(count - len(held), 0)
            apart = self.open_mode
            new = queue.offer(db, reader, queue_name, mission, apart=apart, now=now, count=wanted)
            for group in new:
                leases.take(db, group, session, now)
            leases.keep_newest(db, reader, max(count, leases.MOST))
            groups = tuple(queue.group_to_read(db, group) for group in new)
            left = queue.left(db, reader, queue_name, mission, apart=apart)
            return NextGroups(groups, tuple(held), left), self._open_sides(db, new, reader)

    def left(self, session: str, queue_name: Queue, mission: str | None) -> int:
        """How many groups of the queue wait for the session's reader. Raises RefusalError: sign_in, no_name."""
        with self._database.reading() as db:
            reader = sessions.find_reader(db, session)
            return queue.left(db, reader, queue_name, mission, apart=self.open_mode)

    def renew(self, session: str, groups: Collection[int]) -> list[int]:
        """Those of the groups that the session still has, each for five more minutes. Raises RefusalError: sign_in."""
        with self._database.writing() as db:
            sessions.find(db, session)
            return leases.renew(db, groups, session, self._clock())

    def release(self, session: str, groups: Collection[int]) -> None:
        """Gives groups back; those of other sessions stay theirs. Raises RefusalError: sign_in."""
        with self._database.writing() as db:
            sessions.find(db, session)
            leases.release(db, groups, session)

    def photo_path(self, session: str, photo: int) -> Path:
        """The file of a photo whose group the session has, or whose group its reader has answered; the lead: of any.

        Raises RefusalError: sign_in, not_found.
        """
        with self._database.reading() as db:
            return queue.photo_path(db, sessions.find(db, session), photo)

    # ---- answers ----

    def answer(self, session: str, new: NewAnswer) -> int:
        """Records an answer and gives the group back. Returns how many groups of its queue are left, of all missions.

        The same uid with the same content again changes nothing. It is taken from the session that has the group, and,
        where its lease has ended and no other session has the group, as long as the group still waits for a reader.
        Raises RefusalError: sign_in, no_name, not_found, uid_used (same uid, another content), answered (this reader
        has answered the group, or others have settled it), lease_lost (another session has it).
        """
        with self._database.writing() as db:
            reader = sessions.find_reader(db, session)
            answers.add_answer(db, session, reader, new, self._clock())
            of_group: Queue = "audit" if self.open_mode and queue.machine_side(db, new.group).audit else "main"
            return queue.left(db, reader, of_group, None, apart=self.open_mode)

    def undo(self, session: str, uid: str, answer: str) -> tuple[GroupToRead, MachineSide | None]:
        """Takes back an answer (by its uid) of the session's reader and gives the group to the session.

        The machine's side comes in open mode, as in `next_groups`.

        Readings of others stay. The same uid again gives the group again, until the reader answers it.
        Raises RefusalError: sign_in, no_name, uid_used, not_found (no answer of this reader, or undone before),
        lease_lost (another session has the group), answered (the undo is there, and the group is answered since).
        """
        with self._database.writing() as db:
            reader = sessions.find_reader(db, session)
            group = answers.add_undo(db, session, reader, uid, answer, self._clock())
            return queue.group_to_read(db, group), self._open_sides(db, [group], reader).get(group)

    def reveal(self, session: str, group: int) -> MachineSide:
        """The machine's side of a group that the session's reader has answered. Recorded before it is returned.

        A later answer of this reader on the group is no longer blind. Raises RefusalError: sign_in, no_name, not_found.
        """
        with self._database.writing() as db:
            reader = sessions.find_reader(db, session)
            if not queue.is_read_by(db, group, reader):
                raise queue.no_such_group()
            answers.reveal(db, group, reader)
            return queue.machine_side(db, group)

    def history(self, session: str) -> list[PastAnswer]:
        """The reader's answers that count, newest first, at most 200. Raises RefusalError: sign_in, no_name."""
        with self._database.reading() as db:
            return answers.history(db, sessions.find_reader(db, session))

    def today(self, session: str) -> int:
        """The reader's answers since midnight, without those undone. Raises RefusalError: sign_in, no_name."""
        with self._database.reading() as db:
            return answers.count_today(db, sessions.find_reader(db, session))

    # ---- the lead ----

    def lead_answer(self, session: str, new: NewAnswer) -> None:
        """Records the lead's answer, which is final; a later one of the lead replaces it. Same uid: as in `answer`.

        Raises RefusalError: sign_in, not_found, uid_used, answered (readers do not disagree about the group).
        """
        with self._database.writing() as db:
            answers.add_lead_answer(db, sessions.find_lead(db, session), new)

    def lead_name(self, session: str) -> str:
        """The name under which the lead answers. Raises RefusalError: sign_in."""
        with self._database.reading() as db:
            return sessions.find_lead(db, session)

    def lead_reveal(self, session: str, group: int) -> MachineSide:
        """The machine's side of a group that the lead has answered. Recorded before it is returned.

        Raises RefusalError: sign_in, not_found.
        """
        with self._database.writing() as db:
            lead = sessions.find_lead(db, session)
            if not answers.is_answered_by_lead(db, group):
                raise queue.no_such_group()
            answers.reveal(db, group, lead)
            return queue.machine_side(db, group)

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """A view of the tables (`layout`) that no writer changes until the context ends, and that stops none."""
        return self._database.view()

    # ---- inside ----

    def _open_sides(self, db: sqlite3.Connection, groups: Sequence[int], reader: str) -> dict[int, MachineSide]:
        if not self.open_mode:
            return {}
        sides = {group: queue.machine_side(db, group) for group in groups}
        shown = {group: side for group, side in sides.items() if not side.audit}
        for group in shown:
            answers.reveal(db, group, reader)
        return shown

    def _check_settings(self, seed: int | None, second_share: float | None) -> None:
        given = {"seed": (seed, self.seed), "second-share": (second_share, self.second_share)}
        for option, (wanted, stored) in given.items():
            if wanted is not None and wanted != stored:
                raise UsageError(
                    f"--{option} {wanted}: the store {printable(self._database.path)} was made with {stored}, which "
                    "decides who reads which group. Leave the option out, or start another store."
                )


def _locked(path: Path) -> Lock:
    lock = Lock(path.with_name(f".{path.name}.lock"), path)
    try:
        lock.acquire()
    except LockedError as error:
        raise LockedError(
            f"{printable(path)}: another `yanshou review` serves this store. Open the address that it printed, or stop "
            "it first."
        ) from error
    return lock


@contextmanager
def _closing_on_error(database: Database) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.close()
        raise


def _meta(db: sqlite3.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT key, value FROM meta").fetchall())


def _write_meta(db: sqlite3.Connection, seed: int | None, second_share: float | None) -> None:
    """What a new store is; seed and share as given, as long as no group depends on them."""
    values = {
        "store": secrets.token_hex(8), "created": sessions.now(), "seed": str(SEED), "second_share": repr(SECOND_SHARE),
        "reader_key": secrets.token_urlsafe(32), "lead_key": secrets.token_urlsafe(32),
    }  # fmt: skip
    db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", values.items())
    if not db.execute("SELECT 1 FROM imports").fetchone():
        given = {"seed": seed, "second_share": second_share}
        changed = [(repr(value), key) for key, value in given.items() if value is not None]
        db.executemany("UPDATE meta SET value = ? WHERE key = ?", changed)
