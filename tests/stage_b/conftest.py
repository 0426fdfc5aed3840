"""Files that the tests of Stage-B read."""

from pathlib import Path

import pytest
from support.judge_runs import record
from support.lines import SHIELD, write_lines


@pytest.fixture
def stage_a(tmp_path: Path) -> Path:
    """Twelve groups of one mission; every third job fails."""
    records = [record(number, label="pass" if number % 3 else "fail") for number in range(12)]
    return write_lines(tmp_path / f"{SHIELD}_stage_a.jsonl", records)
