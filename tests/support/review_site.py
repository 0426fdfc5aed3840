"""A store with groups of every kind and real photos, served by a real uvicorn in a thread, and browsers for it.

    site = stack.enter_context(serve_site(tmp_path))
    reader = site.reader("李")
    reader.post("/api/next", queue="main", mission=None, hold=[], count=2).json()

Whatever a reader must not see holds the word of `SECRET` or is one of `SECRETS`.
"""

import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.photos import photo_file
from support.review_server import served
from yanshou.review.store.imported_groups import ImportedGroup, ImportedPhoto
from yanshou.review.store.store import Store
from yanshou.review.web.connections import PatientConnection
from yanshou.schema.audit import Audit, AuditedGroup, MissionPopulation
from yanshou.schema.records import GroupKey
from yanshou.version import __version__

MISSION = "BBU接地线检查"
SUMMARY = "螺丝、光纤插头/机柜处接地螺丝,符合要求×1，电线/分布散乱×2"
SIZE = (300, 200)  # width × height of the photos, as stored: turned by their EXIF
P_PASS = 0.918273645
SECRET = "SECRET"
SECRETS = (SECRET, "918273645", "false_release", "doubt", "审核通过", "审核不通过", "QC-", ".jpg", "/tmp/", "sampled")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Browser:
    """One browser: its cookie, and every byte that it got."""

    port: int
    cookie: str = ""
    seen: list[bytes] = field(default_factory=list)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Reply:
        return self.send("GET", path, None, headers or {})

    def post(self, path: str, **values: Any) -> Reply:
        headers = {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{self.port}"}
        return self.send("POST", path, json.dumps(values).encode(), headers)

    def send(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Reply:
        """One request, as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            own = {"Cookie": self.cookie} if self.cookie else {}
            connection.request(method, path, content, {**own, **headers})
            got = connection.getresponse()
            reply = Reply(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
        finally:
            connection.close()
        self.seen += [str(sorted(reply.headers.items())).encode(), reply.body]
        return reply

    def next(self, count: int = 2, queue: str = "main", hold: tuple[int, ...] = ()) -> list[dict[str, Any]]:
        """Groups to read."""
        groups: list[dict[str, Any]] = self.post("/api/next", queue=queue, mission=None, hold=hold, count=count).json()[
            "groups"
        ]
        return groups

    def answer(self, group: int, uid: str, label: str = "pass") -> Reply:
        return self.post("/api/answer", uid=uid, group=group, label=label, reason="", seconds=1.5)


@dataclass
class Site:
    """A running server."""

    store: Store
    port: int
    told: list[str]  # lines for the terminal
    photos: list[Path]

    def browser(self, path: str = "/start", key: str | None = None) -> Browser:
        """One that has opened a link."""
        browser = Browser(self.port)
        role = "lead" if path == "/lead" else "reader"
        reply = browser.get(f"{path}?key={self.store.key(role) if key is None else key}")
        browser.cookie = reply.headers.get("set-cookie", "").partition(";")[0]
        browser.seen.clear()  # the cookie
        return browser

    def reader(self, name: str) -> Browser:
        """One whose reader has given a name."""
        browser = self.browser()
        assert browser.post("/api/name", name=name).status == 200
        return browser


@contextmanager
def serve_site(
    folder: Path, *, open_mode: bool = False, connection: type[PatientConnection] = PatientConnection,
    second_share: float = 0.0, groups: int = 8, summary: str = SUMMARY,
) -> Iterator[Site]:  # fmt: skip
    """A site. Of its groups every fourth is in the audit sample."""
    made = [_group(folder, number, summary) for number in range(groups)]
    with Store.open(folder / "review.sqlite", second_share=second_share, open_mode=open_mode) as store:
        store.add_groups(made, audit=_audit([one.key for one in made[::4]]))
        told: list[str] = []
        with served(store, connection=connection, tell=told.append) as server:
            yield Site(store, server.port, told, [Path(photo.path) for one in made for photo in one.photos])


def _group(folder: Path, number: int, summary: str) -> ImportedGroup:
    key = GroupKey(MISSION, ("pass", "fail", None)[number % 3], f"QC-{SECRET}-20241022-{number:07}")
    name = {"pass": "审核通过", "fail": "审核不通过", None: "."}[key.label]
    files = [photo_file(folder / "photos" / name / key.group_id / f"{SECRET}_{n}.jpg", 6, SIZE) for n in (1, 2)]
    says: Any = ("pass", "fail", None)[number % 3]
    return ImportedGroup(
        key, tuple(ImportedPhoto(str(file), summary) for file in files), ("false_release", "doubt")[number % 2],
        verdict=says, decision=("release", "review", "block")[number % 3], p_pass=P_PASS,
        reason=f"{SECRET}理由", rules_verdict="fail", rules_reason=f"{SECRET}规则", fault=None if says else SECRET,
    )  # fmt: skip


def _audit(keys: list[GroupKey]) -> Audit:
    return Audit(
        format=1, yanshou=__version__, created="2026-01-18T09:30:00+08:00", seed=0, policy="0" * 64, decisions=[],
        missions={MISSION: MissionPopulation(released=100, blocked=0, review=0, sampled=len(keys))},
        groups=[AuditedGroup(group_id=key.group_id, mission=key.mission, label_given=key.label) for key in keys],
    )  # fmt: skip


def raw(port: int, *parts: bytes, pause: float = 0.0, patience: float = 10.0) -> bytes:
    """Sends bytes as they are, with pauses between the parts; what comes back until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            return b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:  # it ended while something was under way
            return b""
