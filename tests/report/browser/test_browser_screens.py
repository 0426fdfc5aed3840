"""The report is readable on a phone and in light and dark mode."""

import pytest
from support.chromium import Browser
from support.faint_texts import FAINT
from support.report_page import LANGUAGES, Report

pytestmark = pytest.mark.browser
PHONE = {"width": 360, "height": 740}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_on_a_phone_the_page_does_not_scroll_sideways(browser: Browser, reports: dict[str, Report], lang: str) -> None:
    browser.open(reports[lang].page, **PHONE)
    browser.run("for (const details of document.querySelectorAll('details')) details.open = true")
    for _ in reports[lang].groups:
        assert browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        browser.press("j")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(browser: Browser, report: Report, scheme: str) -> None:
    """WCAG 2.2, level AA: 4.5 to 1, for a group of each outcome and for the large photo."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        browser.open(report.page)
        browser.run("for (const details of document.querySelectorAll('details')) details.open = true")
        faint = set()
        for _ in report.groups:
            faint |= set(browser.run(FAINT))
            browser.press("j")
        browser.open(report.page)
        browser.press("1")
        faint |= set(browser.run(FAINT))
        assert faint == set()
    finally:
        browser.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
