"""The benchmark of the reviewer's page runs, at a small size."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))

import review

pytestmark = pytest.mark.browser


def test_the_benchmark_measures_everything(tmp_path: Path) -> None:
    results = review.main(
        ["--groups", "60", "--photos", "150", "--pictures", "3", "--small", "--answers", "10", "--read", "2", "--every",
         "0.2", "--folder", str(tmp_path / "world"), "--json", str(tmp_path / "review.json")]
    )  # fmt: skip
    assert (tmp_path / "review.json").exists()
    numbers = {name: found["n"] for name, found in results.items() if isinstance(found, dict)}
    assert list(numbers.values()) == [200, 40, 4, 5, 2, 2]
    assert all(found["median"] > 0 for found in results.values() if isinstance(found, dict))
