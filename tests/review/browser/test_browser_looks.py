"""What a reader sees: legible in both languages, light and dark; open mode; the network's sentence; text as text."""

from pathlib import Path

import pytest
from support.chromium import Browser
from support.faint_texts import FAINT
from support.review_files import DOUBT, ReviewFiles, write_review_files
from support.review_page import ESCAPE, PHONE, SPACE, ReviewPage, served_page

pytestmark = pytest.mark.browser
SIDEWAYS = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
SCRIPT = "<img src=x onerror=alert(1)>×1，<script>alert(2)</script>×1，标签/javascript:alert(3)×1"


def faint_on_all_screens(page: ReviewPage) -> list[str]:
    """Texts of too little contrast, on every screen of one group."""
    browser = page.browser
    found = [*browser.run(FAINT)]
    page.begin()
    found += browser.run(FAINT)
    browser.press("f", "1")
    found += browser.run(FAINT)
    page.answer()
    for keys in (SPACE, "h", "?", "r"):
        browser.press(keys)
        browser.run("return new Promise((go) => setTimeout(go, 200))")
        found += browser.run(FAINT)
        assert browser.run(SIDEWAYS) == 0
        browser.press(ESCAPE)
    return found


@pytest.mark.parametrize(("lang", "size", "scheme"), [("zh", {}, "light"), ("en", PHONE, "dark")])
def test_texts_are_legible_and_nothing_is_out_of_view(
    browser: Browser, files: ReviewFiles, tmp_path: Path, lang: str, size: dict[str, int], scheme: str
) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    with served_page(browser, tmp_path / "review.sqlite", files, lang=lang, network=True) as page:
        page.sign_in("李", **size)
        assert browser.run("return document.documentElement.lang") == lang
        assert page.texts["no_tls"] in browser.text("#no-tls")
        assert faint_on_all_screens(page) == []
        assert browser.console() == []
    browser.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    browser.size(1440, 900)


def test_open_mode_shows_the_machine_and_keeps_the_audit_apart(browser: Browser, tmp_path: Path) -> None:
    files = write_review_files(tmp_path, 12, audit=4)
    with served_page(browser, tmp_path / "review.sqlite", files, open=True) as page:
        page.sign_in("李")
        assert page.texts["choice_open"] in browser.text("#mode-note")
        assert browser.texts("#queues h2") == ["抽查"]
        page.begin()
        assert "判定结果" in browser.text("#shown-machine")
        browser.click("#other-queue")
        page.until_screen("choice")
        browser.click("#queues .queue:last-child")
        page.until_screen("work")
        assert browser.count("#shown-machine[hidden]") == 1
        assert "判定结果" not in browser.text("#work")


def test_scripts_in_summaries_are_text(browser: Browser, tmp_path: Path) -> None:
    files = write_review_files(tmp_path, 4, kinds=(DOUBT._replace(summary=SCRIPT),))
    with served_page(browser, tmp_path / "review.sqlite", files, all_groups=True) as page:
        page.sign_in("李")
        page.begin()
        assert browser.texts(".entries li")[:2] == ["<img src=x onerror=alert(1)>×1", "<script>alert(2)</script>×1"]
        browser.press("f", "/")
        browser.run("document.getElementById('reason-text').value = '<img src=y onerror=alert(4)>'")
        page.answer()
        assert "<img src=y onerror=alert(4)>" in browser.text("#last-text")
        assert browser.count("img[src='x'], img[src='y'], #strip script") == 0
        assert browser.console() == []
        assert not [url for url in browser.requests() if not url.startswith((page.url, "about:", "blob:"))]
