"""Whose group it is: two browsers, two tabs, a long pause, a lost session."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chromium import Browser
from support.review_files import ReviewFiles
from support.review_page import ENTER, ESCAPE, ReviewPage, served_page

pytestmark = pytest.mark.browser
LATER = "const now = Date.now; Date.now = () => now() + arguments[0]"


@pytest.fixture
def page(browser: Browser, few_files: ReviewFiles, tmp_path: Path) -> Iterator[ReviewPage]:
    with served_page(browser, tmp_path / "review.sqlite", few_files, second_share=0.0) as opened:
        opened.sign_in("李")
        opened.begin()
        yield opened


def leases(page: ReviewPage) -> set[int]:
    return {row["group_ref"] for row in page.rows("SELECT group_ref FROM leases")}


def test_groups_are_given_back_when_the_page_is_left(page: ReviewPage) -> None:
    page.browser.until(lambda: len(leases(page)) == 2, "two groups at hand")
    page.browser.visit("about:blank")
    page.browser.until(lambda: not leases(page), "none")


def test_after_a_long_pause_the_group_is_back_in_the_queue_and_the_page_says_so(page: ReviewPage) -> None:
    page.browser.press("f", "/", "x", "y")
    page.browser.run(LATER, 301_000)
    page.until_screen("idle")
    assert page.browser.count("img[src^=blob]") == 0
    page.browser.until(lambda: not leases(page), "no group at hand")
    page.browser.press(ENTER)
    page.until_screen("work")
    page.browser.press("f")
    assert page.browser.run("return document.getElementById('reason-text').value") == "xy"
    page.answer()
    assert page.answers()[-1]["reason"] == "xy"


def test_what_was_typed_for_a_group_that_somebody_else_got_is_given_back(
    page: ReviewPage, second_browser: Browser
) -> None:
    page.browser.press("f", "/", "x", "y")
    group = page.group()
    page.browser.run(LATER, 301_000)
    page.until_screen("idle")
    page.browser.until(lambda: not leases(page), "no group at hand")
    other = ReviewPage(second_browser, page.url, page.key, page.store)
    other.sign_in("王")
    other.begin()
    other.answer_until_held(group, None)
    page.browser.press(ENTER)
    page.until_screen("work")
    page.browser.until(lambda: page.browser.count(".notice") == 2, "both notices")
    assert page.browser.run("return document.querySelector('.given-back textarea').value") == "xy"
    assert page.texts["idle_lost"] in " ".join(page.browser.texts(".notice"))
    assert page.group() != group
    second_browser.visit("about:blank")


def test_a_lease_is_renewed_while_the_page_is_used(page: ReviewPage) -> None:
    expires = "SELECT max(expires) AS at FROM leases"
    before = page.rows(expires)[0]["at"]
    page.browser.run(LATER, 61_000)
    page.browser.press("t")
    page.browser.until(lambda: page.rows(expires)[0]["at"] > before, "a later end")
    assert page.screen() == "work"


def test_one_tab_at_a_time(page: ReviewPage) -> None:
    chrome = page.browser.chrome
    first = chrome.current_window_handle
    chrome.switch_to.new_window("tab")
    chrome.get(page.url)
    page.until_screen("choice")
    chrome.switch_to.window(first)
    page.until_screen("elsewhere")
    page.browser.click("#elsewhere .retry")
    page.until_screen("work")
    page.answer("j")
    assert len(page.answers()) == 1
    chrome.switch_to.window(chrome.window_handles[-1])
    page.until_screen("elsewhere")
    chrome.close()
    chrome.switch_to.window(first)


def test_a_lost_session_keeps_the_answer_until_the_link_is_opened_again(page: ReviewPage) -> None:
    page.browser.chrome.delete_all_cookies()
    page.browser.press("f", "/", "k", "l", ENTER)
    page.until_screen("signed-out")
    assert page.texts["signed_out_text"] in page.browser.text("#signed-out")
    assert page.answers() == []
    page.browser.chrome.get(f"{page.url}/start?key={page.key}")
    page.until_screen("name")
    assert page.browser.run("return document.getElementById('name-field').value") == "李"
    page.browser.press(ENTER)
    page.until_screen("work")
    saved = [row["reason"] for row in page.answers()]
    given_back = page.browser.run("return [...document.querySelectorAll('.given-back textarea')].map((e) => e.value)")
    assert [*saved, *given_back] == ["kl"]


def test_another_person_of_the_same_browser_takes_over(page: ReviewPage) -> None:
    page.answer("j")
    page.browser.press("f")
    page.browser.run("const field = document.getElementById('reason-text'); field.value = '李 says'")
    page.browser.run("document.getElementById('reason-text').dispatchEvent(new Event('input'))")
    page.browser.press(ESCAPE)
    page.browser.click("#other-queue")
    page.until_screen("choice")
    page.browser.click("#other-reader")
    page.until_screen("name")
    page.browser.run("document.getElementById('name-field').value = '李,王'")
    page.browser.press(ENTER)
    page.until_said("#name-fault", "姓名请以汉字、字母或数字开头")
    page.browser.run("document.getElementById('name-field').value = '王'")
    page.browser.press(ENTER)
    page.until_screen("choice")
    assert page.browser.text("#reader-is") == "复核人：王"
    page.begin()
    assert page.browser.texts("#last-text") == [""]
    assert page.browser.count(".given-back textarea") == 0  # what 李 typed is not for 王
    page.answer("j")
    assert [row["reader"] for row in page.answers()] == ["李", "王"]
