"""A threshold is chosen on the curve with keys, pointer or finger. The sentence below says what it lets through."""

from pathlib import Path

import pytest
from support.chromium import Browser
from support.report_page import LANGUAGES, THRESHOLD, Report

from yanshou.report.curve import WIDTH, Curve, Point
from yanshou.report.slip import slip_sentence

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}
PLOT, READOUT, SLIDER = "figure.curve svg", "figure.curve .readout", "figure.curve input"


def curve_of(report: Report) -> Curve:
    curve = Curve.of(report.groups, THRESHOLD)
    assert curve is not None
    return curve


def sentence(report: Report, point: Point) -> str:
    """As the page's script writes it; without a threshold nothing is released."""
    text = slip_sentence(point, report.texts, (None, None))
    return text.replace(report.texts["when_written"], report.texts["when_none"])


def wait_for(browser: Browser, text: str) -> None:
    browser.until(lambda: browser.text(READOUT) == text, text)


def unit(browser: Browser) -> float:
    """CSS pixels of an SVG user unit."""
    return float(browser.run(f"return document.querySelector('{PLOT}').getBoundingClientRect().width")) / WIDTH


def test_the_mark_of_the_chosen_threshold_agrees_with_the_table(browser: Browser, report: Report) -> None:
    browser.open(report.page)
    (mark,) = curve_of(report).marks
    drawn = [browser.run(f"return document.querySelector('circle.mark').{axis}.baseVal.value") for axis in ("cx", "cy")]
    assert drawn == pytest.approx([mark.point.x, mark.point.y], abs=0.06)
    assert browser.text("figure.curve .marked") == report.texts["chosen"].format(p=THRESHOLD)
    judge = report.figures["overall"]["judge"]
    for name in ("false_release", "false_block"):
        assert report.texts["counted"].format(**judge[name]) in browser.text(READOUT)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_pointing_reads_the_nearest_threshold_and_leaving_returns(
    browser: Browser, reports: dict[str, Report], lang: str
) -> None:
    report = reports[lang]
    browser.open(report.page)
    before = browser.text(READOUT)
    assert before == sentence(report, curve_of(report).marks[0].point)
    for point in curve_of(report).points:
        browser.point(PLOT, point.x * unit(browser), point.y * unit(browser))
        wait_for(browser, sentence(report, point))
    browser.point("h1", 1, 1)
    wait_for(browser, before)


def test_arrow_keys_on_the_slider_walk_through_all_thresholds(browser: Browser, report: Report) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(report.page)
    points = curve_of(report).points
    browser.run(f"document.querySelector('{SLIDER}').focus()")
    browser.press(Keys.ARROW_RIGHT)  # stricter than the chosen one
    assert browser.text(READOUT) == sentence(report, points[curve_of(report).start - 1])
    browser.press(Keys.END)
    for number, point in enumerate(points):
        assert browser.text(READOUT) == sentence(report, point), number
        assert browser.run(f"return document.querySelector('{SLIDER}').ariaValueText") == sentence(report, point)
        probe = browser.run("return document.querySelector('circle.probe').cx.baseVal.value")
        assert probe == pytest.approx(point.x, abs=0.06)
        browser.press(Keys.ARROW_LEFT)
    assert browser.run("return document.activeElement.type") == "range"
    assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"  # focus is visible


def test_a_tap_on_the_plot_chooses_a_threshold_that_stays(browser: Browser, report: Report) -> None:
    browser.open(report.page, **PHONE)
    point = curve_of(report).points[1]
    browser.run(f"document.querySelector('{PLOT}').scrollIntoView()")
    browser.touch(PLOT, point.x * unit(browser), point.y * unit(browser))
    wait_for(browser, sentence(report, point))
    assert browser.run(f"const s = document.querySelector('{SLIDER}'); return s.max - s.value") == 1
    browser.touch("h2", 1, 1)
    wait_for(browser, sentence(report, point))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_labels_as_they_are_drawn_lie_on_no_line(browser: Browser, limited: dict[str, Path], lang: str) -> None:
    browser.open(limited[lang], **PHONE)
    assert (
        browser.texts("figure.curve .limit-label")
        == {"zh": ["上限 30%", "上限 40%"], "en": ["limit 30%", "limit 40%"]}[lang]
    )
    assert browser.count("figure.curve .marked") == 3  # both thresholds, and the verdicts as written
    assert browser.run(COVERED) == []


COVERED = """
const covered = [];
for (const svg of document.querySelectorAll("figure.curve svg")) {
  for (const text of svg.querySelectorAll(".marked, .limit-label")) {
    const box = text.getBBox();
    for (const line of svg.querySelectorAll(".line, .limit")) {
      const length = line.getTotalLength();
      for (let at = 0; at <= length; at += 0.5) {
        const point = line.getPointAtLength(at);
        const across = point.x > box.x && point.x < box.x + box.width;
        if (across && point.y > box.y + 2 && point.y < box.y + box.height - 3) {
          covered.push(text.textContent);
          break;
        }
      }
    }
  }
}
return covered;
"""
