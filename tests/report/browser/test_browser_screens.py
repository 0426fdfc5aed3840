"""The report is readable on a phone and in light and dark mode."""

import pytest
from support.chromium import Browser
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


FAINT = """
const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = (colour) => channels(colour).slice(0, 3).map((c) => c / 255)
  .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
const ground = (element) => {
  for (; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor, parts = channels(colour);
    if (parts.length < 4 || parts[3] > 0) return colour;
  }
  return "rgb(255, 255, 255)";
};
const faint = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement, style = getComputedStyle(element);
  const text = walker.currentNode.data.trim();
  if (!text || !element.checkVisibility() || element.closest("script, style, :disabled")) continue;
  const colour = element.closest("svg") ? style.fill : style.color;
  const pair = [light(colour), light(ground(element))].sort((a, b) => a - b);
  const ratio = (pair[1] + 0.05) / (pair[0] + 0.05);
  if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${element.className || element.tagName}: ${text}`);
}
return faint;
"""
