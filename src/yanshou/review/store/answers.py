"""What readers say: answers, undos, reveals. Rows are only added.

Every function runs in one transaction of its caller, with the group's next step (`readings.next_step`).
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta

from yanshou.review.store import leases
from yanshou.review.store.queue import is_read_by, no_such_group
from yanshou.review.store.readings import Answer, GroupRule, Role, next_step
from yanshou.review.store.refusals import RefusalError
from yanshou.review.store.sessions import now as moment
from yanshou.schema.label_row import Answer as Said
from yanshou.text import escape_surrogates

HISTORY = 200  # answers that a reader can look back on


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """An answer as the page sends it."""

    uid: str  # made by the page
    group: int
    label: Said
    reason: str | None = None
    seconds: float | None = None  # the group was on the screen


@dataclass(frozen=True, slots=True)
class PastAnswer:
    """An answer of the reader that counts, as their history shows it."""

    uid: str
    group: int
    group_id: str | None  # None until the reader has had the machine's side revealed: job ids tell about labels
    mission: str
    label: Said
    reason: str | None
    at: str
    revealed: bool


def add_answer(db: sqlite3.Connection, session: str, reader: str, new: NewAnswer, now: float) -> None:
    """See Store.answer."""
    reason = _text(new.reason)
    if _is_repeated(db, new.uid, (new.group, reader, "reader", new.label, reason)):
        return
    _check_may_answer(db, session, reader, new.group, now)
    blind = not _is_revealed(db, new.group, reader)
    _insert(db, new.uid, new.group, reader, "reader", new.label, reason, None, blind, new.seconds)
    leases.release(db, [new.group], session)
    _settle(db, new.group)


def add_lead_answer(db: sqlite3.Connection, lead: str, new: NewAnswer) -> None:
    """See Store.lead_answer."""
    reason = _text(new.reason)
    if _is_repeated(db, new.uid, (new.group, lead, "lead", new.label, reason)):
        return
    row = db.execute("SELECT need FROM groups WHERE id = ?", (new.group,)).fetchone()
    if row is None:
        raise no_such_group()
    before = _last_of_lead(db, new.group)
    if before is None and row["need"] not in ("third", "lead"):
        raise RefusalError("answered", "Readers do not disagree about this group. This answer is not kept.")
    blind = not _is_revealed(db, new.group, lead)
    _insert(db, new.uid, new.group, lead, "lead", new.label, reason, before, blind, new.seconds)
    _settle(db, new.group)


def add_undo(db: sqlite3.Connection, session: str, reader: str, uid: str, answer: str, now: float) -> int:
    """See Store.undo. Returns the group."""
    undone = db.execute(
        "SELECT id, group_ref FROM answers WHERE uid = ? AND reader = ? AND role = 'reader' AND label IS NOT NULL",
        (answer, reader),
    ).fetchone()
    if undone is None:
        raise RefusalError("not_found", "This is not an answer of this reader.")
    group = int(undone["group_ref"])
    repeated = _is_repeated(db, uid, (group, reader, "reader", None, None))
    if not repeated and db.execute("SELECT 1 FROM answers WHERE supersedes = ?", (undone["id"],)).fetchone():
        raise RefusalError("not_found", "This answer was undone before.")
    if repeated and is_read_by(db, group, reader):
        raise RefusalError("answered", "The group was answered again since.")
    if leases.is_anothers(db, group, session, now):
        raise RefusalError("lease_lost", "Somebody else has the group now. Try again in five minutes.")
    if not repeated:
        _insert(db, uid, group, reader, "reader", None, None, undone["id"], False, None)
        _settle(db, group)
    leases.take(db, group, session, now)
    return group


def is_answered_by_lead(db: sqlite3.Connection, group: int) -> bool:
    """Whether there is a final answer."""
    return _last_of_lead(db, group) is not None


def reveal(db: sqlite3.Connection, group: int, reader: str) -> None:
    """Records that the reader is shown the machine's side, from now on."""
    db.execute("INSERT OR IGNORE INTO reveals VALUES (?, ?, ?)", (group, reader, moment()))


def history(db: sqlite3.Connection, reader: str) -> list[PastAnswer]:
    """See Store.history."""
    rows = db.execute(
        "SELECT a.uid, a.group_ref, g.group_id, g.mission, a.label, a.reason, a.at, EXISTS (SELECT 1 FROM reveals r "
        "WHERE r.group_ref = a.group_ref AND r.reader = a.reader) AS revealed FROM answers a JOIN groups g ON g.id = "
        "a.group_ref WHERE a.reader = ? AND a.role = 'reader' AND a.label IS NOT NULL AND NOT EXISTS (SELECT 1 FROM "
        "answers b WHERE b.supersedes = a.id) ORDER BY a.id DESC LIMIT ?",
        (reader, HISTORY),
    )
    return [
        PastAnswer(
            row["uid"], row["group_ref"], row["group_id"] if row["revealed"] else None, row["mission"], row["label"],
            row["reason"], row["at"], bool(row["revealed"]),
        )
        for row in rows
    ]  # fmt: skip


