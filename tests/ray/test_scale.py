"""The benchmark of the driver runs with Ray: one row of it, whose workers share processes."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import scale

pytestmark = pytest.mark.ray


def test_a_crowd_of_workers_writes_every_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "RUNS", ((3, 0.0),))
    (result,) = scale.main(["driver", "--groups", "40", "--folder", str(tmp_path / "scale")])
    assert (result["workers"], result["photos"]) == (3, 120)
    assert result["photos_per_s"] > 0
