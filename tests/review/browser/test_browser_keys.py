"""Two keys answer a group, and one slip answers nothing: held keys, a double Enter, an input method, Escape."""

from collections.abc import Iterator

import pytest
from support.chromium import Browser
from support.review_files import ReviewFiles
from support.review_page import ENTER, ESCAPE, ReviewPage, served_page

pytestmark = pytest.mark.browser
KEY = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {bubbles: true, ...arguments[0]}))"


@pytest.fixture(scope="module")
def page(browser: Browser, files: ReviewFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewPage]:
    with served_page(browser, tmp_path_factory.mktemp("keys") / "review.sqlite", files) as opened:
        opened.sign_in("李")
        opened.begin()
        yield opened


def test_one_key_saves_nothing_and_escape_takes_it_back(page: ReviewPage) -> None:
    before = len(page.answers())
    page.browser.press(ENTER, "f")
    assert page.panel_open()
    assert page.browser.text("#panel-label") == "不通过"
    page.browser.press("j")
    assert page.browser.text("#panel-label") == "通过"
    page.browser.press(ESCAPE, ENTER)
    assert not page.panel_open()
    assert len(page.answers()) == before


def test_a_held_key_and_a_double_enter_decide_one_group(page: ReviewPage) -> None:
    before = len(page.answers())
    page.browser.run(KEY, {"key": "j", "repeat": True})
    assert not page.panel_open()
    page.browser.press("j")
    page.browser.run(KEY, {"key": "Enter", "repeat": True})
    assert page.panel_open()
    page.answer(ENTER, ENTER)
    page.browser.press(ENTER, ENTER)
    assert len(page.answers()) == before + 1
    assert not page.panel_open()


def test_keys_are_text_in_the_field_and_an_input_method_keeps_its_enter(page: ReviewPage) -> None:
    before = len(page.answers())
    page.browser.press("f", "2", "/")
    page.browser.press("j", "z", "1")
    page.browser.run(KEY, {"key": "Enter", "isComposing": True})
    page.browser.run(KEY, {"key": "Enter", "keyCode": 229})
    assert page.panel_open()
    assert len(page.answers()) == before
    second = page.browser.text(".reason:nth-child(2)").removeprefix("2").strip()
    page.browser.run("const f = document.getElementById('reason-text'); f.value += '，接地线松'")
    page.answer()
    row = page.answers()[-1]
    assert (row["label"], row["reason"]) == ("fail", f"{second}；jz1，接地线松")


def test_what_was_typed_is_there_again_after_escape_and_after_a_reload(page: ReviewPage) -> None:
    page.browser.press("f", "1", "/", "a", "b", ESCAPE, "f")
    assert page.browser.run("return document.getElementById('reason-text').value") == "ab"
    page.browser.chrome.refresh()
    page.until_screen("work")
    page.until_photos()
    page.browser.press("f")
    assert page.browser.run("return document.getElementById('reason-text').value") == "ab"
    assert page.browser.run("return document.querySelector('.reason').getAttribute('aria-pressed')") == "true"
    page.answer()


def test_a_reason_that_is_too_long_is_said_and_stays(page: ReviewPage) -> None:
    before = len(page.answers())
    page.browser.press("u")
    page.browser.run("document.getElementById('reason-text').value = '长'.repeat(501)")
    page.browser.press(ENTER)
    assert page.browser.text("#status") == "理由最多 500 个字，请缩短后再保存。"
    assert page.panel_open()
    page.browser.run("document.getElementById('reason-text').value = '长'.repeat(500)")
    page.answer()
    assert len(page.answers()) == before + 1
    assert page.answers()[-1]["reason"] == "长" * 500


def test_mouse_clicks_answer_too_and_a_double_click_does_not(page: ReviewPage) -> None:
    from selenium.webdriver import ActionChains

    before = len(page.answers())
    page.browser.run("return new Promise((go) => setTimeout(go, 350))")
    ActionChains(page.browser.chrome, duration=0).double_click(page.browser.element(".answer.pass")).perform()
    assert page.panel_open()
    page.browser.click("#withdraw")
    page.browser.click(".answer.fail")
    page.browser.click(".reason")
    page.browser.press(ENTER)  # saves, and does not press the button that was clicked last
    page.browser.until(lambda: len(page.answers()) == before + 1, "the answer")
    assert page.answers()[-1]["label"] == "fail"
    assert page.answers()[-1]["reason"]


def test_help_and_history_open_by_keys_and_nothing_is_decided_behind_them(page: ReviewPage) -> None:
    before = len(page.answers())
    page.browser.press("?")
    assert page.browser.count("#help[open]") == 1
    page.browser.press("j", ESCAPE, "h")
    page.browser.until(lambda: page.browser.count("#history[open]"), "the history")
    rows = page.browser.texts(".answer-row")
    assert len(rows) == before
    assert "QC-" not in " ".join(rows)
    page.browser.press("z", "f", ESCAPE)
    assert not page.panel_open()
    assert len(page.answers()) == before
