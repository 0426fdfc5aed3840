"""Every file here starts Ray: `make test-ray`."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from yanshou.settings import EngineSettings, WorkerSettings

if TYPE_CHECKING:
    from yanshou.engines.workers.cluster import Cluster


@pytest.fixture
def cluster() -> "Iterator[Callable[..., Cluster]]":
    """Starts a private Ray for scripted workers on the CPU; it ends with the test."""
    from yanshou.engines.workers.cluster import Cluster

    started: list[Cluster] = []

    def start(script: Path, workers: int = 2, **options: object) -> Cluster:
        given = EngineSettings(
            checkpoint=str(script), engine="scripted", device="cpu", batch_size=8,
            workers=WorkerSettings(workers=workers, **options),
        )  # fmt: skip
        started.append(Cluster(given))
        return started[-1]

    yield start
    for place in started:
        place.close()
        shutil.rmtree(place._runtime.folder, ignore_errors=True)  # kept where a worker died
