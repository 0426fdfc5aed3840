"""The server of this folder's tests: `transformers serve` with the demo checkpoint."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.endpoint_runs import LocalRun, draw_photos, locally, summaries
from support.serving import Server

from yanshou.engines import checkpoint


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests; a test that kills it starts it again."""
    log = tmp_path_factory.mktemp("server") / "server.log"
    serving = Server(checkpoint.find("demo", None).weights, log)
    serving.start()
    yield serving
    serving.kill()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Groups of photos for all tests, which only read them."""
    return draw_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="session")
def local(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalRun:
    """What the local engine says about them."""
    out = tmp_path_factory.mktemp("local")
    ran = locally(photos, out, "--json")
    assert ran.exit_code == 0, ran.output
    (row,) = json.loads(ran.stdout)
    return LocalRun(out, summaries(out), row)
