"""The reference engine's answers, which the continuous engine's must equal."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.checkpoints import settings
from support.requests import Answers, answers

from yanshou.engines import Request
from yanshou.engines.transformers.engine import TransformersEngine


@pytest.fixture(scope="session")
def reference(tiny: Path) -> Callable[..., Answers]:
    """What the transformers engine answers to the same requests."""
    engines: dict[str, TransformersEngine] = {}

    def answered(requests: Sequence[Request], **sampling: Any) -> Answers:
        engine = engines.setdefault(str(sampling), TransformersEngine(settings(tiny, **sampling)))
        return answers(engine, requests)

    return answered
