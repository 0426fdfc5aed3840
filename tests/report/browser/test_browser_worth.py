"""Promises, decisions and what figures are worth are in view at a desk and on a phone; numbers lead to groups."""

from pathlib import Path

import pytest
from support.chromium import Browser
from support.report_page import LANGUAGES

from yanshou.report.translations import TRANSLATIONS

pytestmark = pytest.mark.browser
SCREENS = {"desk": (1440, 900), "phone": (390, 844)}
OUTSIDE = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll(".promises td, .decisions td, .by-photos td, .plot, .not-covered li, .warns")]
  .filter((element) => element.getBoundingClientRect().right > width + 1).map((element) => element.textContent);
"""


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_nothing_is_out_of_view(browser: Browser, limited: dict[str, Path], lang: str, screen: str) -> None:
    width, height = SCREENS[screen]
    browser.open(limited[lang], width=width, height=height)
    browser.run("for (const details of document.querySelectorAll('details')) details.open = true")
    assert browser.run(OUTSIDE) == []
    assert browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    texts = TRANSLATIONS[lang]
    for heading in ("promises", "decisions", "worth"):
        assert browser.text(f"#{heading}") == texts[heading]
    assert browser.count(".promises .threshold") == 2
    assert browser.count(".calibration circle.bin") == browser.count(".bins tbody tr") == 10
    assert browser.console() == []


def test_a_number_of_decisions_leads_to_its_groups(browser: Browser, limited: dict[str, Path]) -> None:
    browser.open(limited["zh"], **dict(zip(("width", "height"), SCREENS["desk"], strict=True)))
    for column, decision in enumerate(("release", "block", "review"), 2):
        cell = f".decisions tbody tr > :nth-child({column}) a"
        count = browser.text(cell)
        browser.click(cell)
        browser.until(
            lambda count=count: browser.text("#status").startswith(f"{count} / 60"), f"{count} groups of {decision}"
        )
        assert browser.run("return document.getElementById('decision').value") == decision
    words = TRANSLATIONS["zh"]
    assert words["decision_review"] in browser.texts("#group .facts dd")
    assert browser.count("#group .scale b") == 2  # both thresholds


def test_a_printed_page_has_the_plots_and_no_sliders(browser: Browser, limited: dict[str, Path]) -> None:
    browser.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        browser.open(limited["en"])
        assert browser.run("return getComputedStyle(document.querySelector('.curve input')).display") == "none"
        assert browser.run("return document.querySelector('.calibration svg').getBoundingClientRect().height") > 200
    finally:
        browser.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
