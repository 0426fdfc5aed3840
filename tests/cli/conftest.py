"""What the tests of the command line run."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli_runs import SHIELD, Options


@pytest.fixture
def job(photo_tree: Callable[..., Path], script: Callable[..., Path], tmp_path: Path) -> Options:
    """Two groups, three photos, one mission; the options of a run over them."""
    root = photo_tree({f"{SHIELD}/审核不通过/QC-1": 2, f"{SHIELD}/审核通过/QC-2": 1})
    return {
        "engine": "scripted", "checkpoint": str(script()), "input-dir": str(root), "output-dir": str(tmp_path / "out"),
        "mission": SHIELD,
    }  # fmt: skip
