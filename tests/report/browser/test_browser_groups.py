"""Viewing groups: the order, filters and keys."""

from pathlib import Path

import pytest
from support.chromium import Browser
from support.lines import GROUNDING, SHIELD
from support.report_page import THRESHOLD, Report, listed, names, shown

from yanshou.stage_b.reason_words import explain

pytestmark = pytest.mark.browser


def test_the_worst_groups_come_first(browser: Browser, report: Report) -> None:
    browser.open(report.page)
    assert listed(browser)[:5] == names(report.worst_first)[:5] == [
        ("QC-3b", GROUNDING), ("QC-3", GROUNDING), ("QC-6", GROUNDING), ("QC-2b", GROUNDING), ("QC-2", GROUNDING),
    ]  # fmt: skip
    assert listed(browser) == names(report.worst_first)
    assert shown(browser) == "QC-3b"


def test_a_group_shows_its_label_verdict_rule_probability_reason_and_one_summary_per_photo(
    browser: Browser, report: Report
) -> None:
    browser.open(report.page)
    texts = report.texts
    facts = dict(zip(browser.texts("#group .facts dt"), browser.texts("#group .facts dd"), strict=True))
    assert facts == {
        texts["human"]: texts["says_fail"],
        texts["verdict"]: texts["says_pass"],
        texts["rules_say"]: texts["says_fail"],
        texts["p_pass"]: "0.95" + texts["at_threshold"].format(p=THRESHOLD),
    }
    group = report.worst_first[0]
    assert group.rules is not None
    said = dict(zip(browser.texts("#group .said dt"), browser.texts("#group .said dd"), strict=True))
    wrong = said.pop(texts["reason_check"])
    assert group.reason_check
    assert wrong.startswith(texts[f"reason_{group.reason_check.outcome}"])
    assert all(line in wrong for line in explain(group.reason_check.problems, texts["lang"]))
    assert said == {texts["reason"]: group.reason, texts["rules_reason"]: group.rules.reason}
    summaries = browser.run("return [...document.querySelectorAll('.photos .summary')].map((e) => e.textContent)")
    assert summaries == list(group.summaries)
    assert browser.texts(".photos strong") == ["图片_1", "图片_2", "图片_3", "图片_4"]
    assert browser.texts(".photos .file") == [Path(image).name for image in group.images]


def test_a_verdict_changed_by_the_threshold_and_a_failed_group_are_explained(browser: Browser, report: Report) -> None:
    browser.open(report.page, "search=QC-2c")
    texts = report.texts
    changed = texts["file_verdict"].format(verdict=texts["says_pass"], now=texts["says_fail"])
    assert changed in browser.texts("#group .said dd")
    browser.open(report.page, "outcome=error")
    assert "generate: out of memory" in browser.texts("#group .said dd")
    assert browser.texts("#group .facts dd")[1] == texts["says_none"]


def test_filters_limit_the_list_and_are_cleared_together(browser: Browser, report: Report) -> None:
    browser.open(report.page)
    everything, texts = len(report.groups), report.texts

    def status(count: int) -> bool:
        return browser.text("#status") == texts["shown"].format(shown=count, groups=everything)

    assert status(everything)
    browser.choose("#outcome", "wrong")
    assert set(browser.texts("#list .badge")) == {
        texts[f"outcome_{name}"] for name in ("false_release", "error", "false_block")
    }
    browser.choose("#mission", SHIELD)
    assert status(0)
    assert browser.text("#group") == texts["nothing"]
    browser.click("#reset")
    assert status(everything)
    browser.choose("#label", "none")
    assert listed(browser) == [("QC-5", GROUNDING)]
    browser.click("#reset")
    browser.choose("#verdict", "none")
    assert listed(browser) == [("QC-6", GROUNDING)]
    browser.click("#reset")
    browser.click("#search")
    browser.press("两处接地")
    browser.until(lambda: status(1), "the group whose reason has the text")
    assert listed(browser) == [("QC-3b", GROUNDING)]


def test_the_address_keeps_filter_and_group_after_a_reload(browser: Browser, report: Report) -> None:
    browser.open(report.page)
    assert browser.run("return location.hash") == ""  # opened afresh, it opens at the top again
    assert browser.run("return scrollY") == 0
    browser.choose("#outcome", "false-block")
    browser.press("j")
    before = shown(browser), listed(browser)
    assert before[0] == before[1][1][0]
    browser.chrome.refresh()
    assert (shown(browser), listed(browser)) == before


def test_keys_move_between_groups_and_to_the_search(browser: Browser, report: Report) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(report.page)
    order = [name for name, _ in names(report.worst_first)]
    for key, place in [("j", 1), ("j", 2), ("k", 1), (Keys.ARROW_DOWN, 2), (Keys.ARROW_UP, 1), (Keys.ARROW_RIGHT, 2)]:
        browser.press(key)
        assert shown(browser) == order[place], key
        assert browser.text("#list [aria-selected=true] .id") == order[place]
    browser.press(*"k" * len(order))
    assert shown(browser) == order[0]
    browser.press(*"j" * (len(order) + 3))
    assert shown(browser) == order[-1]
    browser.press("/")
    browser.press("j", "QC-5")  # in the search, letters are letters
    assert browser.run("return document.activeElement.value") == "jQC-5"
    browser.press(Keys.BACKSPACE * 5, "QC-5", Keys.ESCAPE)
    browser.until(lambda: listed(browser) == [("QC-5", GROUNDING)], "the search")
    assert browser.run("return document.activeElement.id") == "list"


def test_buttons_move_between_groups_and_keys_continue_from_there(browser: Browser, report: Report) -> None:
    browser.open(report.page)
    order = [name for name, _ in names(report.worst_first)]
    browser.click("#group nav button:nth-child(2)")
    assert shown(browser) == order[1]
    browser.press("j")
    assert shown(browser) == order[2]
    browser.click("#group nav button:nth-child(1)")
    assert shown(browser) == order[1]
    browser.click("#list .row:nth-child(1)")
    assert shown(browser) == order[0]
    assert not browser.element("#group nav button:nth-child(1)").is_enabled()


def test_space_scrolls_through_the_photos_of_a_group(browser: Browser, report: Report) -> None:
    browser.open(report.page, height=500)
    browser.press("k", " ")
    assert browser.run("return document.getElementById('group').scrollTop") > 0
    assert shown(browser) == "QC-3b"
