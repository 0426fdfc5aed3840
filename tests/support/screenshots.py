"""Pictures of the demo's report for the docs: docs/images/report.png and report-group.png.

python tests/support/screenshots.py      needs what `make test-browser` needs; a minute on two cores
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from support.chromium import Browser, chromium
from yanshou.cli import main

IMAGES = Path(__file__).parents[2] / "docs" / "images"
THRESHOLD = "0.92"  # blocks one correct group: without it the demo shows no error
WIDTH = 1280  # CSS pixels


def evaluated(folder: Path) -> Path:
    """Runs the demo, and writes its report in English with a threshold."""
    main(["demo", "--output-dir", str(folder / "demo")], standalone_mode=False)
    verdicts = sorted(map(str, (folder / "demo" / "verdicts").glob("*_verdicts.jsonl")))
    report = ["evaluate", "--lang", "en", "--threshold", THRESHOLD, "--output-dir", str(folder / "report"), *verdicts]
    main(report, standalone_mode=False)
    return folder / "report" / "report.html"


def save(browser: Browser, name: str) -> None:
    """Saves the visible part of the page as docs/images/NAME.png."""
    browser.run("document.documentElement.style.scrollbarWidth = 'none'")  # the picture shows no scroll bar
    file = IMAGES / f"{name}.png"
    browser.chrome.save_screenshot(str(file))
    Image.open(file).convert("RGB").save(file, optimize=True)


def pictures(folder: Path) -> None:
    page = evaluated(folder)
    with chromium(folder / "profile") as browser:
        browser.open(page, width=WIDTH, height=1980)
        save(browser, "report")
        browser.open(page, "outcome=false-block", WIDTH, 760)
        all_loaded = "return [...document.querySelectorAll('.photos img')].every((image) => image.complete)"
        browser.until(lambda: browser.run(all_loaded), "thumbnails")
        save(browser, "report-group")


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        pictures(Path(folder))
