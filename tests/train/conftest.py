"""Settings of a training on a tiny dataset."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.training_rows import rows, write_dataset

from yanshou.settings import TrainSettings


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., TrainSettings]:
    def build(**changes: Any) -> TrainSettings:
        data = write_dataset(tmp_path, train=rows(12, 1), val=rows(2, 2))
        given = {
            "checkpoint": "demo", "output_dir": tmp_path / "out", "device": "cpu",
            "train_file": data / "train.jsonl", "val_file": data / "val.jsonl",
        }  # fmt: skip
        return TrainSettings(**(given | changes))

    return build
