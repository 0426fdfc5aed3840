"""Groups that enter a store: an import adds new ones, replaces those without answers, and keeps the others as read."""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from yanshou.errors import InputError
from yanshou.review.store.readings import is_sampled, position
from yanshou.review.store.sessions import now
from yanshou.schema.audit import Audit
from yanshou.schema.policy import Decision
from yanshou.schema.records import GroupKey, Label
from yanshou.text import escape_surrogates

Why = Literal["false_release", "doubt", "audit", "all"]

MAX_NAMED = 3  # groups that an error names


@dataclass(frozen=True, slots=True)
class ImportedPhoto:
    """A photo of a group. Its number is its place in the group."""

    path: str
    summary: str | None  # None: there is no line


@dataclass(frozen=True, slots=True)
class ImportedGroup:
    """A group, with all that the machine says about it."""

    key: GroupKey
    photos: tuple[ImportedPhoto, ...]
    why: Why | None  # why people read it; None: they do not (in the audit sample they do anyway)
    verdict: Label | None = None
    decision: Decision | None = None
    p_pass: float | None = None
    reason: str | None = None
    rules_verdict: Label | None = None
    rules_reason: str | None = None
    fault: str | None = None  # why there is no verdict

    @property
    def digest(self) -> bytes:
        """Of all that is known about the group: not of why it is read, nor of the paths of photos, which may move."""
        machine = (self.verdict, self.decision, self.p_pass, self.reason, self.rules_verdict, self.rules_reason)
        summaries = [photo.summary for photo in self.photos]
        return sha256(json.dumps([*machine, self.fault, summaries]).encode()).digest()


@dataclass(frozen=True, slots=True)
class Added:
    """What an import did, by number of groups."""

    added: int
    replaced: int  # without answers, and with another content than before
    same: int  # nothing new about them, but perhaps the place of the photos, and whether they are read
    kept: tuple[GroupKey, ...]  # with answers: they stay as read, though the files say something else now
    unqueued: int = 0  # of those replaced or the same: without answers, and not read any longer


@dataclass(frozen=True, slots=True)
class _Known:
    """A group that is in the store."""

    id: int
    digest: bytes
    answered: bool
    why: Why | None


def add_groups(
    db: sqlite3.Connection,
    groups: Iterable[ImportedGroup],
    audit: Audit | None,
    files: Iterable[str],
    counts: Mapping[str, Any],
) -> Added:
    """See Store.add_groups."""
    _check_audit(db, audit)
    import_ = _Import(db)
    for group in groups:
        import_.add(group)
    if audit is not None:
        _mark_audit(db, audit)
    texts = (json.dumps(found, ensure_ascii=False) for found in (list(files), dict(counts)))
    db.execute("INSERT INTO imports VALUES (?, ?, ?)", (now(), *map(escape_surrogates, texts)))
    return Added(import_.added, import_.replaced, import_.same, tuple(import_.kept), import_.unqueued)


