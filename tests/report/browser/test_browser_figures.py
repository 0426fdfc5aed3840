"""The figures on the page equal those of `evaluate --json`, and each number links to its groups."""

from itertools import product
from typing import Any

import pytest
from support.chromium import Browser
from support.lines import GROUNDING, SHIELD
from support.report_page import FINGERPRINT, LANGUAGES, THRESHOLD, Report, shown, wait_for_list

pytestmark = pytest.mark.browser


def cells(counts: dict[str, Any]) -> list[str]:
    """A row of the table, from the figures of the JSON."""

    def rate(values: dict[str, Any]) -> str:
        return f"{values['share']:.1%} [{values['low'] * 100:.1f}–{values['high'] * 100:.1f}]"

    def counted(values: dict[str, Any]) -> str:
        return f"{values['count']} / {values['of']} {rate(values)}"

    return [
        rate(counts["accuracy"]), f"{counts['balanced_accuracy']:.1%}", f"{counts['mcc']:.2f}",
        counted(counts["false_release"]), counted(counts["false_block"]),
    ]  # fmt: skip


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_table_shows_the_figures_of_the_json(browser: Browser, reports: dict[str, Report], lang: str) -> None:
    report = reports[lang]
    browser.open(report.page)
    rows = "return [...document.querySelectorAll('.figures tbody tr')].map((r) => [...r.cells].map((c) => c.innerText))"
    seen = [[" ".join(cell.split()) for cell in row] for row in browser.run(rows)]
    parts = {report.texts["all"]: report.figures["overall"], **report.figures["missions"]}
    expected = []
    for name, part in parts.items():
        heading = [f"{name} {part['judge']['groups']} {report.texts['groups']}"]
        for who in ("judge", "rules", "always_pass"):
            shown = part["judged_by"]["name"] if who == "judge" else report.texts[who]
            expected.append([*heading, shown, *cells(part[who])])
            heading = []
    assert seen == expected


def test_every_number_of_the_confusion_matrix_links_to_exactly_its_groups(browser: Browser, report: Report) -> None:
    browser.open(report.page)
    assert browser.count(".confusion") == 3
    tables, labels, verdicts = (None, GROUNDING, SHIELD), ("pass", "fail", None), ("pass", "fail", None)
    followed = 0
    for (table, mission), (row, label), (column, said) in product(
        enumerate(tables, 1), enumerate(labels, 1), enumerate(verdicts, 2)
    ):
        expected = [
            group
            for group in report.worst_first
            if (group.key.label, group.verdict) == (label, said) and mission in (None, group.key.mission)
        ]
        cell = f".cards > :nth-child({table}) tbody tr:nth-child({row}) > :nth-child({column})"
        if not browser.count(cell):  # without unlabelled groups there is no such row
            assert expected == []
        elif not expected:
            assert (browser.text(cell), browser.count(f"{cell} a")) == ("0", 0)
        else:
            assert browser.text(cell) == str(len(expected))
            browser.click(f"{cell} a")
            wait_for_list(browser, expected)
            assert shown(browser) == expected[0].key.group_id
            followed += 1
    assert followed == 6 + 6 + 2


def test_fingerprint_prompts_and_threshold_are_shown(browser: Browser, report: Report) -> None:
    browser.open(report.page)
    assert FINGERPRINT in browser.text("header")
    assert report.texts["threshold_here"].format(p=THRESHOLD) in browser.text("header")
    assert browser.texts(".origin pre") == [""] * browser.count(".origin pre")  # folded
    browser.click("details:has(.origin) > summary")
    prompts = browser.texts(".origin pre")
    assert prompts[:2] == ["你是验收员", "必须看到<地排>"]
    assert '"dtype": "bfloat16"' in prompts[2]
