"""What the lead's page asks for: see the table in `app`.

The machine's side of a group, its id and its place in the audit sample stay hidden from the lead, too, until the lead
has answered it: a lead's answer is final, and a label that a verdict suggested says nothing about that verdict.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.routing import Route

from yanshou.missions import Missions
from yanshou.review.progress import progress, said
from yanshou.review.store.answers import NewAnswer
from yanshou.review.store.queue import group_to_read
from yanshou.review.store.readings import lead_answer
from yanshou.review.store.refusals import RefusalError
from yanshou.review.store.sessions import names_of_browsers
from yanshou.review.store.snapshot import StoreRows, answers_about
from yanshou.review.store.store import Store
from yanshou.review.web import reader_api, screen
from yanshou.review.web.cookies import Cookie
from yanshou.review.web.endpoints import Reply, get, post
from yanshou.review.web.reader_api import Answered, Name


def routes(store: Store, missions: Missions) -> list[Route]:
    """All routes that the script of the lead's page uses, photos apart."""
    who, api = Cookie(store, "lead").session, LeadApi(store, missions)
    return [
        get("/api/lead/progress", who, api.progress),
        get("/api/lead/group", who, api.group),
        post("/api/lead/name", who, Name, api.name),
        post("/api/lead/answer", who, Answered, api.answer),
    ]


class LeadApi:
    """The store, as JSON. `session` is the cookie's value."""

    def __init__(self, store: Store, missions: Missions) -> None:
        self._store, self._missions = store, missions

    def progress(self, session: str, query: Mapping[str, str]) -> Reply:
        """Everything that the page shows, but for the photos of a group."""
        lead = self._store.lead_name(session)
        with self._store.reading() as db:
            rows = StoreRows.read(db)
            browsers = names_of_browsers(db)
        now = datetime.now().astimezone()
        return {
            "lead": lead,
            "mode": "open" if self._store.open_mode else "blind",
            "at": now.isoformat(timespec="seconds"),
            **progress(rows.snapshot(), browsers, now.date()),
        }

    def group(self, session: str, query: Mapping[str, str]) -> Reply:
        """A group that readers disagree about, or that the lead has answered."""
        self._store.lead_name(session)
        number = _number(query.get("id", ""))
        with self._store.reading() as db:
            group, answers = group_to_read(db, number), answers_about(db, number)
        rule = reader_api.rule_of(self._missions, group.mission)
        own = lead_answer(answers)
        return {
            **screen.group(group, rule, None),
            **reader_api.mission_texts(rule),
            "answers": said(answers),
            "own": own and {"label": own.label, "reason": own.reason or "", "at": own.at, "reader": own.reader},
            "machine": own and self._machine(session, number),
        }

    def name(self, session: str, asked: Name) -> Reply:
        """Who answers."""
        self._store.lead_name(session)
        return {"lead": reader_api.named(self._store, session, asked)}

    def answer(self, session: str, asked: Answered) -> Reply:
        """The final answer, which is on the disk when this returns; now the machine's side may be seen."""
        new = NewAnswer(asked.uid, asked.group, asked.label, asked.reason, asked.seconds)
        self._store.lead_answer(session, new)
        return {"uid": asked.uid, "machine": self._machine(session, asked.group)}

    def _machine(self, session: str, group: int) -> dict[str, Any]:
        return screen.after_answer(self._store.lead_reveal(session, group))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise RefusalError("not_found", "There is no such group.")
    return int(text)
