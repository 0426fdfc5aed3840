"""Pictures of the reader's page for the docs: docs/images/review.png, review-panel.png and review-phone.png.

python tests/support/review_screenshots.py      needs what `make test-browser` needs; two minutes on two cores
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from support.chromium import Browser, chromium
from support.review_page import PHONE, ReviewPage
from support.review_server import served
from yanshou.cli import main
from yanshou.missions import load_missions
from yanshou.review.start import started
from yanshou.settings import ReviewSettings

IMAGES = Path(__file__).parents[2] / "docs" / "images"
COLOURS = 200  # of a picture: photos are drawn in few
DESK = {"width": 1280, "height": 720}
PHOTOS = 3  # of the pictured group


def save(browser: Browser, name: str) -> None:
    """Saves the visible part of the page as docs/images/NAME.png."""
    file = IMAGES / f"{name}.png"
    browser.chrome.save_screenshot(str(file))
    Image.open(file).convert("RGB").quantize(COLOURS).save(file, optimize=True)


@contextmanager
def opened(browser: Browser, store: Path, verdicts: Sequence[Path], lang: str) -> Iterator[ReviewPage]:
    """The page over a new store of all groups of the verdicts."""
    settings = ReviewSettings(store=store, files=tuple(verdicts), all_groups=True, second_share=0.0)
    with started(settings, load_missions()) as start, served(start.store, lang=lang) as server:
        yield ReviewPage(browser, server.url, start.store.key("reader"), store, lang)
        browser.visit("about:blank")


def until_some_photos(page: ReviewPage) -> None:
    """Answers groups until one has `PHOTOS` photos."""
    page.until_photos()
    while page.browser.count("figure") < PHOTOS:
        page.answer("j")
        page.until_photos()


def pictures(folder: Path, verdicts: Sequence[Path]) -> None:
    with chromium(folder / "profile") as browser:
        with opened(browser, folder / "zh.sqlite", verdicts, "zh") as page:
            page.sign_in("李", **DESK)
            page.begin()
            page.answer("j")
            until_some_photos(page)
            save(browser, "review")
            browser.press("f", "3")
            save(browser, "review-panel")
        with opened(browser, folder / "en.sqlite", verdicts, "en") as page:
            page.sign_in("Li", **PHONE)
            page.begin()
            page.answer("j")
            until_some_photos(page)
            save(browser, "review-phone")


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        main(["demo", "--output-dir", f"{name}/demo"], standalone_mode=False)
        pictures(Path(name), sorted(Path(name).glob("demo/verdicts/*_verdicts.jsonl")))
