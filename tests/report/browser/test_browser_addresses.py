"""A bookmark names a group by its identity, so that it finds the group in another evaluation, too."""

from pathlib import Path

import pytest
from support.chromium import Browser
from support.judged_files import write_judged
from support.lines import GROUNDING, SHIELD, stage_a_line, verdict
from support.report_page import Report, listed, names, shown, written

pytestmark = pytest.mark.browser


def address(browser: Browser) -> str:
    return str(browser.run("return location.hash")).removeprefix("#")


def test_a_bookmark_finds_its_group_in_another_evaluation_with_another_order(browser: Browser, tmp_path: Path) -> None:
    def evaluated(p_of_first: float) -> Report:
        verdicts = [
            verdict("QC-1", "fail", "pass", p_of_first), verdict("QC-1", "pass", "pass", 0.95),
            verdict("QC-2", "fail", "pass", 0.9), verdict("7", "pass", "pass", 0.6),
        ]  # fmt: skip
        return written([write_judged(tmp_path, verdicts)], tmp_path / "out", threshold=0.5)

    browser.open(evaluated(0.8).page, "outcome=false-release")
    browser.press("j")
    assert shown(browser) == "QC-1"
    bookmark = address(browser)
    browser.open(evaluated(0.99).page, bookmark)  # now the first of the list
    assert (shown(browser), browser.text("#group .facts dd")) == ("QC-1", "不通过")
    browser.open(evaluated(0.1).page, bookmark)  # now blocked, which the filter of the bookmark would hide
    assert (shown(browser), browser.text("#group .facts dd")) == ("QC-1", "不通过")
    assert browser.run("return document.getElementById('outcome').value") == ""


def test_the_first_group_is_named_once_a_person_has_chosen_it(browser: Browser, report: Report) -> None:
    browser.open(report.page)
    assert address(browser) == ""
    browser.press("j", "k")
    browser.chrome.refresh()
    assert shown(browser) == "QC-3b"
    assert address(browser).startswith("group=QC-3b&in=")


def test_addresses_of_earlier_versions_still_lead_to_their_group(browser: Browser, report: Report) -> None:
    order = names(report.worst_first)
    browser.open(report.page, "group=3")
    assert shown(browser) == order[2][0]
    browser.open(report.page, "mission=" + SHIELD + "&group=" + str(order.index(("QC-1", SHIELD)) + 1))
    assert listed(browser)[0][1] == SHIELD


def test_a_group_can_be_linked_by_its_id_alone_and_a_missing_one_is_named(browser: Browser, report: Report) -> None:
    browser.open(report.page, "group=QC-2b")
    assert shown(browser) == "QC-2b"
    browser.open(report.page, "group=QC-9&in=" + GROUNDING)
    assert report.texts["not_here"].format(group="QC-9") in browser.text("#status")


def test_groups_with_a_doubt_or_a_note_can_be_filtered(browser: Browser, tmp_path: Path) -> None:
    texts = {"QC-1": "电线/捆扎整齐×1", "QC-2": "光纤/需复核×1", "QC-3": "光纤/有保护措施备注:看不清×1"}
    lines = [stage_a_line(name, "pass", text) for name, text in texts.items()]
    file = write_judged(tmp_path, [verdict(name) for name in texts], lines)
    browser.open(written([file], tmp_path / "out").page)
    for flag, expected in {
        "any": {"QC-2", "QC-3"}, "doubt": {"QC-2"}, "note": {"QC-3"}, "none": {"QC-1"}, "": set(texts),
    }.items():  # fmt: skip
        browser.choose("#flag", flag)
        assert {name for name, _ in listed(browser)} == expected, flag
    browser.choose("#flag", "doubt")
    browser.chrome.refresh()
    assert listed(browser) == [("QC-2", GROUNDING)]
