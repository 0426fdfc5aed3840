"""The reader's routes, over real sockets: signing in, reading, answering, and what every error looks like."""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.review_site import MISSION, SECRET, Browser, Site, serve_site

from yanshou.review.web.causes import CAUSES

UID = "0b0e7f6a-0000-4000-8000-00000000000"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serve_site(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """For tests that leave nothing behind."""
    with serve_site(tmp_path_factory.mktemp("site")) as running:
        yield running


# ---- signing in ----


def test_the_link_becomes_a_cookie(shared: Site) -> None:
    reply = Browser(shared.port).get(f"/start?key={shared.store.key('reader')}")
    assert (reply.status, reply.headers["location"], reply.body) == (303, "/", b"")
    cookie, *attributes = reply.headers["set-cookie"].split("; ")
    assert cookie.startswith(f"yanshou_reader_{shared.store.id}=")
    assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=strict"]
    assert len(cookie.partition("=")[2]) >= 43  # 256 bits
    assert Browser(shared.port, cookie).get("/").status == 200


def test_opening_the_link_again_keeps_the_session(shared: Site) -> None:
    reader = shared.reader("李")
    reply = reader.get(f"/start?key={shared.store.key('reader')}")
    assert reply.status == 303
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("key", ["", "x", "é", "\udcff", "A" * 43])
def test_another_key_opens_nothing(shared: Site, key: str) -> None:
    for path in ("/start", "/lead"):
        reply = Browser(shared.port).get(f"{path}?key={key.encode(errors='surrogateescape').hex()}")
        assert reply.status == 401
        assert "set-cookie" not in reply.headers
        assert "refresh" not in reply.headers


def test_each_key_opens_its_own_page_alone(shared: Site) -> None:
    assert shared.browser("/start", shared.store.key("lead")).cookie == ""
    assert shared.browser("/lead", shared.store.key("reader")).cookie == ""
    reader, lead = shared.browser(), shared.browser("/lead")
    assert Browser(shared.port, reader.cookie.replace("_reader_", "_lead_")).get("/lead").status == 401
    assert Browser(shared.port, lead.cookie.replace("_lead_", "_reader_")).get("/").status == 401


def test_the_lead_has_a_page_and_a_cookie_of_their_own(shared: Site) -> None:
    lead, reader = shared.browser("/lead"), shared.browser()
    assert lead.cookie.startswith(f"yanshou_lead_{shared.store.id}=")
    assert (lead.get("/lead").status, lead.get("/api/lead/progress").status) == (200, 200)
    assert (lead.get("/").status, lead.get("/api/queues").status) == (401, 401)
    assert (reader.get("/lead").status, reader.get("/api/lead/progress").status) == (401, 401)


def test_a_forged_cookie_is_no_session(shared: Site) -> None:
    name, _, value = shared.browser().cookie.partition("=")
    for forged in ("", "x", value[:-1], value + "x", value.swapcase(), "' OR 1=1 --", "%00", value[1:]):
        browser = Browser(shared.port, f"{name}={forged}")
        assert browser.get("/api/queues").json()["error"] == "sign_in"
        assert browser.post("/api/next", queue="main", mission=None, hold=[], count=1).json()["error"] == "sign_in"
        assert browser.get("/photo/1").json()["error"] == "sign_in"


def test_a_page_that_was_followed_from_a_chat_comes_again_from_here(shared: Site) -> None:
    stranger = Browser(shared.port)
    first, again = stranger.get("/"), stranger.get("/?again")
    assert (first.status, first.headers["refresh"]) == (401, "0; url=/?again")
    assert again.status == 401
    assert "refresh" not in again.headers
    assert "起始链接" in again.body.decode() or "链接" in again.body.decode()
    assert "<script" not in again.body.decode()


# ---- reading ----


def test_a_reader_gives_a_name_first(site: Site) -> None:
    browser = site.browser()
    assert browser.get("/api/queues").json()["reader"] is None
    assert browser.post("/api/next", queue="main", mission=None, hold=[], count=1).json()["error"] == "no_name"
    assert browser.post("/api/name", name="=SUM(A1)").json() == {"error": "bad_name", "message": CAUSES["bad_name"].zh}
    assert browser.post("/api/name", name=" 李  明 ").json() == {"reader": "李 明"}
    assert browser.get("/api/queues").json()["queues"] == [{"queue": "main", "mission": MISSION, "left": 8}]


def test_two_browsers_never_get_the_same_group(site: Site) -> None:
    readers = [site.reader(name) for name in "李王张"]
    with ThreadPoolExecutor(3) as pool:
        given = list(pool.map(lambda reader: reader.next(2), readers))
    ids = [group["id"] for groups in given for group in groups]
    assert len(set(ids)) == 6


def test_an_answer_that_comes_twice_is_one_answer(site: Site) -> None:
    reader = site.reader("李")
    group = reader.next(1)[0]["id"]
    assert reader.answer(group, UID + "1").json() == reader.answer(group, UID + "1").json()
    assert reader.answer(group, UID + "1", "fail").json()["error"] == "uid_used"
    assert reader.answer(group, UID + "2").json()["error"] == "answered"
    history = reader.get("/api/history").json()["answers"]
    assert reader.get("/api/queues").json()["today"] == 1
    assert [(row["uid"], row["label"], row["group_id"]) for row in history] == [(UID + "1", "pass", "")]


def test_an_undo_gives_the_group_back(site: Site) -> None:
    reader = site.reader("李")
    group = reader.next(1)[0]
    reader.answer(group["id"], UID + "1")
    assert reader.post("/api/undo", uid=UID + "2", answer=UID + "1").json() == {"group": group}
    assert reader.get("/api/history").json() == {"answers": []}


def test_the_machines_side_comes_after_the_answer_alone(site: Site) -> None:
    reader = site.reader("李")
    group = reader.next(1)[0]["id"]
    assert reader.post("/api/reveal", group=group).json()["error"] == "not_found"
    reader.answer(group, UID + "1")
    side = reader.post("/api/reveal", group=group).json()
    assert side["group_id"].startswith(f"QC-{SECRET}")
    assert reader.get("/api/history").json()["answers"][0]["group_id"] == side["group_id"]
    assert site.reader("王").post("/api/reveal", group=group).json()["error"] == "not_found"


def test_leases_are_renewed_and_given_back(site: Site) -> None:
    reader, other = site.reader("李"), site.reader("王")
    ids = [group["id"] for group in reader.next(8)]
    assert other.next(1) == []
    assert reader.post("/api/renew", groups=[*ids, 1]).json() == {"held": ids}
    assert other.post("/api/release", groups=ids).json() == {}
    assert other.next(1) == []
    assert reader.post("/api/release", groups=ids[:1]).json() == {}
    assert [group["id"] for group in other.next(1)] == ids[:1]


# ---- what is refused ----


@pytest.mark.parametrize(
    "body",
    [
        "", "null", "[]", "{}", "{", '{"groups": 1}', '{"groups": ["1"]}', '{"groups": [1.5]}', '{"groups": [-1]}',
        '{"groups": [9007199254740992]}', '{"groups": [true]}', '{"groups": [NaN]}', '{"groups": [], "more": 1}',
        '{"groups": [' + "[" * 10_000, '{"groups": ' + str(list(range(101))) + "}", '{"groups": [1e999]}', "\ufeff{}",
        '{"groups": [' + "1" * 5000 + "]}",
    ],
)  # fmt: skip
def test_a_body_with_other_keys_or_types_is_refused(shared: Site, body: str) -> None:
    headers = {"Content-Type": "application/json", "Origin": f"http://127.0.0.1:{shared.port}"}
    reply = shared.reader("李").send("POST", "/api/renew", body.encode(), headers)
    assert (reply.status, reply.json()) == (400, {"error": "bad_request", "message": CAUSES["bad_request"].zh})
    assert shared.told == []


def test_an_answer_of_another_shape_is_refused(site: Site) -> None:
    reader = site.reader("李")
    group = reader.next(1)[0]["id"]
    right = {"uid": UID + "1", "group": group, "label": "pass", "reason": "", "seconds": 1}
    wrong: list[dict[str, Any]] = [
        {"uid": "short"}, {"uid": "x" * 65}, {"uid": "not a uid at all"}, {"label": "maybe"}, {"label": None},
        {"reason": "x" * 501}, {"reason": 1}, {"seconds": -1}, {"seconds": "1"}, {"group": "1"}, {"blind": True},
        {"reader": "王"},
    ]  # fmt: skip
    for change in wrong:
        assert reader.post("/api/answer", **{**right, **change}).json()["error"] == "bad_request", change
    assert reader.post("/api/answer", **right).status == 200


def test_lone_surrogates_are_no_fault(site: Site) -> None:
    reader = site.reader("李")
    group = reader.next(1)[0]["id"]
    assert reader.post("/api/answer", uid=UID + "1", group=group, label="pass", reason="\ud800").status in (200, 400)
    assert site.told == []


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static/%00", "/static/", "/static//x",
        "/static/review.html.jinja", "/photo/../../etc/passwd", "/photo/%2fetc%2fpasswd", "/photo/-1", "/photo/1e3",
        "/photo/0x1", "/photo/" + "9" * 5000, "/photo/%D9%A1", "/photo/1/", "/api/queues/", "/api", "//",
        "/.git/config", "/review.sqlite",
    ],
)  # fmt: skip
def test_a_path_leads_to_nothing_but_a_route(shared: Site, path: str) -> None:
    reply = shared.reader("李").get(path)
    assert (reply.status, reply.json()["error"]) == (404, "not_found")
    assert shared.told == []


