"""report.zip opens from another folder, when the photos and the report that it was made from are gone."""

import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest
from support.chromium import Browser
from support.judged_files import write_judged
from support.lines import stage_a_line, verdict
from support.photos import photo_file
from support.report_page import LANGUAGES, shown, wait_for_image, with_photos

from yanshou.report.evaluate_files import evaluate_files
from yanshou.report.translations import TRANSLATIONS
from yanshou.settings import EvaluateSettings

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("lang", LANGUAGES)
def test_an_unpacked_archive_shows_its_photos_without_the_originals(
    browser: Browser, tmp_path: Path, lang: str
) -> None:
    texts, source, other = TRANSLATIONS[lang], tmp_path / "source", tmp_path / "另一台 PC#1"
    photos = [source / "照片" / f"QC-1_{number}.jpg" for number in (1, 2, 3)]
    for photo in photos[:2]:
        photo_file(photo, size=(2400, 1600))
    verdicts = [verdict("QC-1", "fail", p=0.9), verdict("QC-2", "pass", p=0.8)]
    file = write_judged(source, verdicts, [with_photos("QC-1", "fail", photos), stage_a_line("QC-2")])
    evaluate_files(EvaluateSettings(verdicts=(file,), output_dir=source / "out", portable=True, lang=lang))
    ZipFile(source / "out" / "report.zip").extractall(other)
    shutil.rmtree(source)

    browser.open(other / "report" / "report.html")
    assert (shown(browser), browser.count("#list .row")) == ("QC-1", 1)
    assert browser.text("#status") == texts["shown_packed"].format(shown=1, groups=1, evaluated=2)
    first, *_, last = browser.texts(".packed p")
    assert first.startswith(texts["packed"].format(included=1, groups=2, kinds="")[:12])
    assert last == texts["packed_absent"].format(photos=1)
    wait_for_image(browser, ".photos figure:nth-child(2) img")
    assert browser.texts(".photos .gone") == [texts["photo_missing"]]
    browser.click(".photos figure:nth-child(2) button")
    wait_for_image(browser, "#large-photo")
    assert browser.run("return document.getElementById('large-photo').naturalWidth") == 1600
    assert browser.text("#large-original") == texts["reduced"]
    assert browser.console() == []
    inside = (other / "report").as_uri()
    assert [url for url in browser.requests() if not url.startswith(f"{inside}/")] == []
