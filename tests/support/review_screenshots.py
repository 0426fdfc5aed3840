"""Pictures of the pages for the docs: docs/images/review.png, review-panel.png, review-phone.png and review-lead.png.

python tests/support/review_screenshots.py      needs what `make test-browser` needs; two minutes on two cores
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from PIL import Image

from support.chromium import Browser, chromium
from support.review_answers import People
from support.review_page import PHONE, ReviewPage
from support.review_server import served
from yanshou.cli import main
from yanshou.missions import load_missions
from yanshou.review.agreement import ANSWERS
from yanshou.review.start import started
from yanshou.review.store.refusals import RefusalError
from yanshou.settings import ReviewSettings

IMAGES = Path(__file__).parents[2] / "docs" / "images"
COLOURS = 64  # of a picture, the rare ones of buttons and marks among them: under 150 KB
DESK = {"width": 1280, "height": 720}
PHOTOS = 3  # of the pictured group
REASONS = {"fail": "照片不清晰，需重拍", "unsure": "拍摄角度或范围不够，需补拍"}


def save(browser: Browser, name: str) -> None:
    """Saves the visible part of the page as docs/images/NAME.png."""
    file = IMAGES / f"{name}.png"
    browser.chrome.save_screenshot(str(file))
    picture = Image.open(file).convert("RGB")
    picture.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(file, optimize=True)


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


def lead_picture(folder: Path, verdicts: Sequence[Path]) -> None:
    """The lead's page, after three people have read a part of the queue."""
    settings = ReviewSettings(store=folder / "lead.sqlite", files=tuple(verdicts), all_groups=True, second_share=0.3)
    with (
        started(settings, load_missions()) as start,
        served(start.store, lang="zh") as server,
        chromium(folder / "lead-profile") as browser,
    ):
        answer_some(People(start.store), Random(3))
        browser.size(DESK["width"], 900)
        browser.chrome.get(f"{server.url}/lead?key={start.store.key('lead')}")
        browser.until(lambda: browser.count("#missions td"), "the overview")
        save(browser, "review-lead")


def answer_some(people: People, random: Random) -> None:
    """Each of three people reads a share of the groups; two of three answers are the folder's label."""
    keys = sorted(people.ids, key=str)
    for reader, share in (("李", 0.9), ("王", 0.7), ("陈", 0.1)):
        for key in random.sample(keys, int(share * len(keys))):
            said = key.label or "pass" if random.random() < 2 / 3 else random.choice(ANSWERS)
            with suppress(RefusalError):  # settled already
                people.say(reader, key, said, REASONS.get(said), round(random.uniform(4, 30), 1))


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        main(["demo", "--output-dir", f"{name}/demo"], standalone_mode=False)
        files = sorted(Path(name).glob("demo/verdicts/*_verdicts.jsonl"))
        pictures(Path(name), files)
        lead_picture(Path(name), files)
