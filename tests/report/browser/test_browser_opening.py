"""The report opens from disk without a network, in the requested language, and with 5,000 groups."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from support.chromium import Browser
from support.judged_files import many, write_judged
from support.report_page import LANGUAGES, Report, shown, wait_for_image, written

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("lang", LANGUAGES)
def test_it_opens_from_disk_without_errors_or_network_requests(
    browser: Browser, reports: dict[str, Report], lang: str
) -> None:
    report = reports[lang]
    browser.open(report.page)
    for _ in report.groups:
        browser.press("j")
    browser.open(report.page)
    browser.point("figure.curve svg", 200, 150)
    browser.click(".photos figure:nth-child(1) button")
    wait_for_image(browser, "#large-photo")
    asked = browser.requests()
    assert browser.console() == []
    folder = report.page.parent.parent.as_uri()
    assert [url for url in asked if not url.startswith(f"{folder}/")] == []
    assert any("/thumbnails/" in url for url in asked)  # otherwise the log is not working
    assert any(unquote(url).endswith("照 片#1/QC-3b_1.jpg") for url in asked)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_its_texts_are_in_the_requested_language(browser: Browser, reports: dict[str, Report], lang: str) -> None:
    report = reports[lang]
    browser.open(report.page)
    assert browser.text("h1") == report.texts["title"]
    assert browser.run("return document.documentElement.lang") == lang
    first = report.texts["outcome_false_release"]
    assert browser.text("#list .badge") == first == browser.text("#group .badge")
    assert browser.text(".keys") == report.texts["shortcuts"]
    assert not re.search("undefined|built-in|None", browser.text("body"))
    assert not re.search(r"\{\w+\}", browser.text("body"))
    others = {"zh": "False releases", "en": "误放行"}
    assert others[lang] not in browser.text("body")


def test_without_javascript_the_figures_are_shown_with_a_notice(browser: Browser, report: Report) -> None:
    browser.chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(report.page)
        assert browser.text("noscript") == report.texts["needs_script"]
        assert len(browser.texts(".figures tbody")) == 3
    finally:
        browser.chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_five_thousand_groups_can_be_opened_filtered_and_scrolled(browser: Browser, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    report = written([write_judged(tmp_path, *many(5000))], tmp_path / "report")
    browser.open(report.page)
    order = [group.key.group_id for group in report.worst_first]
    assert browser.text("#status") == report.texts["shown"].format(shown=5000, groups=5000)
    assert browser.texts("#list .id")[:10] == order[:10]
    assert browser.count("#list .row") < 60  # only the visible ones
    browser.choose("#outcome", "wrong")
    wrong = [group.key.group_id for group in report.groups if group.outcome in ("false release", "false block")]
    assert browser.text("#status") == report.texts["shown"].format(shown=len(wrong), groups=5000)
    browser.press("/", order[7], Keys.ENTER)
    browser.until(lambda: browser.texts("#list .id") == [order[7]], "the search")
    browser.click("#reset")
    browser.press("/", Keys.ESCAPE)
    browser.run("document.getElementById('list').scrollTop = 1e9")
    browser.until(lambda: browser.texts("#list .id")[-1] == order[-1], "the last row")
    browser.press(*"j" * 50)
    assert shown(browser) == order[order.index(order[7]) + 50]
    assert browser.console() == []
