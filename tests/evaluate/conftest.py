"""What the tests of evaluation build their files with: one mission's verdicts, faults, run file and Stage-A lines."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from support.verdict_files import write_judged


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., Path]:
    """Writes a mission's files; gives the file of verdicts."""
    return partial(write_judged, tmp_path)
