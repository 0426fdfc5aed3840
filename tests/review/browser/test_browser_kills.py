"""SIGKILLs of the server while two people answer in real browsers: every answer counts once, no group is given to both.

`make test-browser` kills a few times; YANSHOU_REVIEW_BROWSER_KILLS=50 is the campaign. Each answer has a reason of its
own, by which it is found in the store. No answer contradicts the folder's label and no group is drawn for a second
reader, so a group that both browsers had would have two answers, or one that was refused.
"""

import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from support.chromium import Browser
from support.review_checks import rows
from support.review_files import DOUBT, write_review_files
from support.review_page import ENTER, ReviewPage
from support.review_server import ReviewServer
from support.review_store import make_store

pytestmark = pytest.mark.browser

A_FEW = 5
KILLS = int(os.environ.get("YANSHOU_REVIEW_BROWSER_KILLS", "0")) or A_FEW
GROUPS_PER_KILL = 40  # more than two browsers read between two kills
LONGEST_S = 1.5  # between a start and its kill
AT_WORK = "return Boolean(document.querySelector('main > #work:not([hidden])'))"
SAVED_LATER = "return Object.keys(localStorage).some((key) => key.includes('kept') && localStorage[key] !== '[]')"


class Reader:
    """A person at a browser, who answers until told to stop."""

    def __init__(self, page: ReviewPage, name: str, enough: threading.Event) -> None:
        self.page, self.name, self.answered = page, name, list[str]()
        self.reloads = 0
        self._enough, self._random = enough, Random(name)

    def begin(self) -> None:
        self.page.sign_in(self.name)
        self.page.begin()

    def work(self) -> None:
        while not self._enough.is_set():
            self._answer()
        assert self.page.browser.texts("#notices > *") == []  # refusals

    def _answer(self) -> None:
        reason, browser = f"{self.name}{len(self.answered)}", self.page.browser
        keys = (self._random.choice("ju"), "/", *reason, ENTER)
        self.answered.append(reason)
        if self._random.random() < 0.1:
            self.reloads += 1
            browser.press(*keys)
            self._reload()  # perhaps before the answer is on the disk
            browser.until(lambda: not browser.run(SAVED_LATER), "the answer of before the reload")
        else:
            self.page.answer(*keys[:-1])

    def _reload(self) -> None:
        """Reloads until the page is there with all its parts: the server may be down in the middle of it."""
        browser = self.page.browser
        while True:
            browser.chrome.refresh()
            until = time.monotonic() + 5
            while time.monotonic() < until:
                if browser.run(AT_WORK):
                    return
                time.sleep(0.05)


@pytest.mark.timeout(1800)
def test_a_killed_server_loses_and_doubles_no_answer_of_the_page(
    browser: Browser, second_browser: Browser, tmp_path: Path
) -> None:
    random, store, enough = Random(50), tmp_path / "review.sqlite", threading.Event()
    files = write_review_files(tmp_path, KILLS * GROUPS_PER_KILL, 1, kinds=[DOUBT], labels=["pass"])
    key = make_store(store, files, second_share=0)
    with ReviewServer(store, tmp_path) as server, ThreadPoolExecutor() as threads:
        server.start()
        readers = [
            Reader(ReviewPage(one, server.url, key, store), name, enough)
            for one, name in ((browser, "Li"), (second_browser, "Wang"))
        ]
        for reader in readers:
            reader.begin()
        working = [threads.submit(reader.work) for reader in readers]
        for _ in range(KILLS):
            time.sleep(random.uniform(0, LONGEST_S))
            server.kill()
            assert [tuple(row) for row in rows(store, "PRAGMA integrity_check")] == [("ok",)]
            server.start(wait=False)
        enough.set()
        for done in working:
            done.result()
        for reader in readers:
            reader.page.browser.visit("about:blank")
    answers = rows(store, "SELECT reason, group_ref, reader FROM answers")
    assert Counter(row["reason"] for row in answers) == Counter(
        reason for reader in readers for reason in reader.answered
    )
    assert max(Counter(row["group_ref"] for row in answers).values()) == 1
    counts = [f"{len(reader.answered)} answers, {reader.reloads} reloads" for reader in readers]
    print(f"{KILLS} kills: {'; '.join(counts)}")
