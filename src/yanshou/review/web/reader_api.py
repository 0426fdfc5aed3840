"""What the reader's page asks for: see the table in `app`. Each function is one method of the store, as JSON.

Nothing here knows whether a group is of the audit sample, or read for the first time or the third: the store gives it
out as any other (`GroupToRead`), and only `reveal`, after the reader's own answer, sends the machine's side.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints
from starlette.routing import Route

from yanshou.missions import Missions, Rule
from yanshou.review.store.answers import NewAnswer, PastAnswer
from yanshou.review.store.queue import GroupToRead, MachineSide, Queue
from yanshou.review.store.refusals import RefusalError
from yanshou.review.store.store import Store
from yanshou.review.web import screen
from yanshou.review.web.cookies import Cookie
from yanshou.review.web.endpoints import Asking, Reply, get, post
from yanshou.review.web.reasons import reasons
from yanshou.schema.label_row import Answer

Number = Annotated[int, Field(ge=0, lt=2**53)]  # of a row
Uid = Annotated[str, StringConstraints(pattern="^[0-9A-Za-z-]{8,64}$")]
Few = Annotated[tuple[Number, ...], Field(max_length=100)]


class Name(Asking):
    """POST /api/name."""

    name: str = Field(max_length=200)


class Next(Asking):
    """POST /api/next."""

    queue: Queue
    mission: str | None = Field(max_length=200)
    hold: Few
    count: int = Field(ge=0, le=10)


class Groups(Asking):
    """POST /api/renew and /api/release."""

    groups: Few


class Answered(Asking):
    """POST /api/answer."""

    uid: Uid
    group: Number
    label: Answer
    reason: str | None = Field(default=None, max_length=500)
    seconds: float | None = Field(default=None, ge=0, le=1e6)


class Undo(Asking):
    """POST /api/undo."""

    uid: Uid
    answer: Uid


class OneGroup(Asking):
    """POST /api/reveal."""

    group: Number


def routes(store: Store, missions: Missions) -> list[Route]:
    """All routes that the script of the reader's page uses, photos apart."""
    who, api = Cookie(store, "reader").session, ReaderApi(store, missions)
    return [
        get("/api/queues", who, api.queues),
        get("/api/history", who, api.history),
        post("/api/name", who, Name, api.name),
        post("/api/next", who, Next, api.next),
        post("/api/renew", who, Groups, api.renew),
        post("/api/release", who, Groups, api.release),
        post("/api/answer", who, Answered, api.answer),
        post("/api/undo", who, Undo, api.undo),
        post("/api/reveal", who, OneGroup, api.reveal),
    ]


class ReaderApi:
    """The store, as JSON. `session` is the cookie's value."""

    def __init__(self, store: Store, missions: Missions) -> None:
        self._store, self._missions = store, missions

    def queues(self, session: str, query: Mapping[str, str]) -> Reply:
        """Mode, reader, missions with their rules and reasons, and how much is left for this reader."""
        found, names = self._store.session(session), self._store.missions()
        which: tuple[Queue, ...] = ("main", "audit") if self._store.open_mode else ("main",)
        queues = [
            {"queue": queue, "mission": name, "left": self._store.left(session, queue, name)}
            for queue in which
            for name in names
            if found.reader is not None
        ]
        return {
            "mode": "open" if self._store.open_mode else "blind",
            "reader": found.reader,
            "today": 0 if found.reader is None else self._store.today(session),
            "missions": [self._mission(name) for name in names],
            "queues": queues,
        }

    def name(self, session: str, asked: Name) -> Reply:
        """Who reads."""
        return {"reader": named(self._store, session, asked)}

    def next(self, session: str, asked: Next) -> Reply:
        """Groups to read."""
        given, sides = self._store.next_groups(session, asked.queue, asked.mission, asked.hold, asked.count)
        groups = [self._group(group, sides.get(group.id)) for group in given.groups]
        return {"groups": groups, "held": given.held, "left": given.left}

    def renew(self, session: str, asked: Groups) -> Reply:
        """Which of the groups the session still has."""
        return {"held": self._store.renew(session, asked.groups)}

    def release(self, session: str, asked: Groups) -> Reply:
        """Gives groups back."""
        self._store.release(session, asked.groups)
        return {}

    def answer(self, session: str, asked: Answered) -> Reply:
        """An answer, which is on the disk when this returns. today: how many of this reader's count."""
        new = NewAnswer(asked.uid, asked.group, asked.label, asked.reason, asked.seconds)
        left = self._store.answer(session, new)
        return {"uid": asked.uid, "left": left, "today": self._store.today(session)}

    def undo(self, session: str, asked: Undo) -> Reply:
        """Takes an answer back and gives its group."""
        return {"group": self._group(*self._store.undo(session, asked.uid, asked.answer))}

    def history(self, session: str, query: Mapping[str, str]) -> Reply:
        """The reader's own answers."""
        return {"answers": [_past(answer) for answer in self._store.history(session)]}

    def reveal(self, session: str, asked: OneGroup) -> Reply:
        """The machine's side of a group that this reader has answered."""
        return screen.after_answer(self._store.reveal(session, asked.group))

    def _group(self, group: GroupToRead, machine: MachineSide | None) -> dict[str, Any]:
        return screen.group(group, rule_of(self._missions, group.mission), machine)

    def _mission(self, name: str) -> dict[str, Any]:
        return {"name": name, **mission_texts(rule_of(self._missions, name))}


def named(store: Store, session: str, asked: Name) -> str:
    """Names the session. Returns the name as the store spells it."""
    try:
        return store.set_name(session, asked.name)
    except RefusalError as refusal:
        raise RefusalError("bad_name", str(refusal)) if refusal.code == "bad_request" else refusal from refusal


def rule_of(missions: Missions, name: str) -> Rule | None:
    """None for a mission whose file was not given to this start."""
    return missions.get(name).rule if name in missions else None


def mission_texts(rule: Rule | None) -> dict[str, Any]:
    """When a group passes, and the reasons that the page offers."""
    if rule is None:
        return {"rule": "", "reasons": {"pass": [], "fail": [], "unsure": []}}
    return {"rule": rule.condition, "reasons": reasons(rule)}


def _past(answer: PastAnswer) -> dict[str, Any]:
    return {
        "uid": answer.uid,
        "group": answer.group,
        "group_id": answer.group_id or "",
        "mission": answer.mission,
        "label": answer.label,
        "reason": answer.reason or "",
        "at": answer.at,
        "revealed": answer.revealed,
    }
