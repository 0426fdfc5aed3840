"""A store of `yanshou review` with groups, and people who answer, all through the store's own methods."""

from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

from support.lines import GROUNDING
from yanshou.review.store.answers import NewAnswer
from yanshou.review.store.imported_groups import ImportedGroup, ImportedPhoto
from yanshou.review.store.store import Store
from yanshou.schema.audit import FORMAT, Audit, AuditedGroup, MissionPopulation
from yanshou.schema.label_row import Answer
from yanshou.schema.records import GroupKey, Label

LONG_AGO = "2001-02-03T09:30:00+08:00"
numbers = count(1)


def key(group: str = "QC-1", folder: Label | None = "pass", mission: str = GROUNDING) -> GroupKey:
    return GroupKey(mission, folder, group)


def imported(key: GroupKey, **more: Any) -> ImportedGroup:
    photos = (ImportedPhoto(f"/data/{key.group_id}/1.jpg", "电线/捆扎整齐×1"),)
    return ImportedGroup(**{"key": key, "photos": photos, "why": "doubt", **more})


def audit_of(keys: Iterable[GroupKey], released: int | None = None, created: str = LONG_AGO) -> Audit:
    """An audit of these groups, all of one mission, out of so many released ones."""
    groups = [AuditedGroup(group_id=key.group_id, mission=key.mission, label_given=key.label) for key in keys]
    sizes = MissionPopulation(released=released or len(groups), blocked=0, review=0, sampled=len(groups))
    return Audit(
        format=FORMAT, yanshou="0", created=created, seed=0, policy="3c4b" * 16, decisions=[],
        missions={groups[0].mission: sizes}, groups=groups,
    )  # fmt: skip


class People:
    """Readers and the lead, each with one browser."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._sessions: dict[str, str] = {}
        with store.reading() as db:
            rows = db.execute("SELECT id, mission, label, group_id FROM groups").fetchall()
        self.ids = {GroupKey(mission, label or None, group): id_ for id_, mission, label, group in rows}

    def session(self, reader: str) -> str:
        if reader not in self._sessions:
            self._sessions[reader] = self.store.sign_in("reader", self.store.key("reader"))
            self.store.set_name(self._sessions[reader], reader)
        return self._sessions[reader]

    def say(self, reader: str, key: GroupKey, label: Answer, reason: str | None = None, seconds: float = 10) -> str:
        """One reader's answer. Returns its uid."""
        uid = f"uid-{next(numbers)}"
        self.store.answer(self.session(reader), NewAnswer(uid, self.ids[key], label, reason, seconds))
        return uid

    def undo(self, reader: str, answer: str, then: Answer | None = None) -> None:
        """Takes an answer back; the group goes back into the queue, or gets another answer."""
        group = self.store.undo(self.session(reader), f"uid-{next(numbers)}", answer)[0].id
        if then is None:
            self.store.release(self.session(reader), [group])
        else:
            self.store.answer(self.session(reader), NewAnswer(f"uid-{next(numbers)}", group, then, None, 5))

    def decide(self, key: GroupKey, label: Answer) -> None:
        """The lead's answer."""
        if "the lead" not in self._sessions:
            self._sessions["the lead"] = self.store.sign_in("lead", self.store.key("lead"))
        new = NewAnswer(f"uid-{next(numbers)}", self.ids[key], label, None, 3)
        self.store.lead_answer(self._sessions["the lead"], new)


def open_store(
    path: Path, keys: Iterable[GroupKey], audit: Audit | None = None, second_share: float = 0, **more: Any
) -> Store:
    """A store with these groups. The caller closes it."""
    store = Store.open(path, second_share=second_share, **more)
    store.add_groups(map(imported, keys), audit=audit)
    return store
