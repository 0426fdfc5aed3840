"""Pictures of the demo's report for the docs: docs/images/report.png and report-group.png.

python tests/support/screenshots.py      needs what `make test-browser` needs; a minute on two cores
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from support.chromium import Browser, chromium
from yanshou.cli import main

IMAGES = Path(__file__).parents[2] / "docs" / "images"
THRESHOLD = "0.98"  # blocks one group that is all right: without it the demo has no mistake to show
WIDTH = 1280  # CSS pixels


def evaluated(folder: Path) -> Path:
    """The demo, and its report in English with a threshold."""
    main(["demo", "--output-dir", str(folder / "demo")], standalone_mode=False)
    verdicts = sorted(map(str, (folder / "demo" / "verdicts").glob("*_verdicts.jsonl")))
    report = ["evaluate", "--lang", "en", "--threshold", THRESHOLD, "--output-dir", str(folder / "report"), *verdicts]
    main(report, standalone_mode=False)
    return folder / "report" / "report.html"


def save(browser: Browser, name: str) -> None:
    """What is in the window."""
    browser.run("document.documentElement.style.scrollbarWidth = 'none'")  # it is the picture that ends there
    file = IMAGES / f"{name}.png"
    browser.chrome.save_screenshot(str(file))
    Image.open(file).convert("RGB").save(file, optimize=True)


def pictures(folder: Path) -> None:
    page = evaluated(folder)
    with chromium(folder / "profile") as browser:
        browser.open(page, width=WIDTH, height=1630)
        save(browser, "report")
        browser.open(page, "outcome=false-block", WIDTH, 760)
        loaded = "return [...document.querySelectorAll('.photos img')].every((image) => image.complete)"
        browser.until(lambda: browser.run(loaded), "thumbnails")
        save(browser, "report-group")


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        pictures(Path(folder))
