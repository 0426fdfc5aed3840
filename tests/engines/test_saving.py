"""Weights that cannot be written."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from yanshou.engines.saving import save_errors
from yanshou.errors import OutputError


def test_an_error_of_safetensors_names_the_path_and_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "model.safetensors"
    with pytest.raises(OutputError) as caught, save_errors(path):
        save_file({"weight": torch.ones(1)}, path)

    assert str(caught.value).startswith(f"{path}: cannot be written: ")
    assert "Its folder is missing. Make it or choose another folder, then run again" in str(caught.value)
