"""On a phone of 390 pixels nothing is out of view, and buttons are large enough for a finger."""

from pathlib import Path

import pytest
from support.chromium import Browser
from support.judged_files import write_judged
from support.lines import fault, stage_a_line, verdict
from support.report_page import LANGUAGES, Report, written

from yanshou.report.translations import TRANSLATIONS

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}
OUT_OF_VIEW = """
return [...document.querySelectorAll(arguments[0])].filter((e) => e.checkVisibility())
  .map((e) => e.getBoundingClientRect())
  .filter((box) => box.left < 0 || box.right > document.documentElement.clientWidth || !box.width).length;
"""
SMALL = """
return [...document.querySelectorAll("button, select, input[type=search]")].filter((e) => e.checkVisibility())
  .filter((e) => e.getBoundingClientRect().height < 44 || parseFloat(getComputedStyle(e).fontSize) < 16)
  .map((e) => e.id || e.textContent);
"""


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_figures_are_in_view_and_controls_fit_a_finger(
    browser: Browser, reports: dict[str, Report], lang: str
) -> None:
    browser.open(reports[lang].page, **PHONE)
    assert browser.count(".figures td.first") > 0
    assert browser.run(OUT_OF_VIEW, ".figures td, .confusion td") == 0
    names = browser.run(
        "return [...document.querySelectorAll('.figures td.first')].map((e) => getComputedStyle(e, '::before').content)"
    )
    texts = reports[lang].texts
    assert set(names) == {f'"{texts["false_releases"]}"', f'"{texts["false_blocks"]}"'}
    assert browser.run(SMALL) == []
    browser.click(".photos button")
    assert browser.run(OUT_OF_VIEW, "dialog .controls *") == 0


@pytest.mark.parametrize("lang", LANGUAGES)
def test_new_jobs_begin_with_what_to_look_at(browser: Browser, tmp_path: Path, lang: str) -> None:
    verdicts = [verdict("QC-1", None, "pass", 0.9), verdict("QC-2", None, "fail", 0.45)]
    lines = [stage_a_line(name, None) for name in ("QC-1", "QC-2", "QC-3")]
    file = write_judged(tmp_path, verdicts, lines, [fault("QC-3", None)])
    page = written([file], tmp_path / "out", lang, threshold=None).page
    texts = TRANSLATIONS[lang]
    for size in ({}, PHONE):
        browser.open(page, **size)
        assert browser.text("main h2") == texts["overview"]
        assert browser.count(".figures, .confusion, figure.curve") == 0
        assert browser.texts("#list .id") == ["QC-3", "QC-2", "QC-1"]
        assert browser.texts("#list .badge") == [texts["outcome_error"], texts["verdict_fail"], texts["verdict_pass"]]
        assert browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        browser.click(".overview .error a")
        browser.until(lambda: browser.texts("#list .id") == ["QC-3"], "the failed group")
    assert browser.console() == []
