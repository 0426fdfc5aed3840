"""What a store holds at one moment, read without writing: for the export and for the lead's page."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from yanshou.inputs.listing import natural_key
from yanshou.review.database import open_to_read
from yanshou.review.imported_groups import stored_audit
from yanshou.review.readings import Answer, GroupRule, Step
from yanshou.schema.audit import Audit
from yanshou.schema.records import GroupKey


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """A group, without the machine's side."""

    id: int
    key: GroupKey
    rule: GroupRule
    queued: bool
    need: Step


@dataclass(frozen=True, slots=True)
class StoredAnswer(Answer):
    """One row of the answers, with what no reading depends on."""

    id: int
    uid: str
    group: int
    reason: str | None
    supersedes: int | None  # id
    seconds: float | None


@dataclass(frozen=True)
class Snapshot:
    """All groups and answers. Groups are in natural order, answers in that in which they were stored."""

    groups: Mapping[int, StoredGroup]
    answers: Sequence[StoredAnswer]
    audit: Audit | None

    @cached_property
    def of_group(self) -> Mapping[int, Sequence[StoredAnswer]]:
        """The answers of every group that has one."""
        found: dict[int, list[StoredAnswer]] = {}
        for answer in self.answers:
            found.setdefault(answer.group, []).append(answer)
        return found


@dataclass(frozen=True, slots=True)
class StoreRows:
    """The rows of a snapshot: all that is read while writers wait."""

    groups: list[sqlite3.Row]
    answers: list[sqlite3.Row]
    audit: Audit | None

    @classmethod
    def read(cls, db: sqlite3.Connection) -> Self:
        """Reads within a transaction."""
        groups = db.execute("SELECT id, mission, label, group_id, sampled, audit, queued, need FROM groups").fetchall()
        return cls(groups, db.execute("SELECT * FROM answers ORDER BY id").fetchall(), stored_audit(db))

    def snapshot(self) -> Snapshot:
        """What the rows say."""
        groups = sorted(map(_group, self.groups), key=lambda group: _order(group.key))
        return Snapshot({group.id: group for group in groups}, list(map(_answer, self.answers)), self.audit)


def read_store(path: Path) -> Snapshot:
    """Reads a store that another process may serve. Raises as `open_to_read`."""
    with closing(open_to_read(path)) as database, database.reading() as db:
        rows = StoreRows.read(db)
    return rows.snapshot()


def answers_about(db: sqlite3.Connection, group: int) -> list[StoredAnswer]:
    """All answers about one group, in the order in which they were stored."""
    return list(map(_answer, db.execute("SELECT * FROM answers WHERE group_ref = ? ORDER BY id", (group,))))


def _order(key: GroupKey) -> tuple[str, object, str]:
    return key.mission, natural_key(key.group_id), key.label or ""


def _group(row: sqlite3.Row) -> StoredGroup:
    folder = row["label"] or None
    return StoredGroup(
        id=row["id"],
        key=GroupKey(row["mission"], folder, row["group_id"]),
        rule=GroupRule(folder=folder, sampled=bool(row["sampled"]), audit=bool(row["audit"])),
        queued=bool(row["queued"]),
        need=row["need"],
    )


def _answer(row: sqlite3.Row) -> StoredAnswer:
    return StoredAnswer(
        reader=row["reader"],
        role=row["role"],
        label=row["label"],
        blind=bool(row["blind"]),
        at=row["at"],
        id=row["id"],
        uid=row["uid"],
        group=row["group_ref"],
        reason=row["reason"],
        supersedes=row["supersedes"],
        seconds=row["seconds"],
    )
