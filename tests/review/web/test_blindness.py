"""A curious reviewer: what the server sends before an answer says nothing of the machine, the folder, or the audit."""

import re
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support.review_site import MISSION, SECRETS, Browser, Site, serve_site

MACHINE = (
    "verdict",
    "p_pass",
    "decision",
    "folder",
    "rules_reason",
    "group_id",
    "fault",
    "audit",
    "sampled",
    "position",
)
UIDS = count()


@pytest.fixture(scope="module", params=[0.0, 0.5], ids=["one reader", "second readers"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with serve_site(folder, groups=12, second_share=request.param) as running:
        yield running


def uid() -> str:
    return f"0b0e7f6a-0000-4000-8000-{next(UIDS):012}"


def kinds(site: Site) -> Mapping[int, tuple[bool, bool, str]]:
    """Of each group: in the audit sample, a second reader by share, what it waits for."""
    with site.store.reading() as db:
        rows = db.execute("SELECT id, audit, sampled, need FROM groups").fetchall()
    return {id_: (bool(audit), bool(sampled), need) for id_, audit, sampled, need in rows}


def look_at(reader: Browser, group: dict[str, Any]) -> None:
    """Everything that a reader can ask about a group that they have not answered."""
    for photo in group["photos"]:
        for size in ("view", "full"):
            assert reader.get(f"/photo/{photo['id']}?size={size}").status == 200
    assert reader.post("/api/reveal", group=group["id"]).status == 404
    assert reader.post("/api/undo", uid=uid(), answer=uid()).status == 404
    assert reader.post("/api/renew", groups=[group["id"]]).json() == {"held": [group["id"]]}


def shape(value: Any) -> Any:
    """Keys, types and lengths of a reply, without its values."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else type(value).__name__


def read_all(reader: Browser, label: str) -> dict[int, str]:
    """Reads the whole queue. Returns the shape of all that came of each group."""
    shapes, left = {}, []
    assert reader.get("/api/queues").status == 200
    while groups := reader.next(1):
        (group,) = groups
        look_at(reader, group)
        answer = reader.answer(group["id"], uid(), label)
        left.append(answer.json()["left"])
        shapes[group["id"]] = str((shape(group), shape(answer.json()), sorted(answer.headers)))
    assert left == [*range(len(left))][::-1]  # every group counts for one, whatever comes of the answer
    assert reader.get("/api/history").status == 200
    return shapes


def test_nothing_that_a_reader_gets_tells_what_is_hidden(site: Site) -> None:
    first, second = site.reader("李"), site.reader("王")
    shapes, again = read_all(first, "pass"), read_all(second, "fail")
    assert len(shapes) == 12  # doubtful groups, possible false releases and the sample alike
    assert {kinds(site)[group][0] for group in again} == {True, False}
    sent = b"\n".join(first.seen + second.seen).decode(errors="replace")
    assert [secret for secret in SECRETS if secret in sent] == []
    assert len({*shapes.values(), *again.values()}) == 1  # audited or not, first reading or second: all alike


def test_the_page_is_the_same_whatever_there_is_to_read(site: Site, tmp_path: Path) -> None:
    with serve_site(tmp_path, groups=1) as other:
        pages = [one.reader("李").get("/").body.replace(one.store.id.encode(), b"") for one in (site, other)]
    assert pages[0] == pages[1]


def test_json_about_a_group_has_no_key_of_the_machines_side(site: Site) -> None:
    reader = site.reader("张")
    reader.post("/api/next", queue="main", mission=MISSION, hold=[], count=10)
    sent = b"".join(part for part in reader.seen if part.startswith(b"{")).decode()
    assert [key for key in MACHINE if f'"{key}"' in sent] == []
    assert set(re.findall(r'"machine": ?(\w+)', sent)) <= {"null"}


def test_ids_show_no_order_of_import(site: Site) -> None:
    with site.store.reading() as db:
        groups = [id_ for (id_,) in db.execute("SELECT id FROM groups ORDER BY group_id")]
        photos = [
            id_
            for (id_,) in db.execute("SELECT p.id FROM photos p JOIN groups g ON g.id = p.group_ref ORDER BY group_id")
        ]
    for ids in (groups, photos):
        assert ids not in (sorted(ids), sorted(ids, reverse=True))
        assert max(ids) > 2**48


def test_a_reader_cannot_see_what_another_one_said(site: Site) -> None:
    reader, other = site.reader("赵"), site.reader("钱")
    groups = reader.next(10)
    for group in groups:
        reader.answer(group["id"], uid(), "fail")
    for group in groups:
        assert other.post("/api/reveal", group=group["id"]).status == 404
    assert other.get("/api/history").json() == {"answers": []}


# ---- open mode ----


def test_open_mode_keeps_the_sample_apart_and_blind(tmp_path: Path) -> None:
    with serve_site(tmp_path, open_mode=True) as site:
        reader = site.reader("李")
        queues = reader.get("/api/queues").json()
        assert queues["mode"] == "open"
        assert {row["queue"]: row["left"] for row in queues["queues"]} == {"main": 6, "audit": 2}
        shown, hidden = reader.next(10), reader.next(10, queue="audit")
        known = kinds(site)
        assert [known[group["id"]][0] for group in shown] == 6 * [False]
        assert [known[group["id"]][0] for group in hidden] == 2 * [True]
        assert {*shown[0]["machine"]} == {
            "group_id", "folder", "verdict", "p_pass", "decision", "reason", "rules", "rules_reason"
        }  # fmt: skip
        assert [group["machine"] for group in hidden] == [None, None]
        assert reader.post("/api/reveal", group=hidden[0]["id"]).status == 404
        reader.answer(hidden[0]["id"], uid())
        assert reader.post("/api/reveal", group=hidden[0]["id"]).json()["audit"] is True


def test_blind_mode_has_no_queue_of_the_sample(site: Site) -> None:
    reader = site.reader("孙")
    assert {row["queue"] for row in reader.get("/api/queues").json()["queues"]} == {"main"}
    asked = {"mission": None, "hold": [], "count": 0}
    replies = [reader.post("/api/next", queue=queue, **asked).json() for queue in ("main", "audit")]
    assert replies[0] == replies[1]