def test_scripts_and_styles_are_there(shared: Site) -> None:
    script, style = Browser(shared.port).get("/static/review.js"), Browser(shared.port).get("/static/review.css")
    assert (script.status, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert (style.status, style.headers["content-type"]) == (200, "text/css; charset=utf-8")


def test_a_script_in_a_summary_stays_text(tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script>，BBU设备/<img src=x onerror=alert(1)>×1，\u202e\u2028"
    with serve_site(tmp_path, summary=hostile) as site:
        group = site.reader("李").next(1)[0]
    entries = group["photos"][0]["entries"]
    assert "，".join("".join(text for text, _ in entry) for entry in entries) == hostile


# ---- faults ----


def test_a_store_that_another_program_holds_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yanshou.review.store.database.WAIT_S", 0.1)
    with serve_site(tmp_path) as site:
        _answer_while_held(site, tmp_path)


def _answer_while_held(site: Site, tmp_path: Path) -> None:
    reader = site.reader("李")
    group = reader.next(1)[0]["id"]
    other = sqlite3.connect(tmp_path / "review.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    reply = reader.answer(group, UID + "1")
    other.execute("ROLLBACK")
    other.close()
    assert (reply.status, reply.json()) == (503, {"error": "busy", "message": CAUSES["busy"].zh})
    assert len(site.told) == 1
    assert "another program is writing the store" in site.told[0]
    assert reader.answer(group, UID + "1").status == 200  # the page sends it again


def test_a_fault_of_ours_is_one_line_and_no_traceback(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("secret\nsecond line")

    reader = site.reader("李")
    monkeypatch.setattr(site.store, "history", broken)
    reply = reader.get("/api/history")
    assert (reply.status, reply.json()) == (500, {"error": "failed", "message": CAUSES["failed"].zh})
    assert "content-security-policy" in reply.headers
    (line,) = site.told
    assert "ZeroDivisionError: secret\\nsecond line at " in line
    assert reader.get("/api/queues").status == 200


def test_every_cause_is_a_sentence_in_both_languages() -> None:
    for code, cause in CAUSES.items():
        assert cause.zh.endswith("。"), code
        assert cause.en.endswith("."), code
        assert json.dumps(cause.en).isascii(), code
