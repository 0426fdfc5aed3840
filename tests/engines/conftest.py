"""One tiny checkpoint for all tests of the engines, and engines that share its weights."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.checkpoints import settings, write_tiny

from yanshou.engines.transformers.engine import TransformersEngine


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to."""
    return write_tiny(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def engine(tiny: Path) -> Callable[..., TransformersEngine]:
    """Builds an engine on the tiny checkpoint; the weights are loaded once for all of them."""

    @cache
    def first() -> TransformersEngine:
        return TransformersEngine(settings(tiny))

    def build(**options: Any) -> TransformersEngine:
        built = TransformersEngine(settings(tiny, **options))
        vars(built).update(processor=first().processor, model=first().model)
        return built

    return build
