"""What a store holds at one moment, read without writing: for the export and for the lead's page."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from yanshou.review.store.database import read_store
from yanshou.review.store.imported_groups import stored_audit
from yanshou.review.store.readings import Answer, GroupRule, Step
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


ANSWER_COLUMNS = "reader, role, label, blind, at, id, uid, group_ref, reason, supersedes, seconds"  # as in StoredAnswer


@dataclass(frozen=True)
class Snapshot:
    """All groups, in any order, and all answers, in the order in which they were stored."""

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
        answers = db.execute(f"SELECT {ANSWER_COLUMNS} FROM answers ORDER BY id").fetchall()
        return cls(groups, answers, stored_audit(db))

    def snapshot(self) -> Snapshot:
        """What the rows say."""
        return Snapshot(
            {group.id: group for group in map(_group, self.groups)}, list(map(_answer, self.answers)), self.audit
        )


def read_snapshot(path: Path) -> Snapshot:
    """Reads a store that another process may serve. Raises as `read_store`."""
    return read_store(path, StoreRows.read).snapshot()


def answers_about(db: sqlite3.Connection, group: int) -> list[StoredAnswer]:
    """All answers about one group, in the order in which they were stored."""
    sql = f"SELECT {ANSWER_COLUMNS} FROM answers WHERE group_ref = ? ORDER BY id"
    return list(map(_answer, db.execute(sql, (group,))))


def _group(row: sqlite3.Row) -> StoredGroup:
    id_, mission, label, group_id, sampled, audit, queued, need = row
    folder = label or None
    rule = GroupRule(folder, bool(sampled), bool(audit))
    return StoredGroup(id_, GroupKey(mission, folder, group_id), rule, bool(queued), need)


def _answer(row: sqlite3.Row) -> StoredAnswer:
    reader, role, label, blind, *others = row
    return StoredAnswer(reader, role, label, bool(blind), *others)
