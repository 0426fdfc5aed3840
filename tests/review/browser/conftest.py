"""Two browsers for all tests of the reader's page, and the files of a small world."""

from collections.abc import Iterator

import pytest
from support.chromium import Browser, chromium
from support.review_files import ReviewFiles, write_review_files


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Without Chromium the tests fail instead of being skipped: they run only on request."""
    with chromium(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="session")
def second_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Another person's: a profile of its own."""
    with chromium(tmp_path_factory.mktemp("second-profile")) as started:
        yield started


@pytest.fixture(scope="session")
def few_files(tmp_path_factory: pytest.TempPathFactory) -> ReviewFiles:
    """12 groups, one photo each."""
    return write_review_files(tmp_path_factory.mktemp("few"), 12, photos=1)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> ReviewFiles:
    """32 groups of one mission, three photos each."""
    return write_review_files(tmp_path_factory.mktemp("files"), 32, photos=3)
