"""`weight_files`: the files that transformers would read, and what their headers say."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.checkpoint_folders import INDEX, folder, index, sharded, weights

from yanshou.engines.checkpoint import TensorHeader, faults, read_headers, weight_files
from yanshou.errors import CheckpointError


def chosen_by_transformers(made: Path, named: str | None = None) -> list[str]:
    from transformers.modeling_utils import _get_resolved_checkpoint_files

    paths, _ = _get_resolved_checkpoint_files(
        str(made), variant=None, gguf_file=None, use_safetensors=True, user_agent=None, is_remote_code=False,
        transformers_explicit_filename=named,
    )  # fmt: skip
    return sorted(Path(path).name for path in paths)


WHOLE_AND_INDEX: dict[str, Any] = {INDEX: index(a="m-1.safetensors"), "m-1.safetensors": weights("a")}


@pytest.mark.parametrize("without", [[], ["model.safetensors"]])
def test_the_chosen_files_are_those_that_transformers_chooses(tmp_path: Path, without: list[str]) -> None:
    made = folder(tmp_path / "made", *without, **WHOLE_AND_INDEX)
    wanted = ["m-1.safetensors"] if without else ["model.safetensors"]
    assert [path.name for path in weight_files(made)] == chosen_by_transformers(made) == wanted


@pytest.mark.parametrize("named", ["m-1.safetensors", INDEX])
def test_the_file_that_config_json_names_is_chosen(tmp_path: Path, named: str) -> None:
    config = json.dumps({"model_type": "qwen3_vl", "transformers_weights": named})
    made = folder(tmp_path / "made", config__json=config, **WHOLE_AND_INDEX)
    assert [path.name for path in weight_files(made)] == chosen_by_transformers(made, named) == ["m-1.safetensors"]


@pytest.mark.parametrize("named", ["adapter.bin", 3, ["a"]])
def test_another_kind_of_file_in_config_json_is_refused(tmp_path: Path, named: object) -> None:
    made = folder(tmp_path / "made", config__json=json.dumps({"model_type": "qwen3_vl", "transformers_weights": named}))
    (fault,) = faults(made)
    assert fault == f"{made / 'config.json'}: transformers_weights is {named!r}. Delete that key."


@pytest.mark.parametrize("name", ["../other/model.safetensors", "/models/model.safetensors"])
def test_an_index_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    made = folder(tmp_path / "made", "model.safetensors", **{INDEX: index(a=name)})
    assert list(faults(made)) == [f"{made}: its index names {name}, outside the folder. Copy the checkpoint again."]


def test_an_index_without_metadata_is_refused_because_transformers_asks_for_it(tmp_path: Path) -> None:
    made = sharded(tmp_path / "made")
    (made / INDEX).write_text(json.dumps({"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}))
    assert list(faults(made)) == [
        f'{made / INDEX}: metadata is missing, and transformers asks for it. Add "metadata": {{}}.'
    ]


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        (
            {"m-2.safetensors": weights("c")},
            "{}/m.json: b should be in m-2.safetensors, and it is not: index and files ",
        ),
        ({"m-1.safetensors": weights("a", "b")}, "{}/m-2.safetensors: b is also in m-1.safetensors: the files "),
        ({"m-1.safetensors": weights("b"), "m-2.safetensors": weights("a")}, "{}/m.json: a should be in m-1.safeten"),
    ],
    ids=["missing", "twice", "swapped"],
)
def test_shards_of_two_saves_are_refused(tmp_path: Path, files: dict[str, str], fault: str) -> None:
    made = sharded(tmp_path / "mixed")
    for name, content in files.items():
        (made / name).write_text(content)
    (found,) = faults(made)
    assert found.startswith(fault.format(made).replace("m.json", INDEX))


def test_weights_that_the_index_does_not_name_are_read_as_transformers_reads_them(tmp_path: Path) -> None:
    made = sharded(tmp_path / "made")
    (made / "m-2.safetensors").write_text(weights("b", "c"))
    assert list(faults(made)) == []
    assert set(read_headers(weight_files(made))) == {"a", "b", "c"}


def test_headers_give_type_shape_and_file(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(3, 2, dtype=torch.bfloat16), "b": torch.zeros(0)}, path)
    assert read_headers([path]) == {"a": TensorHeader("BF16", (3, 2), path), "b": TensorHeader("F32", (0,), path)}


@pytest.mark.parametrize("length", [1, 7, 20, 80, -1])
def test_a_cut_file_is_named(tmp_path: Path, length: int) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(30, 20)}, path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError) as caught:
        read_headers([path])
    assert str(caught.value).startswith(f"{path}: not a whole safetensors file (")
