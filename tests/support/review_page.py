"""The reader's page in a real browser, worked as a reader works it.

with served_page(browser, tmp_path / "review.sqlite", files) as page:
    page.sign_in("李")
    page.begin()
    page.answer("f", "1")           ends with Enter; returns when the next group is shown
    page.answers()                  the store's rows
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.chromium import Browser
from support.review_files import ReviewFiles
from support.review_server import served
from support.review_store import make_store
from yanshou.review.store.store import Store
from yanshou.review.web.languages import TRANSLATIONS

ENTER, ESCAPE, SPACE, LEFT, RIGHT = "\ue007", "\ue00c", " ", "\ue012", "\ue014"
SCREEN = "return document.querySelector('main > section:not([hidden])').id"
SHOWN = "return performance.getEntriesByName('group shown').length"
TIMES = "return performance.getEntriesByName('group shown').map((entry) => entry.duration)"
REPLIES = "return performance.getEntriesByType('resource').length"
QUIET_S = 0.5
PHONE = {"width": 390, "height": 844, "touch": True}


@dataclass
class ReviewPage:
    """One browser at one server."""

    browser: Browser
    url: str
    key: str
    store: Path
    lang: str = "zh"

    @property
    def texts(self) -> Any:
        return TRANSLATIONS[self.lang]

    def sign_in(self, name: str, **size: Any) -> None:
        """Opens the link and gives the name. Ends at the choice of a queue."""
        self.browser.visit(f"{self.url}/start?key={self.key}", **size)
        self.until_screen("name")
        self.browser.run("document.getElementById('name-field').value = arguments[0]", name)
        self.browser.press(ENTER)
        self.until_screen("choice")

    def begin(self) -> None:
        """Takes the first queue, and waits for the first group's photos."""
        self.browser.press(ENTER)
        self.until_screen("work")
        self.until_photos()

    def answer(self, *keys: str) -> None:
        """Presses the keys and Enter. Returns when the next group is shown, or none is left."""
        before = self.shown()
        self.browser.press(*keys, ENTER)
        self.browser.until(lambda: self.shown() > before or self.screen() == "done", "the next group")

    def undo(self) -> None:
        before = self.shown()
        self.browser.press("z")
        self.browser.until(lambda: self.shown() > before, "the group again")

    def shown(self) -> int:
        """How many times a group was shown."""
        return int(self.browser.run(SHOWN))

    def times(self) -> list[float]:
        """Milliseconds from the moment that a group is to be shown until it is painted, of each."""
        return list(self.browser.run(TIMES))

    def screen(self) -> str:
        return str(self.browser.run(SCREEN))

    def until_screen(self, name: str) -> None:
        self.browser.until(lambda: self.screen() == name, f"the screen {name}")

    def until_photos(self) -> None:
        """Until every photo of the group is there, or its placeholder."""
        loading = self.texts["photo_loading"]
        self.browser.until(lambda: loading not in self.browser.texts(".frame"), "photos")

    def until_said(self, selector: str, text: str) -> None:
        self.browser.until(lambda: text in self.browser.text(selector), text)

    def panel_open(self) -> bool:
        return self.browser.count("#panel:not([hidden])") == 1

    def until_quiet(self) -> None:
        """Until no reply has come for a while: what the page asked for when it showed a group is there."""
        before = -1
        while before != (now := int(self.browser.run(REPLIES))):
            before = now
            time.sleep(QUIET_S)

    def group(self) -> int:
        """The group on the screen: the last entry of each summary of `write_review_files` is of its photo alone."""
        entry = self.browser.text("figure:first-child li:last-child")
        return int(self.rows("SELECT group_ref FROM photos WHERE summary LIKE ?", f"%{entry}")[0][0])

    def holder(self, group: int) -> str | None:
        """The session that has the group."""
        found = self.rows("SELECT session FROM leases WHERE group_ref = ?", group)
        return str(found[0]["session"]) if found else None

    def answer_until_held(self, group: int, other: str | None) -> None:
        """Answers groups until this browser has the group. `other`: the session that had it, if its lease is there."""
        while self.holder(group) == other:
            assert self.screen() == "work", "no group is left, and the other session still has this one"
            self.until_photos()
            self.answer("u")  # no second reader: the groups are done

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """Rows of the store, read beside the server."""
        with closing(sqlite3.connect(f"{self.store.as_uri()}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return database.execute(sql, values).fetchall()

    def answers(self) -> list[Any]:
        return self.rows("SELECT * FROM answers ORDER BY id")


@contextmanager
def served_page(
    browser: Browser, store: Path, files: ReviewFiles, *, lang: str = "zh", network: bool = False, **settings: Any
) -> Iterator[ReviewPage]:
    """A server in a thread over a new store of the files. `settings`: of the first start."""
    key = make_store(store, files, **settings)
    with (
        Store.open(store, open_mode=settings.get("open", False)) as opened,
        served(opened, lang=lang, network=network) as server,
    ):
        yield ReviewPage(browser, server.url, key, store, lang)
        browser.visit("about:blank")  # the page gives its groups back while the server is there
