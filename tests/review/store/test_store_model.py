"""The store against a model of it in memory: any order of requests, restarts and passing time, by three browsers.

YANSHOU_REVIEW_MODEL=1000 tries more histories than `make test` does.
"""

import os
import tempfile
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from support.review_answers import People, audit_of, key, open_store
from support.review_rows import rows
from support.review_sessions import SteadyClock, browser, refused

from yanshou.review.store.answers import NewAnswer
from yanshou.review.store.queue import PRIME
from yanshou.review.store.readings import Answer, GroupRule, next_step, position
from yanshou.review.store.store import Store
from yanshou.schema.label_row import Answer as Said
from yanshou.schema.records import GroupKey

EXAMPLES = int(os.environ.get("YANSHOU_REVIEW_MODEL", "8"))
READERS = ("李", "李", "王")  # of the browsers: two are 李's
KEYS = [key("QC-1", "pass"), key("QC-2", "fail"), key("QC-3", None), key("QC-4", "pass")]
AUDITED = KEYS[2:]

browsers, groups, labels = st.sampled_from(range(3)), st.sampled_from(KEYS), st.sampled_from(["pass", "fail", "unsure"])


def own_order(key: GroupKey, reader: str) -> int:
    """Where the group is in the reader's order."""
    step = int.from_bytes(sha256(reader.encode()).digest()[:8]) % (PRIME - 1) + 1
    return position(0, key) % PRIME * step % PRIME


@dataclass
class Model:
    """What the store has to hold."""

    said: dict[GroupKey, list[Answer]] = field(default_factory=lambda: {key: [] for key in KEYS})
    leases: dict[GroupKey, tuple[int, float]] = field(default_factory=dict)  # browser, end
    shown: set[tuple[GroupKey, str]] = field(default_factory=set)
    own: dict[str, list[tuple[str, GroupKey]]] = field(default_factory=lambda: {reader: [] for reader in READERS})

    def step(self, key: GroupKey) -> str:
        return next_step(self.said[key], GroupRule(key.label, sampled=False, audit=key in AUDITED))

    def has_read(self, key: GroupKey, reader: str) -> bool:
        mine = [answer for answer in self.said[key] if answer.reader == reader]
        return bool(mine) and mine[-1].label is not None

    def taken(self, key: GroupKey, browser: int, now: float) -> bool:
        """Whether another browser has the group now."""
        holder, end = self.leases.get(key, (browser, 0.0))
        return holder != browser and end > now

    def offered(self, reader: str, now: float) -> list[GroupKey]:
        found = [
            key
            for key in KEYS
            if self.step(key) in ("first", "second", "third") and not self.has_read(key, reader)
            if self.leases.get(key, (0, 0.0))[1] <= now and not (key in AUDITED and (key, reader) in self.shown)
        ]
        return sorted(found, key=lambda key: own_order(key, reader))

    def refusal(self, key: GroupKey, browser: int, now: float) -> str | None:
        """The code with which an answer is refused."""
        if self.has_read(key, READERS[browser]):
            return "answered"
        if self.leases.get(key, (None,))[0] == browser:
            return None
        if self.taken(key, browser, now):
            return "lease_lost"
        return "answered" if self.step(key) in ("lead", "done") else None


