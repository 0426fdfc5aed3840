"""Photos are upright, open large on a click, and have a placeholder if they are missing."""

import io
from pathlib import Path

import pytest
from PIL import Image
from support.chromium import Browser
from support.judged_files import write_judged
from support.lines import GOOD, verdict
from support.photos import photo_file
from support.report_page import Report, shown, wait_for_image, with_photos, written

pytestmark = pytest.mark.browser


def colours(png: bytes) -> str:
    """The colours of a picture's upper left, upper right, lower left and lower right: r for red, b for blue."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    places = [(x * image.width // 20, y * image.height // 20) for y in (7, 13) for x in (7, 13)]  # away from the edges
    pixels = [image.getpixel(place) for place in places]
    return "".join("r" if red > 200 > blue else "b" if blue > 200 > red else "?" for red, _, blue in pixels)


def test_a_rotated_photo_is_upright_as_thumbnail_and_large(browser: Browser, report: Report) -> None:
    browser.open(report.page)
    for number, wide, drawn in [(1, True, "rbrb"), (2, False, "rrbb")]:  # in both files red is on the left
        figure = f".photos figure:nth-child({number})"
        wait_for_image(browser, f"{figure} img")
        assert colours(browser.picture(f"{figure} img")) == drawn
        browser.click(f"{figure} button")
        wait_for_image(browser, "#large-photo")
        assert browser.run("return document.getElementById('large-photo').src").endswith(f"QC-3b_{number}.jpg")
        width, height = browser.run(
            "const i = document.getElementById('large-photo'); return [i.naturalWidth, i.naturalHeight]"
        )
        assert (width > height) == wide
        assert colours(browser.picture("#large-photo")) == drawn
        browser.click("#large-close")
    for file in (report.page.parent / "thumbnails").iterdir():
        assert b"Exif" not in file.read_bytes()


def test_a_photo_opens_large_on_click_and_closes(browser: Browser, report: Report) -> None:
    from selenium.webdriver.common.keys import Keys

    def is_open() -> bool:
        return bool(browser.run("return document.getElementById('large').open"))

    browser.open(report.page)
    for close in (
        lambda: browser.press(Keys.ESCAPE),
        lambda: browser.click("#large-photo"),
        lambda: browser.press(Keys.ENTER),
    ):
        browser.click(".photos figure:nth-child(1) button")
        assert is_open()
        wait_for_image(browser, "#large-photo")
        assert browser.text("#large-text") == GOOD
        assert "图片_1" in browser.text("#large-name")
        width = browser.run("return document.getElementById('large-photo').getBoundingClientRect().width")
        assert width > 3 * browser.run("return document.querySelector('.photos img').getBoundingClientRect().width")
        close()
        assert not is_open()
    browser.press("j")  # keys move between groups again
    assert shown(browser) == "QC-3"


def test_keys_open_a_photo_by_its_number_and_move_to_the_next(browser: Browser, report: Report) -> None:
    browser.open(report.page)
    browser.press("2")
    assert "图片_2" in browser.text("#large-name")
    browser.press("k")
    assert "图片_1" in browser.text("#large-name")
    browser.press("j", "j", "j")
    assert "图片_2" in browser.text("#large-name")
    browser.press("1")
    assert "图片_1" in browser.text("#large-name")
    browser.press("3")  # damaged: nothing to open
    assert "图片_1" in browser.text("#large-name")
    assert shown(browser) == "QC-3b"


def test_a_missing_or_damaged_photo_has_a_placeholder(browser: Browser, report: Report) -> None:
    browser.open(report.page)
    assert browser.texts(".photos .gone") == [report.texts["photo_unreadable"], report.texts["photo_missing"]]
    assert browser.count(".photos figure") == 4


def test_photos_and_thumbnails_deleted_later_get_a_placeholder(browser: Browser, tmp_path: Path) -> None:
    photos = [photo_file(tmp_path / "photos" / f"{number}.jpg") for number in (1, 2)]
    report = written([write_judged(tmp_path, [verdict("QC-1")], [with_photos("QC-1", "pass", photos)])], tmp_path)
    browser.open(report.page)
    wait_for_image(browser, ".photos figure:nth-child(2) img")
    for path in photos:
        path.unlink()
    browser.click(".photos figure:nth-child(2) button")
    browser.until(
        lambda: report.texts["original_failed"] in browser.text("#large-name"), "the notice that the photo is gone"
    )
    wait_for_image(browser, "#large-photo")  # the thumbnail instead
    for thumbnail in (tmp_path / "thumbnails").iterdir():
        thumbnail.unlink()
    browser.open(report.page)
    browser.until(
        lambda: browser.texts(".photos .gone") == [report.texts["thumbnail_missing"]] * 2, "placeholders for thumbnails"
    )
