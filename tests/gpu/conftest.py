"""Fixtures of the tests on a GPU: a tiny checkpoint, and a device whose memory is free."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.checkpoints import write_tiny
from support.gpu import release


@pytest.fixture(autouse=True)
def _free_memory() -> Iterator[None]:
    """Each test begins and ends without the engines of others."""
    release()
    yield
    release()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint of a few million weights. Not to be written to."""
    return write_tiny(tmp_path_factory.mktemp("checkpoint") / "tiny")
