"""The order in which readers get groups, and what they see of one.

The order is random, from `readings.position`, and every reader has their own. So groups of every kind are mixed, second
and third readings among them. In one order for all, whoever comes second would first get second readings alone.

A reader is offered a group that waits for a reader, that no session has, that they have no answer on, and, if it is in
the audit sample, of which they have not been shown the machine's side.
"""

import sqlite3
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from yanshou.review.store import leases
from yanshou.review.store.layout import AWAITED, AWAITED_AGAIN
from yanshou.review.store.refusals import RefusalError
from yanshou.review.store.sessions import SignedIn
from yanshou.schema.policy import Decision
from yanshou.schema.records import Label

Queue = Literal["main", "audit"]  # audit: only in open mode, where the sample is kept apart

READ_BY = """(SELECT a.label FROM answers a WHERE a.group_ref = g.id AND a.reader = :reader AND a.role = 'reader'
    ORDER BY a.id DESC LIMIT 1) IS NOT NULL"""
SHOWN = "(g.audit = 1 AND EXISTS (SELECT 1 FROM reveals r WHERE r.group_ref = g.id AND r.reader = :reader))"
FREE = "g.id NOT IN (SELECT group_ref FROM leases WHERE expires > :now)"

PRIME = 2**31 - 1  # a product of two numbers below it is one of SQLite's integers
OWN_ORDER = f"((g.position % {PRIME}) * :step) % {PRIME}, g.position, g.id"


@dataclass(frozen=True, slots=True)
class PhotoToRead:
    """A photo, as a reader sees it before they answer."""

    id: int
    summary: str | None


@dataclass(frozen=True, slots=True)
class GroupToRead:
    """A group, as a reader sees it before they answer: nothing of the machine's side, no job id, no path."""

    id: int
    mission: str
    photos: tuple[PhotoToRead, ...]  # in their order


@dataclass(frozen=True, slots=True)
class MachineSide:
    """What a reader may see of a group only after their own answer, or in open mode."""

    group_id: str
    folder: Label | None  # the folder's label
    verdict: Label | None
    decision: Decision | None
    p_pass: float | None
    reason: str | None
    rules_verdict: Label | None
    rules_reason: str | None
    fault: str | None
    audit: bool


@dataclass(frozen=True, slots=True)
class NextGroups:
    """What a page gets to read."""

    groups: tuple[GroupToRead, ...]  # not held yet
    held: tuple[int, ...]  # of those that the page holds: still its own
    left: int  # groups of the queue that wait for this reader, those of other sessions included


def offer(
    db: sqlite3.Connection, reader: str, queue: Queue, mission: str | None, *, apart: bool, now: float, count: int
) -> list[int]:
    """The first `count` groups for the reader. `apart`: the audit sample has a queue of its own."""
    where = f"{AWAITED} {_filter(mission, apart)} AND {FREE} AND (need = 'first' OR NOT {READ_BY}) AND NOT {SHOWN}"
    sql = f"SELECT g.id FROM groups g WHERE {where} ORDER BY {OWN_ORDER} LIMIT :count"
    found = db.execute(sql, {**_values(reader, queue, mission), "now": now, "count": count, "step": _step(reader)})
    return [group for (group,) in found]


def _step(reader: str) -> int:
    """A number below PRIME by which the reader's order steps through the positions."""
    return int.from_bytes(sha256(reader.encode()).digest()[:8]) % (PRIME - 1) + 1


def left(db: sqlite3.Connection, reader: str, queue: Queue, mission: str | None, *, apart: bool) -> int:
    """How many groups of the queue wait for the reader: all that wait for one, less those that are not for this one.

    Each number comes from an index of its own, so that no group is looked at that waits for a first reader.
    """
    count, where = "SELECT COUNT(*) FROM groups g", _filter(mission, apart)
    sql = (
        f"SELECT ({count} WHERE {AWAITED} {where}) - ({count} WHERE {AWAITED_AGAIN} {where} AND {READ_BY}) - "
        f"({count} INDEXED BY groups_audited WHERE {AWAITED} {where} AND {SHOWN} AND NOT {READ_BY})"
    )
    (found,) = db.execute(sql, _values(reader, queue, mission)).fetchone()
    return int(found)


def missions(db: sqlite3.Connection) -> list[str]:
    """Names of the missions with a group in the queue, done or not, in order."""
    return [name for (name,) in db.execute("SELECT DISTINCT mission FROM groups WHERE queued = 1 ORDER BY mission")]


def group_to_read(db: sqlite3.Connection, group: int) -> GroupToRead:
    """Raises RefusalError: not_found."""
    row = db.execute("SELECT mission FROM groups WHERE id = ?", (group,)).fetchone()
    if row is None:
        raise no_such_group()
    photos = db.execute("SELECT id, summary FROM photos WHERE group_ref = ? ORDER BY number", (group,))
    return GroupToRead(group, row["mission"], tuple(PhotoToRead(*photo) for photo in photos))


def machine_side(db: sqlite3.Connection, group: int) -> MachineSide:
    """Raises RefusalError: not_found."""
    row = db.execute(
        "SELECT group_id, label, verdict, decision, p_pass, reason, rules_verdict, rules_reason, fault, audit "
        "FROM groups WHERE id = ?",
        (group,),
    ).fetchone()
    if row is None:
        raise no_such_group()
    values: dict[str, Any] = dict(row)
    return MachineSide(folder=values.pop("label") or None, audit=bool(values.pop("audit")), **values)


def photo_path(db: sqlite3.Connection, session: SignedIn, photo: int) -> Path:
    """See Store.photo_path."""
    row = db.execute("SELECT group_ref, path FROM photos WHERE id = ?", (photo,)).fetchone()
    if row is None or not _may_see(db, session, row["group_ref"]):
        raise RefusalError("not_found", "There is no such photo for this session.")
    return Path(row["path"].decode(errors="surrogatepass"))


def is_read_by(db: sqlite3.Connection, group: int, reader: str) -> bool:
    """Whether the reader has a current answer on the group."""
    row = db.execute(f"SELECT {READ_BY} FROM groups g WHERE id = :group", {"group": group, "reader": reader}).fetchone()
    return bool(row and row[0])


def no_such_group() -> RefusalError:
    """The same words for a group that is not there and for one that this session may not see."""
    return RefusalError("not_found", "There is no such group for this session.")


def _may_see(db: sqlite3.Connection, session: SignedIn, group: int) -> bool:
    if session.role == "lead" or leases.is_mine(db, group, session.id):
        return True
    return session.reader is not None and is_read_by(db, group, session.reader)


def _filter(mission: str | None, apart: bool) -> str:
    one_mission = "AND g.mission = :mission" if mission is not None else ""
    return f"{one_mission} AND g.audit = :audit" if apart else one_mission


def _values(reader: str, queue: Queue, mission: str | None) -> dict[str, Any]:
    return {"reader": reader, "audit": queue == "audit", "mission": mission}
