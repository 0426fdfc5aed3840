"""The lead's part of the page, through a real server: disputes, the final answer, and what stays hidden until it."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from support.review_site import MISSION, SECRETS, Browser, Site, serve_site

from yanshou.review.export import export
from yanshou.review.store.answers import NewAnswer
from yanshou.review.store.refusals import RefusalError
from yanshou.review.store.snapshot import read_snapshot


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serve_site(tmp_path, second_share=1) as opened:
        yield opened


@pytest.fixture
def lead(site: Site) -> Browser:
    return site.browser("/lead")


def disagree(site: Site, groups: int = 8) -> list[int]:
    """Two readers who say different things about the groups. Returns those that wait for a third reader."""
    ids: set[int] = set()
    for reader, label in (("李", "pass"), ("王", "fail")):
        browser = site.reader(reader)
        for _ in range(groups):
            (group,) = browser.next(1)
            assert browser.answer(group["id"], str(uuid4()), label).status == 200
            ids.add(group["id"])
    return sorted(ids)


def decide(lead: Browser, group: int, label: str = "fail", uid: str = "") -> Browser:
    return lead.post("/api/lead/answer", uid=uid or str(uuid4()), group=group, label=label, reason="露铜", seconds=3.5)


def test_only_the_leads_cookie_opens_the_leads_routes(site: Site) -> None:
    for browser in (Browser(site.port), site.reader("李")):
        for path in ("/api/lead/progress", "/api/lead/group?id=1"):
            assert browser.get(path).status == 401
        assert browser.post("/api/lead/name", name="陈").status == 401
        assert decide(browser, 1).status == 401
    reader = site.reader("李")
    forged = Browser(site.port, reader.cookie.replace("yanshou_reader", "yanshou_lead"))
    assert forged.get("/api/lead/progress").status == 401
    assert decide(forged, 1).status == 401


def test_a_dispute_shows_nothing_of_the_machine_until_the_lead_has_answered(site: Site, lead: Browser) -> None:
    ids = disagree(site)
    progress = lead.get("/api/lead/progress").json()
    assert sorted(each["id"] for each in progress["disputes"]["groups"]) == ids
    for group in ids:
        found = lead.get(f"/api/lead/group?id={group}").json()
        assert (found["mission"], found["own"], found["machine"], len(found["photos"])) == (MISSION, None, None, 2)
        assert [(each["reader"], each["label"]) for each in found["answers"]] in (
            [("李", "pass"), ("王", "fail")], [("王", "fail"), ("李", "pass")],
        )  # fmt: skip
        assert found["reasons"]["fail"]
        assert lead.get(f"/photo/{found['photos'][0]['id']}?size=view").headers["content-type"] == "image/jpeg"
    seen = b"".join(part for part in lead.seen if not part.startswith(b"\xff\xd8")).decode()
    assert [secret for secret in SECRETS if secret in seen.replace("sampled", "")] == []


def test_the_leads_answer_is_final_and_brings_the_machines_side(site: Site, lead: Browser, tmp_path: Path) -> None:
    group, *_ = disagree(site)
    reply = decide(lead, group, uid="0123456789abcdef").json()
    assert reply["machine"]["group_id"].startswith("QC-SECRET")
    assert decide(lead, group, uid="0123456789abcdef").json() == reply  # sent again
    found = lead.get(f"/api/lead/group?id={group}").json()
    assert (found["own"]["label"], found["own"]["reason"], found["own"]["reader"]) == ("fail", "露铜", "lead")
    assert found["machine"] == reply["machine"]
    assert group not in [each["id"] for each in lead.get("/api/lead/progress").json()["disputes"]["groups"]]
    (decided,) = lead.get("/api/lead/progress").json()["decided"]
    assert (decided["id"], decided["label"], decided["reason"], decided["reader"]) == (group, "fail", "露铜", "lead")
    decide(lead, group, "pass")  # the lead has seen the machine's side since
    written = export(read_snapshot(tmp_path / "review.sqlite"))
    assert [(line.role, line.label, line.blind) for line in written.lines if line.role == "lead"] == [
        ("lead", "fail", True), ("lead", "pass", False),
    ]  # fmt: skip
    assert written.labels == {"pass": 1}


def test_the_lead_answers_under_a_name(site: Site, lead: Browser) -> None:
    group, *_ = disagree(site)
    assert lead.get("/api/lead/progress").json()["lead"] == "lead"
    assert lead.post("/api/lead/name", name=" 陈 工 ").json() == {"lead": "陈 工"}
    decide(lead, group)
    assert lead.get(f"/api/lead/group?id={group}").json()["own"]["reader"] == "陈 工"
    assert lead.post("/api/lead/name", name="=1").json()["error"] == "bad_name"


def test_the_lead_does_not_answer_for_readers(site: Site, lead: Browser) -> None:
    (group,) = site.reader("李").next(1)
    assert decide(lead, group["id"]).json()["error"] == "answered"
    assert decide(lead, 12345).json()["error"] == "not_found"
    for wanted in ("12345", "", "x", "-1", "%EF%BC%91", "9" * 400):
        assert lead.get(f"/api/lead/group?id={wanted}").status == 404


def test_the_store_shows_the_lead_nothing_of_the_machine_before_the_answer(site: Site) -> None:
    group, *_ = disagree(site)
    session = site.store.sign_in("lead", site.store.key("lead"))
    with pytest.raises(RefusalError):
        site.store.lead_reveal(session, group)
    site.store.lead_answer(session, NewAnswer("0123456789abcdef", group, "fail"))
    assert site.store.lead_reveal(session, group).verdict in ("pass", "fail", None)


def test_browsers_that_use_one_name_are_counted(site: Site, lead: Browser) -> None:
    for name in ("李", "李", "王"):
        site.reader(name)
    readers = lead.get("/api/lead/progress").json()["readers"]
    assert {each["reader"]: each["browsers"] for each in readers} == {"李": 2, "王": 1}


def test_reader_who_looks_into_anothers_answers_leaves_a_trace(site: Site, lead: Browser) -> None:
    site.reader("王")
    curious = site.reader("李")
    for name in ("王", "李"):  # 王's history, and back
        curious.post("/api/name", name=name)
    found = lead.get("/api/lead/progress").json()
    assert {each["reader"]: each["browsers"] for each in found["readers"]} == {"李": 1, "王": 2}
    assert found["shared"] == [["李", "王"]]
