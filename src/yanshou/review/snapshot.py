"""What a store holds at one moment, read without writing: for the export and for the lead's page."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

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


def read_store(path: Path) -> Snapshot:
    """Reads a store that may be served at the same time. Raises as `open_to_read`."""
    with closing(open_to_read(path)) as database, database.reading() as db:
        return read_snapshot(db)


def read_snapshot(db: sqlite3.Connection) -> Snapshot:
    """Reads within a transaction."""
    groups = sorted(map(_group, db.execute("SELECT * FROM groups")), key=lambda group: _order(group.key))
    answers = list(map(_answer, db.execute("SELECT * FROM answers ORDER BY id")))
    return Snapshot({group.id: group for group in groups}, answers, stored_audit(db))


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