class _Import:
    """The groups of one import, one after the other."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        meta = dict(db.execute("SELECT key, value FROM meta WHERE key IN ('seed', 'second_share')").fetchall())
        self._seed, self._share = int(meta["seed"]), float(meta["second_share"])
        self._known = _known_groups(db)
        self._ids = {id_ for (id_,) in db.execute("SELECT id FROM groups UNION SELECT id FROM photos")}
        self.added = self.replaced = self.same = self.unqueued = 0
        self.kept: list[GroupKey] = []

    def add(self, group: ImportedGroup) -> None:
        known, digest = self._known.get(group.key), group.digest
        if known is None:
            known = _Known(self._new_id(), digest, answered=False, why=group.why)
            self._insert(known.id, group)
            self._known[group.key] = known
            self.added += 1
        elif known.digest == digest:
            self.same += 1
        elif known.answered:
            self.kept.append(group.key)
            return
        else:
            self._replace(known.id, group)
            self.replaced += 1
        if not known.answered and known.why != group.why:
            self._queue(known.id, group.why)
        self._place_photos(known.id, group)

    def _insert(self, id_: int, group: ImportedGroup) -> None:
        key = group.key
        self._db.execute(
            "INSERT INTO groups (id, mission, label, group_id, sampled, position, need, queued, why, digest, verdict, "
            "decision, p_pass, reason, rules_verdict, rules_reason, fault) VALUES (?, ?, ?, ?, ?, ?, 'first', ?, ?, ?, "
            "?, ?, ?, ?, ?, ?, ?)",
            (
                id_, key.mission, key.label or "", key.group_id, is_sampled(self._seed, key, self._share),
                position(self._seed, key), group.why is not None, group.why, *_content(group),
            ),
        )  # fmt: skip

    def _replace(self, id_: int, group: ImportedGroup) -> None:
        """Writes what the files say now. A page that has the old content open gives the group back."""
        self._db.execute(
            "UPDATE groups SET digest = ?, verdict = ?, decision = ?, p_pass = ?, reason = ?, rules_verdict = ?, "
            "rules_reason = ?, fault = ? WHERE id = ?",
            (*_content(group), id_),
        )
        self._db.execute("DELETE FROM leases WHERE group_ref = ?", (id_,))

    def _queue(self, id_: int, why: Why | None) -> None:
        """A group without answers is read, or not any longer, as the files say now; one of the audit sample always."""
        if why is not None:
            self._db.execute("UPDATE groups SET queued = 1, why = ? WHERE id = ?", (why, id_))
            return
        self._db.execute("UPDATE groups SET why = CASE audit WHEN 1 THEN 'audit' END WHERE id = ?", (id_,))
        sql = "UPDATE groups SET queued = 0 WHERE id = ? AND queued = 1 AND audit = 0"
        if self._db.execute(sql, (id_,)).rowcount:
            self._db.execute("DELETE FROM leases WHERE group_ref = ?", (id_,))
            self.unqueued += 1

    def _place_photos(self, group_ref: int, group: ImportedGroup) -> None:
        """Writes the photos. One with the same number keeps its id, so that a page that is open still finds it."""
        self._db.execute("DELETE FROM photos WHERE group_ref = ? AND number > ?", (group_ref, len(group.photos)))
        self._db.executemany(
            "INSERT INTO photos (id, group_ref, number, path, summary) VALUES (?, ?, ?, ?, ?) ON CONFLICT (group_ref, "
            "number) DO UPDATE SET path = excluded.path, summary = excluded.summary",
            [
                (self._new_id(), group_ref, number, photo.path.encode(errors="surrogatepass"), _text(photo.summary))
                for number, photo in enumerate(group.photos, 1)
            ],
        )

    def _new_id(self) -> int:
        """A random number that JavaScript holds exactly."""
        while (id_ := secrets.randbelow(2**53 - 1) + 1) in self._ids:
            pass
        self._ids.add(id_)
        return id_


def _known_groups(db: sqlite3.Connection) -> dict[GroupKey, _Known]:
    sql = (
        "SELECT mission, label, group_id, id, digest, EXISTS (SELECT 1 FROM answers WHERE group_ref = groups.id), why "
        "FROM groups"
    )
    return {
        GroupKey(mission, label or None, group_id): _Known(id_, digest, bool(answered), why)
        for mission, label, group_id, id_, digest, answered, why in db.execute(sql)
    }


def _content(group: ImportedGroup) -> tuple[object, ...]:
    """The digest and the machine's side."""
    return (
        group.digest, group.verdict, group.decision, group.p_pass, _text(group.reason), group.rules_verdict,
        _text(group.rules_reason), _text(group.fault),
    )  # fmt: skip


def _text(text: str | None) -> str | None:
    return None if text is None else escape_surrogates(text)


# ---- the audit ----


def _check_audit(db: sqlite3.Connection, audit: Audit | None) -> None:
    """Raises InputError for another audit than the store's, and for one that comes after answers about its groups."""
    if audit is None:
        return
    if stored := stored_audit(db):
        if stored != audit:
            raise InputError(
                f"The store has another audit, drawn {stored.created} with seed {stored.seed}: {len(stored.groups)} "
                "groups. A store has one audit. Give that one or none, or start another store."
            )
        return
    answered = [key for key, known in _known_groups(db).items() if known.answered]
    if early := sorted(map(str, set(answered) & {group.key for group in audit.groups})):
        raise InputError(
            f"{_named(early)} of the audit have answers already, from before it was known which groups are audited. "
            "Start another store with this audit."
        )


def _mark_audit(db: sqlite3.Connection, audit: Audit) -> None:
    """Puts the sample into the queue. Raises InputError where a group of it is not in the store."""
    missing = []
    for group in audit.groups:
        marked = db.execute(
            "UPDATE groups SET audit = 1, queued = 1, why = COALESCE(why, 'audit') "
            "WHERE mission = ? AND label = ? AND group_id = ?",
            (group.mission, group.label_given or "", group.group_id),
        )
        if not marked.rowcount:
            missing.append(str(group.key))
    if missing:
        raise InputError(
            f"{_named(missing)} of the audit are in none of the files. Give all files from which it was drawn: "
            f"{', '.join(file.file for file in audit.decisions)}."
        )
    db.execute("INSERT OR REPLACE INTO meta VALUES ('audit_json', ?)", (audit.model_dump_json(),))


def stored_audit(db: sqlite3.Connection) -> Audit | None:
    """The audit of the store."""
    row = db.execute("SELECT value FROM meta WHERE key = 'audit_json'").fetchone()
    return Audit.model_validate_json(row[0]) if row else None


def _named(groups: list[str]) -> str:
    """`12 groups (QC-1 (…), QC-2 (…), QC-3 (…) and 9 more)`"""
    more = f" and {len(groups) - MAX_NAMED} more" if len(groups) > MAX_NAMED else ""
    return f"{len(groups)} groups ({', '.join(groups[:MAX_NAMED])}{more})"