class StoreMachine(RuleBasedStateMachine):
    """Does to the store what it does to the model, and compares."""

    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path, self.clock, self.model, self.uids = Path(self.folder.name) / "s", SteadyClock(), Model(), count()
        self.store = open_store(self.path, KEYS, audit=audit_of(AUDITED), clock=self.clock)
        self.sessions = [browser(self.store, reader) for reader in READERS]
        self.ids = People(self.store).ids

    @rule(browser=browsers, wanted=st.integers(1, 3))
    def take(self, browser: int, wanted: int) -> None:
        given, _ = self.store.next_groups(self.sessions[browser], "main", None, [], wanted)
        expected = self.model.offered(READERS[browser], self.clock.now)[:wanted]
        assert [group.id for group in given.groups] == [self.ids[key] for key in expected]
        self.model.leases |= dict.fromkeys(expected, (browser, self.clock.now + 300))

    @rule(browser=browsers, group=groups)
    def renew(self, browser: int, group: GroupKey) -> None:
        mine = self.model.leases.get(group, (None,))[0] == browser
        held = self.store.renew(self.sessions[browser], [self.ids[group]])
        assert held == ([self.ids[group]] if mine else [])
        if mine:
            self.model.leases[group] = (browser, self.clock.now + 300)

    @rule(browser=browsers, group=groups)
    def release(self, browser: int, group: GroupKey) -> None:
        self.store.release(self.sessions[browser], [self.ids[group]])
        if self.model.leases.get(group, (None,))[0] == browser:
            del self.model.leases[group]

    @rule(browser=browsers, group=groups, label=labels, times=st.integers(1, 2))
    def answer(self, browser: int, group: GroupKey, label: Said, times: int) -> None:
        reader, uid = READERS[browser], f"uid-{next(self.uids)}"
        new = NewAnswer(uid, self.ids[group], label)
        if code := self.model.refusal(group, browser, self.clock.now):
            with refused(code):
                self.store.answer(self.sessions[browser], new)
            return
        for _ in range(times):
            self.store.answer(self.sessions[browser], new)
        self.model.said[group].append(Answer(reader, "reader", label, (group, reader) not in self.model.shown, ""))
        self.model.own[reader].append((uid, group))
        if self.model.leases.get(group, (None,))[0] == browser:
            del self.model.leases[group]

    @rule(browser=browsers, label=labels)
    def answer_what_it_has(self, browser: int, label: Said) -> None:
        for group in [group for group, (holder, _) in self.model.leases.items() if holder == browser]:
            self.answer(browser, group, label, 1)

    @rule(browser=browsers, label=labels, shown=st.booleans())
    def change_the_last(self, browser: int, label: Said, shown: bool) -> None:
        if not self.model.own[READERS[browser]]:
            return
        _, group = self.model.own[READERS[browser]][-1]
        if shown:
            self.reveal(browser, group)
        self.undo_the_last(browser, 1)
        self.answer(browser, group, label, 1)

    @rule(browser=browsers, times=st.integers(1, 2))
    def undo_the_last(self, browser: int, times: int) -> None:
        reader, session = READERS[browser], self.sessions[browser]
        if not self.model.own[reader]:
            return
        uid, group = self.model.own[reader][-1]
        if self.model.taken(group, browser, self.clock.now):
            with refused("lease_lost"):
                self.store.undo(session, f"uid-{next(self.uids)}", uid)
            return
        undo = f"uid-{next(self.uids)}"
        assert {self.store.undo(session, undo, uid)[0].id for _ in range(times)} == {self.ids[group]}
        self.model.own[reader].pop()
        self.model.said[group].append(Answer(reader, "reader", None, False, ""))
        self.model.leases[group] = (browser, self.clock.now + 300)

    @rule(browser=browsers, group=groups)
    def reveal(self, browser: int, group: GroupKey) -> None:
        may = self.model.has_read(group, READERS[browser])
        with nullcontext() if may else refused("not_found"):
            self.store.reveal(self.sessions[browser], self.ids[group])
            self.model.shown.add((group, READERS[browser]))

    @rule(seconds=st.sampled_from([1.0, 299.0, 301.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(jump=st.sampled_from([-100_000.0, 0.0, 100_000.0]))
    def restart(self, jump: float) -> None:
        self.store.close()
        self.clock.now += jump
        self.store = Store.open(self.path, clock=self.clock)
        self.model.leases = {key: (holder, self.clock.now + 300) for key, (holder, _) in self.model.leases.items()}

    @invariant()
    def same(self) -> None:
        if not hasattr(self, "store"):
            return
        names = {id_: key for key, id_ in self.ids.items()}
        said: dict[GroupKey, list[tuple[object, ...]]] = {key: [] for key in KEYS}
        for row in rows(self.store, "SELECT * FROM answers ORDER BY id"):
            said[names[row["group_ref"]]].append((row["reader"], row["label"], bool(row["blind"])))
        assert said == {
            key: [(answer.reader, answer.label, answer.blind) for answer in answers]
            for key, answers in self.model.said.items()
        }
        needs = {names[row["id"]]: row["need"] for row in rows(self.store, "SELECT id, need FROM groups")}
        assert needs == {key: self.model.step(key) for key in KEYS}

    def teardown(self) -> None:
        with suppress(AttributeError):  # a run that ended before its start
            self.store.close()
            self.folder.cleanup()


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
