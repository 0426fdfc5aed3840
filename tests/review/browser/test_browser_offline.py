"""No reply for a while: the page keeps the answer, says so, and sends it until it is saved, exactly once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chromium import Browser
from support.review_files import ReviewFiles
from support.review_page import ENTER, ReviewPage
from support.review_server import ReviewServer
from support.review_store import make_store

pytestmark = pytest.mark.browser
KEPT = "return Object.entries(localStorage).filter(([name]) => name.includes('kept')).map(([, value]) => value).join()"


@pytest.fixture
def server(few_files: ReviewFiles, tmp_path: Path) -> Iterator[ReviewServer]:
    make_store(tmp_path / "review.sqlite", few_files, second_share=0.0, seed=1)  # 李 gets no second reading
    with ReviewServer(tmp_path / "review.sqlite", tmp_path) as server:
        server.start()
        yield server


@pytest.fixture
def page(browser: Browser, server: ReviewServer) -> Iterator[ReviewPage]:
    opened = ReviewPage(browser, server.url, "", server.store)
    opened.key = opened.rows("SELECT value FROM meta WHERE key = 'reader_key'")[0][0]
    opened.sign_in("李")
    opened.begin()
    yield opened
    browser.visit("about:blank")


def test_an_answer_without_a_reply_is_kept_and_saved_once(page: ReviewPage, server: ReviewServer) -> None:
    page.answer("j")
    group = page.browser.text(".entries")
    server.kill()
    page.browser.press("f", "1", ENTER, ENTER, "j", ENTER)
    page.until_said("#alert", "等待网络")
    assert page.browser.text("#status").startswith("保存中：不通过")
    assert page.browser.text(".entries") == group, "the next group appears once the answer is saved"
    assert '"label":"fail"' in page.browser.run(KEPT)
    shown = page.shown()
    server.start()
    page.browser.until(lambda: page.shown() > shown, "the next group")
    assert [row["label"] for row in page.answers()] == ["pass", "fail"]
    assert page.browser.text("#alert") == ""
    assert page.browser.text("#status").startswith("已保存：不通过")
    assert page.browser.run(KEPT) == "[]"
    page.answer("j")
    assert len(page.answers()) == 3


def test_a_reload_meanwhile_loses_nothing(page: ReviewPage, server: ReviewServer) -> None:
    server.kill()
    page.browser.press("u", ENTER)
    page.until_said("#alert", "等待网络")
    page.browser.chrome.get("about:blank")  # the tab left the page while the server was away
    assert page.answers() == []
    server.start()
    page.browser.chrome.get(page.url)
    page.until_screen("work")
    assert [row["label"] for row in page.answers()] == ["unsure"]
    assert page.browser.text("#last-text") == "上一组：不确定"
    assert page.browser.run(KEPT) == "[]"
    page.browser.until(lambda: len(page.rows("SELECT * FROM leases")) == 2, "no lease but those of the groups at hand")


def test_a_group_that_somebody_else_got_meanwhile_gives_the_reason_back(
    page: ReviewPage, server: ReviewServer, second_browser: Browser
) -> None:
    page.browser.press("f", "/", "b", "a", "d")
    page.until_quiet()  # a late reply would renew the leases
    group = page.group()
    holder = page.holder(group)
    server.clock.move(400)  # the lease ends
    other = ReviewPage(second_browser, page.url, page.key, page.store)
    other.sign_in("王")
    other.begin()
    other.answer_until_held(group, holder)
    shown = page.shown()
    page.browser.press(ENTER)
    page.browser.until(lambda: page.browser.count(".notice"), "what happened")
    assert page.texts["error_lease_lost"] in page.browser.text(".notice")
    assert page.browser.run("return document.querySelector('.given-back textarea').value") == "bad"
    page.browser.until(lambda: page.shown() > shown, "another group")
    assert "李" not in {row["reader"] for row in page.answers()}
    assert page.browser.count(".notice") == 1
    leases = page.rows("SELECT group_ref, session FROM leases")
    assert len({row["group_ref"] for row in leases}) == len(leases) == 4
    _lost_at_a_renewal(page, other, server)
    second_browser.visit("about:blank")


def _lost_at_a_renewal(page: ReviewPage, other: ReviewPage, server: ReviewServer) -> None:
    """The page learns that its group is another's, although nothing was answered."""
    page.browser.click(".notice .close")
    page.until_quiet()  # a late reply would renew the leases
    group = page.group()
    holder = page.holder(group)
    server.clock.move(400)
    other.answer_until_held(group, holder)
    page.browser.run("const now = Date.now; Date.now = () => now() + 61000")
    page.browser.press("t")
    page.browser.until(lambda: page.texts["lost_group"] in " ".join(page.browser.texts(".notice")), "what happened")
    page.browser.until(lambda: page.screen() == "done" or page.group() != group, "another group, or none is left")
