"""Settings of a training on a tiny dataset."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.training_rows import rows, written

from yanshou.settings import TrainSettings


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., TrainSettings]:
    def build(**changes: Any) -> TrainSettings:
        given = {
            "checkpoint": "demo", "output_dir": tmp_path / "out", "device": "cpu",
            "train_file": written(tmp_path / "train.jsonl", rows(12, 1)),
            "val_file": written(tmp_path / "val.jsonl", rows(2, 2)),
        }  # fmt: skip
        return TrainSettings(**(given | changes))

    return build
