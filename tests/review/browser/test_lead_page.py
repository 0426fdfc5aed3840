"""The lead's page in a real Chromium: figures, a dispute settled by keys and by touch, and what stays hidden."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from support.chromium import Browser, chromium
from support.review_site import MISSION, SECRET, Site, serve_site

from yanshou.review.export import export
from yanshou.review.store.snapshot import read_snapshot

pytestmark = pytest.mark.browser

ENTER, ESCAPE = "\ue007", "\ue00c"
SCRIPT = "<img src=x onerror=document.title='injected'>"


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Six groups that two people disagree about."""
    with serve_site(tmp_path, second_share=1, groups=6) as opened:
        read(opened, "李", "pass")
        read(opened, "王", "fail", SCRIPT)
        yield opened


def read(site: Site, name: str, label: str, reason: str = "") -> None:
    """One person who gives one answer to all groups."""
    browser = site.reader(name)
    while groups := browser.next(1):
        values = {"uid": str(uuid4()), "group": groups[0]["id"], "label": label, "reason": reason, "seconds": 2}
        assert browser.post("/api/answer", **values).status == 200


def open_page(chrome: Browser, site: Site, width: int = 1440, height: int = 900) -> None:
    chrome.size(width, height)
    chrome.console()
    chrome.chrome.get(f"http://127.0.0.1:{site.port}/lead?key={site.store.key('lead')}")
    chrome.until(lambda: chrome.count("#missions td"), "the overview")


def open_dispute(chrome: Browser) -> None:
    chrome.click("#disputes .dispute button")
    chrome.until(lambda: chrome.run("return [...document.images].every((i) => i.complete)"), "the photos")
    chrome.until(lambda: chrome.element("#dispute").is_displayed(), "the group")


def outcome(tmp_path: Path) -> list[tuple[str | None, str | None, bool]]:
    """The lead's answers."""
    lines = export(read_snapshot(tmp_path / "review.sqlite")).lines
    return [(line.label, line.reason, line.blind) for line in lines if line.role == "lead"]


def is_hidden(chrome: Browser) -> bool:
    """Whether nothing of the machine's side is in the page."""
    return SECRET not in chrome.run("return document.documentElement.outerHTML")


def test_a_dispute_is_settled_by_two_keys(chrome: Browser, site: Site, tmp_path: Path) -> None:
    open_page(chrome, site)
    assert chrome.texts("#missions tbody tr > *") == [MISSION, "6", "0", "0", "6", "0", "0"]
    assert "样本共 2 组，0 组已有最终结论" in chrome.text("#audit")
    assert chrome.count("#disputes .dispute") == 6
    open_dispute(chrome)
    assert sorted(chrome.texts("#said li")) == sorted([f"王不通过 {SCRIPT}", "李通过"])
    assert chrome.texts("#said bdi") == [SCRIPT]  # a direction in it ends with it
    assert is_hidden(chrome)
    chrome.press("f")
    assert (chrome.text("#chosen-label"), outcome(tmp_path)) == ("不通过", [])  # one key decides nothing
    chrome.press("1", ENTER)
    chrome.until(lambda: chrome.element("#own").is_displayed(), "the answer on the disk")
    assert outcome(tmp_path) == [("fail", "机柜处接地螺丝不符合要求", True)]
    assert chrome.text("#own-label") == "最终结论：不通过：机柜处接地螺丝不符合要求"
    assert f"QC-{SECRET}" in chrome.text("#own-machine")
    chrome.press("n")
    chrome.until(lambda: not chrome.element("#own").is_displayed(), "the next group")
    assert is_hidden(chrome)
    chrome.press("u", ESCAPE, ESCAPE)
    chrome.until(lambda: chrome.count("#disputes .dispute") == 5, "the overview")
    assert chrome.texts("#missions tbody tr > *") == [MISSION, "6", "0", "0", "5", "0", "1"]
    assert len(outcome(tmp_path)) == 1
    chrome.click("#decided summary")
    chrome.click("#decided button")
    chrome.until(lambda: chrome.element("#own").is_displayed(), "the group that is decided")
    chrome.press("j", ENTER)
    chrome.until(lambda: chrome.text("#own-label") == "最终结论：通过", "the other answer")
    assert [(label, blind) for label, _, blind in outcome(tmp_path)] == [("fail", True), ("pass", False)]
    assert chrome.console() == []


