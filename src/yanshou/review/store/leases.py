"""Leases: while a session has a group, no other gets it. A lease ends five minutes after it was given or renewed.

    clock = LeaseClock()
    take(db, group, session, clock())           give the group to a session
    renew(db, [group], session, clock())        [group] while the session still has it

The clock is the wall clock's time of the start plus the time since, so that a wall clock set to another time changes
no lease. A start of the server gives every lease its full length again: the pages could not renew it while the server
was down. So the wall clock does not matter across starts either.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable

LENGTH_S = 300.0
# Groups of one reader. A page holds two; without a limit one reader could keep the whole queue from all others.
MOST = 20

Clock = Callable[[], float]


class LeaseClock:
    """Seconds since 1970, as the wall clock said at the start; from then on nothing but steady."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        return self._offset + time.monotonic()


def take(db: sqlite3.Connection, group: int, session: str, now: float) -> None:
    """Gives the group to the session. The caller has made sure that no other has it."""
    db.execute(
        "INSERT INTO leases (group_ref, session, expires) VALUES (?, ?, ?) ON CONFLICT (group_ref) DO "
        "UPDATE SET session = excluded.session, expires = excluded.expires",
        (group, session, now + LENGTH_S),
    )


def renew(db: sqlite3.Connection, groups: Iterable[int], session: str, now: float) -> list[int]:
    """Those of the groups that the session still has, each for its full length from now.

    A lease that has ended is still the session's until another session takes the group.
    """
    sql = "UPDATE leases SET expires = ? WHERE group_ref = ? AND session = ?"
    return [group for group in groups if db.execute(sql, (now + LENGTH_S, group, session)).rowcount]


def keep_newest(db: sqlite3.Connection, reader: str, most: int) -> None:
    """Gives back what the reader's browsers have beyond `most` groups: those that were renewed longest ago."""
    db.execute(
        "DELETE FROM leases WHERE group_ref IN (SELECT l.group_ref FROM leases l JOIN sessions s ON s.id = l.session "
        "WHERE s.reader = ? AND s.role = 'reader' ORDER BY l.expires DESC LIMIT -1 OFFSET ?)",
        (reader, most),
    )


def release(db: sqlite3.Connection, groups: Iterable[int], session: str) -> None:
    """Gives groups back. Those of other sessions stay theirs."""
    db.executemany("DELETE FROM leases WHERE group_ref = ? AND session = ?", [(group, session) for group in groups])


def release_all(db: sqlite3.Connection, session: str) -> None:
    """Gives back all groups of the session."""
    db.execute("DELETE FROM leases WHERE session = ?", (session,))


def is_mine(db: sqlite3.Connection, group: int, session: str) -> bool:
    """Whether the session has the group: given, and taken by no other since."""
    return bool(db.execute("SELECT 1 FROM leases WHERE group_ref = ? AND session = ?", (group, session)).fetchone())


def is_anothers(db: sqlite3.Connection, group: int, session: str, now: float) -> bool:
    """Whether another session has the group now."""
    sql = "SELECT 1 FROM leases WHERE group_ref = ? AND session <> ? AND expires > ?"
    return bool(db.execute(sql, (group, session, now)).fetchone())


def renew_at_start(db: sqlite3.Connection, now: float) -> None:
    """Gives leases their full length again, whatever the wall clock says about how long ago they ended."""
    db.execute("UPDATE leases SET expires = ?", (now + LENGTH_S,))
