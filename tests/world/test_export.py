"""Exporting a trained checkpoint in the form in which the demo checkpoint is shipped."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from yanshou.engines import checkpoint
from yanshou.world.export import export, main


def test_a_trained_checkpoint_is_written_in_the_demo_checkpoints_form(tmp_path: Path) -> None:
    demo = checkpoint.locate("demo")
    shipped = {name: weight for path in demo.glob("*.safetensors") for name, weight in load_file(path).items()}
    trained = {name: weight.float() + 1 for name, weight in shipped.items() if "visual" not in name}
    (tmp_path / "trained").mkdir()
    save_file(trained, tmp_path / "trained" / "model.safetensors")
    export(tmp_path / "trained", tmp_path / "out")
    checkpoint.check(tmp_path / "out")
    written = {name: w for path in (tmp_path / "out").glob("*.safetensors") for name, w in load_file(path).items()}
    assert set(written) == set(shipped)
    for name, weight in written.items():
        assert weight.equal(trained[name].to(weight.dtype) if name in trained else shipped[name])
    assert {path.name: path.stat().st_size for path in (tmp_path / "out").iterdir()} == {
        path.name: path.stat().st_size for path in demo.iterdir()
    }


def test_a_folder_with_other_files_is_not_replaced(tmp_path: Path) -> None:
    demo = str(checkpoint.locate("demo"))
    (tmp_path / "notes.txt").touch()
    (tmp_path / "runs.json").mkdir()
    for name in ("notes.txt", "runs.json"):
        result = CliRunner().invoke(main, [demo, str(tmp_path)])

        assert result.exit_code == 1
        assert (
            "this is not a file of a checkpoint, and the folder would be replaced. Give a new folder" in result.stderr
        )
        assert (tmp_path / name).exists()


def test_the_current_folder_is_replaced_where_it_holds_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "config.json").write_text("{}")
    monkeypatch.chdir(target)
    export(checkpoint.locate("demo"), Path())

    checkpoint.check(target)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    ("weights", "target", "message"),
    [
        (None, "out", "trained: this folder has no safetensors weights. Give a checkpoint"),
        ({}, "out", "trained: this folder has no safetensors weights. Give a checkpoint"),
        ({"model.norm": [1]}, "out", "trained: the demo checkpoint has no model.norm. Give"),
        (
            {"model.language_model.norm.weight": [2]},
            "out",
            "the shape [2], not [256] as in the demo checkpoint. Give",
        ),
        ({"model.language_model.norm.weight": [256]}, "out", "is missing. Give a checkpoint"),
        ("torn", "out", "trained: the weights cannot be read: "),
        (None, "file", "file: this is a file. Give a folder"),
        (None, "file/out", "file: this is a file. Give a folder"),
    ],
)
def test_a_checkpoint_that_cannot_be_exported_is_refused_in_one_line(
    tmp_path: Path, weights: dict[str, list[int]] | str | None, target: str, message: str
) -> None:
    (tmp_path / "file").touch()
    if weights is not None:
        (tmp_path / "trained").mkdir()
        path = tmp_path / "trained" / "model.safetensors"
        if isinstance(weights, str):
            path.write_text(weights)
        else:
            save_file({name: torch.ones(shape) for name, shape in weights.items()}, path)
    result = CliRunner().invoke(main, [str(tmp_path / "trained"), str(tmp_path / target)])

    assert result.exit_code == 1
    error = result.stderr.splitlines()[-1]  # after transformers' progress bars
    assert error.startswith("Error: ")
    assert message in error
    assert not (tmp_path / "out").exists()
