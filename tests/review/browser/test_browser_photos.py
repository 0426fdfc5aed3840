"""Photos: upright, reachable, enlarged, turned; missing ones say so; none stays in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chromium import Browser
from support.review_files import write_review_files
from support.review_page import ESCAPE, LEFT, RIGHT, SPACE, ReviewPage, served_page

pytestmark = pytest.mark.browser
COUNTED = """
const made = URL.createObjectURL, revoked = URL.revokeObjectURL;
window.open_urls = new Set();
URL.createObjectURL = (blob) => { const url = made(blob); open_urls.add(url); return url; };
URL.revokeObjectURL = (url) => { open_urls.delete(url); revoked(url); };
"""
BOX = (
    "const b = document.querySelector(arguments[0]).getBoundingClientRect(); return [b.width, b.height, b.left, b.top]"
)
SIZE = "const i = document.querySelector('.chosen img'); return [i.naturalWidth, i.naturalHeight]"
TRANSFORM = "return document.getElementById('zoomed-photo').style.transform"


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[ReviewPage]:
    files = write_review_files(tmp_path, 6, photos=11)
    files.photos(0)[1].unlink()
    with served_page(browser, tmp_path / "review.sqlite", files) as opened:
        opened.sign_in("李")
        browser.run(COUNTED)
        opened.begin()
        yield opened


def chosen(page: ReviewPage) -> str:
    return page.browser.text("#numbers [aria-current]")


def test_eleven_photos_are_reached_enlarged_and_turned_by_keys(page: ReviewPage) -> None:
    browser = page.browser
    browser.press("9", RIGHT, RIGHT, RIGHT)
    assert chosen(page) == "11"
    frame, strip = browser.run(BOX, ".chosen .frame"), browser.run(BOX, "#strip")
    assert frame[2] + frame[0] <= strip[2] + strip[0] + 1, "the chosen photo is in view"
    browser.press("4", LEFT)
    assert chosen(page) == "3"
    wide, high = browser.run(SIZE)
    before = browser.run(BOX, ".chosen img")
    assert before[0] / before[1] == pytest.approx(wide / high, rel=0.01)
    browser.press("t")
    turned = browser.run(BOX, ".chosen img")
    assert turned[0] / turned[1] == pytest.approx(high / wide, rel=0.01)
    browser.press(SPACE)
    enlarged = browser.run(BOX, "#zoomed-photo")
    assert enlarged[0] / enlarged[1] == pytest.approx(high / wide, rel=0.01)
    assert enlarged[1] > 2 * turned[1]
    browser.until(lambda: "view" not in browser.run("return document.getElementById('zoomed-photo').src"), "the photo")
    browser.press("+")
    place = browser.run(TRANSFORM)
    browser.press(RIGHT)
    assert browser.run(TRANSFORM) != place
    assert chosen(page) == "3", "arrows move the enlarged picture"
    browser.press("5")
    assert browser.text("#zoomed-text b") == "图片_5"
    browser.press(ESCAPE)
    assert browser.count("#zoomed[hidden]") == 1


def test_a_click_enlarges_about_the_point_and_the_wheel_goes_on(page: ReviewPage) -> None:
    from selenium.webdriver import ActionChains

    browser = page.browser
    box = browser.run(BOX, ".chosen .frame")
    browser.point(".chosen .frame", box[0] / 2, box[1] / 2)
    ActionChains(browser.chrome, duration=0).click().perform()
    assert browser.count("#zoomed[hidden]") == 0
    before = browser.run(BOX, "#zoomed-photo")[0]
    wheel = "new WheelEvent('wheel', {deltaY: -200, clientX: 500, clientY: 400})"
    browser.run(f"document.getElementById('lens').dispatchEvent({wheel})")
    assert browser.run(BOX, "#zoomed-photo")[0] > 1.4 * before
    browser.click("#zoom")
    assert browser.count("#zoomed[hidden]") == 1


def test_a_missing_photo_says_so_and_the_group_is_answered(page: ReviewPage) -> None:
    gone = page.texts["photo_gone"]
    for _ in range(6):
        page.until_photos()
        if gone in page.browser.texts(".frame"):
            break
        page.answer("j")
    assert page.browser.texts(".frame").count(gone) == 1
    assert page.browser.text("#missing") == "本组有 1 张照片无法读取，建议选“不确定”。"
    before = len(page.answers())
    page.browser.press("2", SPACE)
    assert page.browser.count("#zoomed[hidden]") == 1
    page.answer("u")
    assert page.answers()[before]["label"] == "unsure"


def test_photos_of_answered_groups_leave_the_memory(page: ReviewPage) -> None:
    for _ in range(4):
        page.until_photos()
        page.answer("j")
    page.until_photos()
    page.browser.until(lambda: page.browser.run("return open_urls.size") in (21, 22), "photos of two groups at most")
