"""An HTTP client that works through a queue as the reviewer's page does, and a journal of what it was told.

    journal = Journal(clock)
    client = ReviewClient(port, key, ["李"], journal, Random(0))
    client.sign_in()
    while client.step():
        …

It asks for the next groups, fetches their photos, answers, renews its leases, gives them back when it is closed, and
sometimes takes an answer back. A request whose reply is lost is sent again with the same uid until it is answered, over
any number of restarts of the server.
"""

import http.client
import itertools
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

LEASE_S = 300.0
SKEW_S = 1.0  # between the clocks of server and client
PATIENCE_S = 120.0  # seconds that a request is sent again and again
PAUSE_S = 0.01  # before it is sent again
LATER = (503, 507)  # the server is there, and asks for another try
ANSWERS = ("pass", "fail", "fail", "pass", "unsure")
REASONS = ("照片模糊，无法判断", "没有看到接地螺丝", "=1+1 \"quoted\", 'text'\nand a line")


class RefusedError(Exception):
    """The server's refusal of a request."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        """The body. Raises RefusedError where it is an error."""
        content = json.loads(self.body)
        if self.status >= 400:
            raise RefusedError(self.status, content["error"], content["message"])
        return content


class Connection:
    """One connection to a server on this machine, opened when it is needed, with the cookies of its replies."""

    def __init__(self, port: int, timeout_s: float = 20) -> None:
        self.port, self.cookies = port, dict[str, str]()
        self._timeout_s = timeout_s
        self._open: http.client.HTTPConnection | None = None

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One request. Raises OSError and HTTPException where the connection is cut."""
        if self._open is None:
            self._open = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self._timeout_s)
        try:
            self._open.request(method, path, *_encoded(body), headers=self._headers(method) | headers)
            reply = self._open.getresponse()
            content = reply.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        for name, value in reply.getheaders():
            if name.lower() == "set-cookie":
                self._keep(value)
        return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, content)

    def patiently(self, method: str, path: str, body: Any = None) -> Reply:
        """The same, sent again while the server is away."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                reply = self.send(method, path, body)
            except (OSError, http.client.HTTPException):
                assert time.monotonic() < deadline, f"no answer to {method} {path}"
            else:
                if reply.status not in LATER or time.monotonic() > deadline:
                    return reply
            time.sleep(PAUSE_S)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _headers(self, method: str) -> dict[str, str]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if method == "POST":
            headers |= {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{self.port}"}
        return headers

    def _keep(self, header: str) -> None:
        name, _, value = header.partition(";")[0].partition("=")
        self.cookies[name.strip()] = value.strip()


def _encoded(body: Any) -> tuple[bytes | None]:
    return (None if body is None else json.dumps(body).encode(),)


# ---- what clients were told ----


@dataclass(slots=True)
class Sent:
    """One answer, or an undo (label None), that a client sent until the server replied."""

    uid: str
    group: int
    reader: str
    label: str | None
    reason: str = ""
    taken_back: str = ""  # the uid of the answer that an undo is about
    refusal: str = ""  # the code of an error
    confirmed: bool = False


@dataclass(slots=True)
class Hold:
    """A lease that a client was given; all times by the settable clock."""

    client: object
    known: float  # when the client had the reply
    asked: float  # when it sent the last request that gave or renewed the lease

    @property
    def until(self) -> float:
        """The lease certainly lasts until then."""
        return self.asked + LEASE_S - SKEW_S


@dataclass
class Journal:
    """What the clients of one server were told, together. Threads share it."""

    clock: Callable[[], float] = time.time
    sent: list[Sent] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)  # groups that two clients held at the same time
    granted: int = 0
    _holds: dict[int, Hold] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def request(self, client: object) -> Iterator[Callable[[list[int]], None]]:
        """A request that may give leases; what it yields is called with the groups of the reply."""
        asked = self.clock()

        def given(groups: list[int]) -> None:
            known = self.clock()
            with self._lock:
                for group in groups:
                    self._hold(group, Hold(client, known, asked))

        yield given

    def _hold(self, group: int, hold: Hold) -> None:
        other = self._holds.get(group)
        if other and other.client is not hold.client and hold.asked > other.known and hold.known < other.until:
            self.violations.append(f"group {group}: {other} and {hold}")
        if other and other.client is hold.client and hold.asked < other.until:
            hold.known = other.known
        self.granted += other is None
        self._holds[group] = hold

    def end(self, group: int, client: object) -> None:
        """Called before a request that may end a lease."""
        with self._lock:
            if group in self._holds and self._holds[group].client is client:
                del self._holds[group]

    def add(self, sent: Sent) -> Sent:
        with self._lock:
            self.sent.append(sent)
        return sent

    def confirmed(self) -> list[Sent]:
        with self._lock:
            return [sent for sent in self.sent if sent.confirmed]

    def readings(self) -> dict[tuple[int, str], Sent]:
        """Group and reader → the confirmed answer that was not taken back."""
        confirmed = self.confirmed()
        undone = {sent.taken_back for sent in confirmed if sent.label is None}
        return {(s.group, s.reader): s for s in confirmed if s.label is not None and s.uid not in undone}


# ---- the client ----


@dataclass(frozen=True, slots=True)
class Habits:
    """How often a client does what a person does now and then."""

    undo: float = 0.1
    renew: float = 0.1
    leave: float = 0.02  # closes the page, which gives the leases back
    change: float = 0.01  # closes the page, and another person opens it
    photos: float = 1.0  # share of groups whose photos it looks at


USUAL = Habits()


class ReviewClient:
    """One browser."""

    reader: str

    def __init__(
        self,
        port: int,
        key: str,
        readers: Sequence[str],
        journal: Journal,
        random: Random,
        habits: Habits | None = None,
    ) -> None:
        """`readers`: who sits at it, in turn."""
        self.readers, self.held = itertools.cycle(readers), list[dict[str, Any]]()
        self.connection = Connection(port)
        self.latencies = list[float]()  # seconds of each answer, from the first try to the reply
        self._key, self._journal, self._random = key, journal, random
        self._habits = habits
        self._last: Sent | None = None

    def sign_in(self) -> None:
        """Follows the start address and gives the name of the next reader."""
        self.reader, self._last = next(self.readers), None
        self.connection.cookies.clear()
        reply = self.connection.patiently("GET", f"/start?key={self._key}")
        assert reply.status == 303, reply
        assert self.call("POST", "/api/name", {"name": self.reader})["reader"] == self.reader

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The reply to a request that is sent again while the server is away. Raises RefusedError."""
        return self.connection.patiently(method, path, body).json()

    def step(self) -> bool:
        """One group, as far as an answer to it. False: the queue has nothing for this reader now."""
        if self._sometimes(self._habits.leave):
            self.leave()
        if self._sometimes(self._habits.change):
            self.leave()
            self.sign_in()
        self.fill()
        if not self.held:
            return False
        if self._sometimes(self._habits.photos):
            self.look(self.held[0])
        if self._sometimes(self._habits.renew):
            self.renew()
        if self.held:
            self.answer(self._random.choice(ANSWERS))
        if self._last and self._sometimes(self._habits.undo):
            self.undo()
        return True

    def fill(self) -> None:
        """Asks for the current and the next group, as far as they are not held."""
        held = self._ids()
        with self._journal.request(self) as given:
            found = self.call(
                "POST", "/api/next", {"queue": "main", "mission": None, "hold": held, "count": 2}
            )  # fmt: skip
            given([*found["held"], *(group["id"] for group in found["groups"])])
        self._keep(found["held"])
        self.held += found["groups"]
        assert len(set(self._ids())) == len(self.held), "a group was given twice"

    def look(self, group: dict[str, Any]) -> None:
        """Fetches the group's photos."""
        for photo in group["photos"]:
            reply = self.connection.patiently("GET", f"/photo/{photo['id']}?size=view")
            if reply.status != 200:  # the lease may be over
                assert reply.status in (404, 409), reply
                continue
            assert reply.headers["content-type"] == "image/jpeg", reply.headers
            assert reply.body[:2] == b"\xff\xd8", reply.body[:20]

    def answer(self, label: str) -> Sent:
        """Answers the current group; the next one becomes the current one."""
        group = self.held.pop(0)["id"]
        reason = self._random.choice(REASONS) if label != "pass" else ""
        sent = self._journal.add(Sent(self._uid(), group, self.reader, label, reason))
        self._journal.end(group, self)
        body = {"uid": sent.uid, "group": group, "label": label, "reason": reason, "seconds": 1.5}
        began = time.perf_counter()
        self._send(sent, "/api/answer", body)
        self.latencies.append(time.perf_counter() - began)
        if sent.confirmed:
            self._last = sent
        return sent

    def undo(self) -> None:
        """Takes the last answer back; its group becomes the current one."""
        assert self._last is not None
        last, self._last = self._last, None
        sent = self._journal.add(Sent(self._uid(), last.group, self.reader, None, taken_back=last.uid))
        with self._journal.request(self) as given:
            reply = self._send(sent, "/api/undo", {"uid": sent.uid, "answer": last.uid})
            if sent.confirmed:
                given([last.group])
                assert reply["group"]["id"] == last.group, reply
                self.held.insert(0, reply["group"])

    def renew(self) -> None:
        with self._journal.request(self) as given:
            held = self.call("POST", "/api/renew", {"groups": self._ids()})["held"]
            given(held)
        self._keep(held)

    def leave(self) -> None:
        """Closes the page: the leases are given back, and the page opens again later."""
        for group in self._ids():
            self._journal.end(group, self)
        self.call("POST", "/api/release", {"groups": self._ids()})
        self.held.clear()

    def _send(self, sent: Sent, path: str, body: dict[str, Any]) -> Any:
        try:
            reply = self.call("POST", path, body)
        except RefusedError as error:
            sent.refusal = error.code
            return None
        assert path != "/api/answer" or reply["uid"] == sent.uid, reply
        sent.confirmed = True
        return reply

    def _keep(self, held: list[int]) -> None:
        """Drops the groups whose lease is over."""
        lost = set(self._ids()) - set(held)
        for group in lost:
            self._journal.end(group, self)
        self.held = [group for group in self.held if group["id"] in held]

    def _ids(self) -> list[int]:
        return [group["id"] for group in self.held]

    def _uid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _sometimes(self, share: float) -> bool:
        return self._random.random() < share
