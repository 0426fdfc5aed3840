"""One browser for all browser tests of compare.html, and a page per language."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chromium import Browser, chromium
from support.compared_files import changed_sides, compared

LANGUAGES = ("zh", "en")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Without Chromium the tests fail instead of being skipped: they run only on request."""
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """compare.html per language: six changes of two missions."""
    folder = tmp_path_factory.mktemp("compared")
    files = changed_sides(folder)
    for lang in LANGUAGES:
        compared(*files, folder / lang, "--lang", lang)
    return {lang: folder / lang / "compare.html" for lang in LANGUAGES}
