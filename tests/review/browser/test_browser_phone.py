"""On a phone of 390 pixels, in English, by fingers alone: swipe, double-tap, pinch, answer, undo."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chromium import Browser
from support.review_files import ReviewFiles
from support.review_page import PHONE, ReviewPage, served_page

pytestmark = pytest.mark.browser
SIDEWAYS = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
SMALL = """
return [...document.querySelectorAll("button, input, textarea")].filter((e) => e.checkVisibility())
  .filter((e) => e.getBoundingClientRect().height < 44 || parseFloat(getComputedStyle(e).fontSize) < 16)
  .map((e) => e.id || e.textContent);
"""
CUT = """
return [...document.querySelectorAll("button, #rule-text, #where, #progress, .chosen li")]
  .filter((e) => e.checkVisibility() && !e.closest("#numbers, #reasons"))
  .filter((e) => {
    const box = e.getBoundingClientRect();
    return box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight;
  }).map((e) => e.id || e.textContent);
"""
KEYS = "return [...document.querySelectorAll('main kbd')].filter((key) => key.checkVisibility()).length"
SCALE = "return Number(document.getElementById('zoomed-photo').style.transform.match(/scale\\(([\\d.]+)/)[1])"
SETTLE_S = 0.35


@pytest.fixture
def page(browser: Browser, files: ReviewFiles, tmp_path: Path) -> Iterator[ReviewPage]:
    with served_page(browser, tmp_path / "review.sqlite", files, lang="en", second_share=0.0) as opened:
        yield opened
        browser.size(1440, 900)


def chosen(page: ReviewPage) -> str:
    return page.browser.text("#numbers [aria-current]")


def settled(page: ReviewPage) -> None:
    """Until a tap is no longer taken for one that was meant for what was there before."""
    page.browser.run("return new Promise((go) => setTimeout(go, 1000 * arguments[0]))", SETTLE_S)


def answer(page: ReviewPage, label: str, *reasons: int) -> None:
    before = page.shown()
    settled(page)
    page.browser.tap(f".answer.{label}")
    assert page.browser.run(CUT) == []
    assert page.browser.run(KEYS) == 0, "a phone has no keys"
    for reason in reasons:
        page.browser.tap(f".reason:nth-child({reason})")
    settled(page)
    page.browser.tap("#save")
    page.browser.until(lambda: page.shown() > before, "the next group")
    page.until_photos()


def test_groups_are_answered_by_fingers_alone(page: ReviewPage) -> None:
    browser = page.browser
    page.sign_in("Li", **PHONE)
    assert browser.run(SMALL) == []
    browser.tap(".queue")
    page.until_screen("work")
    page.until_photos()
    _photos(page)
    for number in range(6):
        answer(page, ("fail", "pass", "unsure")[number % 3], *((1, 3) if number % 3 == 0 else ()))
    rows = page.answers()
    assert [row["label"] for row in rows] == ["fail", "pass", "unsure"] * 2
    assert "; " in rows[0]["reason"]
    before = page.shown()
    settled(page)
    browser.tap("#undo")
    browser.until(lambda: page.shown() > before, "the group again")
    assert browser.text("#before") == "Your answer before: unsure"
    answer(page, "pass")
    assert [row["label"] for row in page.answers()][-2:] == [None, "pass"]
    assert browser.console() == []


def _photos(page: ReviewPage) -> None:
    browser = page.browser
    assert browser.run(SIDEWAYS) == 0
    assert browser.run(SMALL) == []
    assert browser.run(CUT) == []
    assert browser.run("return document.querySelector('.frame').getBoundingClientRect().height") > 300
    browser.drag(((320, 300), (60, 300)))
    browser.until(lambda: chosen(page) == "2", "the second photo")
    browser.tap("#numbers button:nth-child(3)")
    assert chosen(page) == "3"
    browser.tap(".chosen .frame")
    assert browser.count("#zoomed[hidden]") == 1, "one tap only chooses"
    settled(page)
    browser.tap(".chosen .frame", times=2)
    assert browser.count("#zoomed[hidden]") == 0
    before = browser.run(SCALE)
    browser.drag(((180, 300), (120, 250)), ((210, 330), (270, 380)))
    assert browser.run(SCALE) > 1.5 * before
    assert browser.run("return visualViewport.scale") == 1
    settled(page)
    browser.tap("#lens", times=2)
    assert browser.count("#zoomed[hidden]") == 1
    browser.drag(((180, 300), (120, 250)), ((210, 330), (270, 380)))
    assert browser.count("#zoomed[hidden]") == 0, "two fingers open the zoom"
    browser.tap("#zoom")


def test_dialogs_fit_the_phone(page: ReviewPage) -> None:
    page.sign_in("Li", **PHONE)
    page.browser.tap(".queue")
    page.until_screen("work")
    answer(page, "fail", 1)
    for opener, dialog in (("#open-help", "#help"), ("#open-history", "#history"), ("#reveal", "#machine")):
        page.browser.tap(opener)
        page.browser.until(lambda dialog=dialog: page.browser.count(f"{dialog}[open]"), dialog)
        assert page.browser.run(SMALL) == []
        assert page.browser.run(SIDEWAYS) == 0
        page.browser.tap(f"{dialog} .close")
