"""The whole way by keys: 30 groups, an undo, a second reader, the labels. At a desk, and at the width of a phone."""

import csv
from pathlib import Path
from typing import Any

import pytest
from support.chromium import Browser
from support.cli_runs import run
from support.review_files import ReviewFiles
from support.review_page import ENTER, ESCAPE, PHONE, RIGHT, SPACE, ReviewPage, served_page

pytestmark = pytest.mark.browser
NEXT_GROUP_MS = 100


@pytest.mark.parametrize(("lang", "size"), [("zh", {}), ("en", PHONE)])
def test_thirty_groups_by_keys_an_undo_a_second_reader_and_the_labels(
    browser: Browser, second_browser: Browser, files: ReviewFiles, tmp_path: Path, lang: str, size: dict[str, Any]
) -> None:
    with served_page(browser, tmp_path / "review.sqlite", files, lang=lang, second_share=0.0) as page:
        page.sign_in("李", **size)
        page.begin()
        _look_around(page)
        for number in range(30):
            page.until_photos()
            page.answer(*(("f", "1"), ("j",), ("u",))[number % 3])
        assert [row["label"] for row in page.answers()] == ["fail", "pass", "unsure"] * 10
        times = page.times()[1:]
        print(f"next group on screen: median {sorted(times)[len(times) // 2]:.0f} ms, most {max(times):.0f} ms")
        assert sorted(times)[len(times) // 2] < NEXT_GROUP_MS
        _undo(page)
        _reveal(page)
        _second_reader(ReviewPage(second_browser, page.url, page.key, page.store, lang), page, size)
        answers = len(page.answers())
        assert browser.console() == []
        browser.size(1440, 900)
    _labels(tmp_path, files, answers)


def _look_around(page: ReviewPage) -> None:
    """Photos by keys; and nothing of the machine's side, nor a reveal, before the answer."""
    browser = page.browser
    assert browser.text("#rule-text").startswith("机柜处接地螺丝和地排处接地螺丝都必须符合要求")
    assert browser.count("figure mark") > 0
    browser.press(RIGHT)
    assert browser.text("#numbers [aria-current]") == "2"
    browser.press("3", SPACE)
    assert browser.text("#zoomed-text b") == "图片_3"
    browser.press(SPACE, "r")
    page.until_said("#status", page.texts["reveal_first"])
    assert browser.count("dialog[open]") == 0
    seen = browser.run("return document.documentElement.outerHTML")
    assert not [word for word in ("QC-", "审核", "0.99", "0.6", "false_release", ".jpeg") if word in seen]


def _undo(page: ReviewPage) -> None:
    last = page.answers()[-1]
    page.undo()
    assert page.browser.text("#before") == page.texts["before"].format(answer=page.texts["unsure"])
    page.until_photos()
    page.answer("j")
    undone, again = page.answers()[-2:]
    assert (undone["label"], undone["supersedes"]) == (None, last["id"])
    assert (again["group_ref"], again["label"], again["blind"]) == (last["group_ref"], "pass", 1)


def _reveal(page: ReviewPage) -> None:
    """On request, after the answer; an answer that is changed then is no longer blind."""
    page.browser.press("r")
    page.browser.until(lambda: page.browser.count("dialog[open] .facts"), "the machine's side")
    assert "QC-20260118-" in page.browser.text("#machine-facts")
    page.browser.press(ESCAPE)
    page.undo()
    page.answer("f")
    assert page.answers()[-1]["blind"] == 0


def _second_reader(second: ReviewPage, first: ReviewPage, size: dict[str, Any]) -> None:
    """Gets a group that the first has answered against its folder, and sees nothing of that."""
    second.sign_in("王", **size)
    second.begin()
    seen = second.browser.run("return document.documentElement.outerHTML")
    assert "李" not in seen
    assert second.browser.text("#progress").startswith(second.texts["progress"].partition("{left}")[0].format(today=0))
    assert second.browser.texts("#last-text") == [""]
    ids = {row["group_ref"] for row in first.answers()}
    for _ in range(4):
        second.until_photos()
        second.answer("j")
    own = [row["group_ref"] for row in first.answers() if row["reader"] == "王"]
    assert len(own) == len(set(own)) == 4
    assert ids.intersection(own)
    second.browser.visit("about:blank")


def _labels(folder: Path, files: ReviewFiles, answers: int) -> None:
    """The export is what `dataset` reads."""
    labels = folder / "labels.csv"
    exported = run("review-export", "--store", str(folder / "review.sqlite"), "--output", str(labels))
    assert exported.exit_code == 0, exported.output
    with labels.open(encoding="utf-8-sig", newline="") as opened:
        assert {row["label"] for row in csv.DictReader(opened)} <= {"pass", "fail", "unsure"}
    lines = labels.with_name("labels.answers.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == answers
    made = run("dataset", "--labels", str(labels), "--output-dir", str(folder / "dataset"), str(files.stage_a))
    assert made.exit_code == 0, made.output


def test_the_whole_queue_ends_with_a_word_and_another_choice(
    browser: Browser, files: ReviewFiles, tmp_path: Path
) -> None:
    with served_page(browser, tmp_path / "review.sqlite", files, second_share=0.0) as page:
        page.sign_in("李")
        page.begin()
        while page.screen() == "work":
            page.answer("j")
        assert page.screen() == "done"
        assert "全部检查项" in browser.text("#done-text") or "BBU接地线检查" in browser.text("#done-text")
        page.undo()
        assert browser.text("#before") == "上次的结论：通过"
        page.answer("f")
        page.until_screen("done")
        assert [row["label"] for row in page.answers()][-3:] == ["pass", None, "fail"]
        browser.press(ENTER)
        page.until_screen("choice")
        assert browser.texts(".queue span") == [page.texts["choice_none"]]