def count_today(db: sqlite3.Connection, reader: str) -> int:
    """See Store.today."""
    sql = (
        "SELECT COUNT(*) FROM answers a WHERE a.reader = ? AND a.at >= ? AND a.role = 'reader' AND a.label IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM answers b WHERE b.supersedes = a.id)"
    )
    (count,) = db.execute(sql, (reader, moment()[: len("2026-02-03")])).fetchone()
    return int(count)


def answers_of(db: sqlite3.Connection, group: int) -> list[Answer]:
    """All answers about a group, in row order."""
    sql = "SELECT reader, role, label, blind, at FROM answers WHERE group_ref = ? ORDER BY id"
    return [to_answer(row) for row in db.execute(sql, (group,))]


def to_answer(row: sqlite3.Row) -> Answer:
    """A row of the answers, as `readings` takes it."""
    return Answer(row["reader"], row["role"], row["label"], bool(row["blind"]), row["at"])


def to_rule(row: sqlite3.Row) -> GroupRule:
    """What a row of the groups says about how many readers it needs."""
    return GroupRule(row["label"] or None, bool(row["sampled"]), bool(row["audit"]))


def _check_may_answer(db: sqlite3.Connection, session: str, reader: str, group: int, now: float) -> None:
    row = db.execute("SELECT queued, need FROM groups WHERE id = ?", (group,)).fetchone()
    if row is None or not row["queued"]:
        raise no_such_group()
    if is_read_by(db, group, reader):
        raise RefusalError("answered", "This reader has answered the group already.")
    if leases.is_mine(db, group, session):
        return
    if leases.is_anothers(db, group, session, now):
        raise RefusalError("lease_lost", "Somebody else has the group now. This answer is not kept.")
    if row["need"] in ("lead", "done"):
        raise RefusalError("answered", "Others have answered the group meanwhile. This answer is not kept.")


def _is_repeated(db: sqlite3.Connection, uid: str, content: tuple[object, ...]) -> bool:
    """Whether the page sends a row again that is there already. Raises RefusalError: uid_used."""
    sql = "SELECT group_ref, reader, role, label, reason FROM answers WHERE uid = ?"
    row = db.execute(sql, (uid,)).fetchone()
    if row is not None and tuple(row) != content:
        raise RefusalError("uid_used", "The id of this answer belongs to another one.")
    return row is not None


def _last_of_lead(db: sqlite3.Connection, group: int) -> int | None:
    """The row of the lead's latest answer."""
    sql = "SELECT MAX(id) FROM answers WHERE group_ref = ? AND role = 'lead'"
    (found,) = db.execute(sql, (group,)).fetchone()
    return None if found is None else int(found)


def _is_revealed(db: sqlite3.Connection, group: int, reader: str) -> bool:
    sql = "SELECT 1 FROM reveals WHERE group_ref = ? AND reader = ?"
    return bool(db.execute(sql, (group, reader)).fetchone())


def _insert(
    db: sqlite3.Connection, uid: str, group: int, reader: str, role: Role, label: Said | None, reason: str | None,
    supersedes: int | None, blind: bool, seconds: float | None,
) -> None:  # fmt: skip
    db.execute(
        "INSERT INTO answers (uid, group_ref, reader, role, label, reason, supersedes, blind, seconds, at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (uid, group, reader, role, label, reason, supersedes, blind, seconds, _time_of_next(db, group)),
    )


def _time_of_next(db: sqlite3.Connection, group: int) -> str:
    """The time, later than that of every answer about the group, also where the wall clock was set back.

    Of several labels files the latest row about a group counts: an earlier export must not win over a later one.
    """
    now = moment()
    row = db.execute("SELECT at FROM answers WHERE group_ref = ? ORDER BY id DESC LIMIT 1", (group,)).fetchone()
    if row is None or datetime.fromisoformat(row["at"]) < datetime.fromisoformat(now):
        return now
    after = datetime.fromisoformat(row["at"]) + timedelta(milliseconds=1)
    return after.astimezone().isoformat(timespec="milliseconds")


def _settle(db: sqlite3.Connection, group: int) -> None:
    """Writes the group's next step."""
    rule = to_rule(db.execute("SELECT label, sampled, audit FROM groups WHERE id = ?", (group,)).fetchone())
    db.execute("UPDATE groups SET need = ? WHERE id = ?", (next_step(answers_of(db, group), rule), group))


def _text(reason: str | None) -> str | None:
    return escape_surrogates(reason) if reason else None
