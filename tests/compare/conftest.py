"""Two sides with every kind of change, and photos that are upright, rotated, damaged and gone."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.compared_files import changed_sides


@pytest.fixture
def sides(tmp_path: Path) -> Callable[[], tuple[Path, Path]]:
    return lambda: changed_sides(tmp_path)
