"""compare.html in a real browser: both lines beside the photo, filters, a phone, and no request but for pictures."""

from pathlib import Path

import pytest
from support.chromium import Browser
from support.compared_files import compared, flipped_sides, write_side
from support.faint_texts import FAINT
from support.lines import SHIELD, stage_a_line
from support.report_page import wait_for_image

from yanshou.compare.translations import TRANSLATIONS

pytestmark = pytest.mark.browser
LANGUAGES = ("zh", "en")
PHONE = {"width": 390, "height": 844}
SHOWN = "article:not([hidden]) h3"
SIDEWAYS = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


def titles(browser: Browser) -> list[str]:
    return browser.texts(SHOWN)


def test_both_lines_are_beside_the_photo_with_changed_entries_marked(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["zh"])
    wait_for_image(browser, "article:nth-of-type(1) img")
    assert titles(browser)[0] == "QC-1 · 图片_1"
    photo, a, b = (
        browser.element(f"article:nth-of-type(1) {part}").rect for part in (".photo", ".sides .a", ".sides .b")
    )
    assert photo["x"] + photo["width"] < a["x"]
    assert a["x"] + a["width"] < b["x"]
    assert browser.texts("article:nth-of-type(1) .sides .a mark") == ["电线/捆扎整齐×1"]
    assert browser.texts("article:nth-of-type(1) .sides .b mark") == ["电线/分布散乱×1"]
    colours = {browser.element(f".{side} mark").value_of_css_property("background-color") for side in "ab"}
    assert len(colours) == 2


def test_filters_select_by_mission_category_kind_and_words(browser: Browser, pages: dict[str, Path]) -> None:
    texts = TRANSLATIONS["en"]
    browser.open(pages["en"])
    assert len(titles(browser)) == 6
    browser.choose("#mission", SHIELD)
    assert titles(browser) == ["QC-2 · 图片_1"]
    assert browser.text("#count") == texts["count"].format(shown=1, total=6)
    browser.click("#reset")
    browser.choose("#category", "标签")
    assert sorted(titles(browser)) == ["QC-1 · 图片_2", "QC-1 · 图片_3"]
    browser.choose("#kind", "change_spelling")
    assert titles(browser) == []
    assert browser.text("#count") == texts["nothing_fits"]
    browser.choose("#category", "")
    assert titles(browser) == ["QC-3 · 图片_1"]
    browser.click("#reset")
    browser.element("#search").send_keys("qc-4")
    browser.until(lambda: titles(browser) == ["QC-4 · 图片_2"], "the search")


def test_a_link_holds_the_filters(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["zh"])
    browser.choose("#kind", "change_entries")
    browser.choose("#mission", SHIELD)
    fragment = browser.run("return location.hash.slice(1)")
    browser.open(pages["zh"], fragment)
    assert titles(browser) == ["QC-2 · 图片_1"]
    browser.open(pages["zh"], "mission=unknown")
    assert len(titles(browser)) == 6


@pytest.mark.parametrize("lang", LANGUAGES)
def test_on_a_phone_the_page_does_not_scroll_sideways(browser: Browser, pages: dict[str, Path], lang: str) -> None:
    browser.open(pages[lang], **PHONE)
    assert browser.run(SIDEWAYS) == 0
    photo, side = (browser.element(f"article {part}").rect for part in (".photo", ".sides .b"))
    assert photo["y"] + photo["height"] <= side["y"]
    assert side["width"] > 300
    for control in ("#mission", "#category", "#kind", "#search", "#reset"):
        assert browser.element(control).rect["height"] >= 40


def test_the_page_asks_for_nothing_but_its_thumbnails_and_logs_nothing(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["zh"], height=4000)
    wait_for_image(browser, "article:nth-of-type(1) img")
    assert browser.console() == []
    assert {url.rpartition("/")[0].rpartition("/zh/")[2] for url in browser.requests()[1:]} <= {
        "compare/thumbnails",
        "",
    }


def test_photos_that_are_gone_have_a_placeholder(browser: Browser, tmp_path: Path) -> None:
    from support.compared_files import changed_sides

    texts = TRANSLATIONS["zh"]
    compared(*changed_sides(tmp_path), tmp_path / "out")
    browser.open(tmp_path / "out" / "compare.html", height=4000)
    assert sorted(browser.texts("div.gone")) == sorted([texts["unreadable"], *[texts["missing"]] * 3])
    for thumbnail in (tmp_path / "out" / "compare" / "thumbnails").glob("*.jpg"):
        thumbnail.unlink()
    browser.open(tmp_path / "out" / "compare.html", height=4000)
    browser.until(lambda: browser.texts("a.gone") == [texts["no_thumbnail"]] * 2, "placeholders for thumbnails")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_hostile_text_is_shown_and_does_not_run(browser: Browser, tmp_path: Path, lang: str) -> None:
    text = "</script><script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"
    lines = [[stage_a_line(f"QC {text}", "pass", f"标签/{text}{side}×1", mission=text)] for side in "ab"]
    compared(
        write_side(tmp_path / "a", lines[0]), write_side(tmp_path / "b", lines[1]), tmp_path / "out", "--lang", lang
    )
    browser.open(tmp_path / "out" / "compare.html")
    assert titles(browser) == [f"QC {text} · 图片_1"]
    assert browser.text(".sides .a mark") == f"标签/{text}a×1"
    browser.choose("#mission", text)
    assert len(titles(browser)) == 1
    assert browser.run("return window.ran === undefined")
    assert browser.console() == []


def test_flips_show_both_verdicts(browser: Browser, tmp_path: Path) -> None:
    compared(*flipped_sides(tmp_path), tmp_path / "out", "--lang", "en")
    page = tmp_path / "out" / "compare.html"
    browser.open(page)
    assert titles(browser) == ["QC-1", "QC-2", "QC-3", "QC-4"]
    assert browser.texts("article:nth-of-type(1) h4") == ["A · fail · p_pass 0.2000", "B · pass · p_pass 0.5000"]
    browser.choose("#kind", "kind_right")
    assert titles(browser) == ["QC-4"]
    browser.open(page, **PHONE)
    assert browser.run(SIDEWAYS) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(browser: Browser, pages: dict[str, Path], scheme: str) -> None:
    """WCAG 2.2, level AA: 4.5 to 1."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        browser.open(pages["zh"])
        assert browser.run(FAINT) == []
    finally:
        browser.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