def test_texts_of_readers_are_no_markup(chrome: Browser, site: Site) -> None:
    open_page(chrome, site)
    open_dispute(chrome)
    assert chrome.chrome.title == "复核进度"
    assert chrome.count("#said img") == 0


def test_an_answer_given_offline_is_saved_once(chrome: Browser, site: Site, tmp_path: Path) -> None:
    open_page(chrome, site)
    open_dispute(chrome)
    with ExitStack() as stack:
        network(chrome, offline=True)
        stack.callback(network, chrome, offline=False)
        chrome.press("j", ENTER)
        chrome.until(lambda: "结论还没有保存" in chrome.text("#alert"), "the warning")
        chrome.press(ENTER, "f", ENTER, ESCAPE)  # while it is being saved nothing else is
    chrome.until(lambda: chrome.element("#own").is_displayed(), "the answer on the disk")
    assert outcome(tmp_path) == [("pass", None, True)]
    assert chrome.text("#alert") == ""


def test_a_phone_shows_and_settles_a_dispute(chrome: Browser, site: Site, tmp_path: Path) -> None:
    open_page(chrome, site, 390, 844)
    assert chrome.run("return document.documentElement.scrollWidth") == 390
    open_dispute(chrome)
    assert chrome.run("return document.documentElement.scrollWidth") == 390
    chrome.click(".answer.unsure")
    chrome.click("#save")
    chrome.until(lambda: chrome.element("#own").is_displayed(), "the answer on the disk")
    assert [label for label, _, _ in outcome(tmp_path)] == ["unsure"]
    buttons = chrome.run("return [...document.querySelectorAll('#bar button')].map((b) => b.offsetHeight)")
    assert all(height == 0 or height >= 44 for height in buttons)


def test_photos_open_in_full_size_and_turn(chrome: Browser, site: Site) -> None:
    open_page(chrome, site)
    open_dispute(chrome)
    chrome.click("#dispute-photos .frame")
    chrome.press("\ue014", "t")  # right
    assert chrome.text("#large-title") == "图片_2，共 2 张"
    assert chrome.run("return document.querySelector('#large-frame').className") == "turn-1"
    chrome.press(ESCAPE)
    assert chrome.element("#dispute").is_displayed()


def test_the_page_refreshes_itself_and_says_when_it_cannot(chrome: Browser, site: Site) -> None:
    open_page(chrome, site)
    read(site, "陈", "pass")  # settles all of them
    refresh(chrome)
    chrome.until(lambda: chrome.count("#disputes .dispute") == 0, "the new figures")
    assert chrome.texts("#readers tbody th") == ["李", "王", "陈"]
    assert "不合格" in chrome.text("#audit")
    site.reader("陈")
    refresh(chrome)
    chrome.until(lambda: chrome.count(".warned") == 1, "a name in two browsers")
    network(chrome, offline=True)
    try:
        refresh(chrome)
        chrome.until(lambda: "没有取到新的数据" in chrome.text("#alert"), "the warning")
    finally:
        network(chrome, offline=False)
    site.store.new_keys()
    refresh(chrome)
    chrome.until(lambda: chrome.element("#signed-out").is_displayed(), "the sentence about the link")


def test_the_lead_gives_a_name(chrome: Browser, site: Site) -> None:
    open_page(chrome, site)
    chrome.click("#rename")
    chrome.press(*"=1", ENTER)
    chrome.until(lambda: chrome.text("#name-fault") != "", "the refusal")
    chrome.run("document.querySelector('#name-field').value = '陈工'")
    chrome.press(ENTER)
    chrome.until(lambda: chrome.text("#lead-is") == "结论记在“陈工”名下", "the name")


def refresh(chrome: Browser) -> None:
    """What the page does every minute."""
    chrome.run("document.dispatchEvent(new Event('visibilitychange'))")


def network(chrome: Browser, *, offline: bool) -> None:
    conditions = {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    chrome.chrome.execute_cdp_cmd("Network.enable", {})
    chrome.chrome.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)
