"""`yanshou.engines.checkpoint.fp8`: FP8 is accepted where every weight has its scale, all else refused in words."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.checkpoints import WEIGHTS, Spoil, edited, spoilt, without_tensor, write_tiny
from support.quantized import (
    FINE_GRAINED,
    by_block,
    by_channel,
    by_tensor,
    compressed_tensors,
    write_fine_grained,
    write_fp8,
    write_per_channel,
)
from torch import Tensor

from yanshou.engines.checkpoint import faults, fp8_scales
from yanshou.errors import CheckpointError

UP = "model.language_model.layers.0.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Larger than one block, and not a whole number of blocks."""
    return write_tiny(tmp_path_factory.mktemp("checkpoint") / "tiny", intermediate_size=320)


def tensors(change: Callable[[dict[str, Tensor]], Any]) -> Spoil:
    """Changes the tensors of the weight file."""

    def spoil(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        change(weights)
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})

    return spoil


def test_what_qwen_publishes_is_accepted(tiny: Path, tmp_path: Path) -> None:
    folder = write_fine_grained(tiny, tmp_path / "fp8")
    assert list(faults(folder)) == []
    found = fp8_scales(folder)
    assert len(found) == 2 * 7  # q, k, v, o, gate, up and down in two layers
    assert found[UP].name == f"{UP}_scale_inv"
    assert (found[UP].block, found[UP].header.shape) == ((128, 128), (3, 1))
    assert fp8_scales(tiny) == {}


@pytest.mark.parametrize(
    ("strategy", "layout", "quantize"),
    [
        ("channel", "float-quantized", by_channel),
        ("channel", "naive-quantized", lambda weight: (by_channel(weight)[0], by_channel(weight)[1][:, 0])),
        ("tensor", "float-quantized", by_tensor),
        ("tensor", "naive-quantized", lambda weight: (by_tensor(weight)[0], by_tensor(weight)[1][0])),
    ],
)
def test_what_compressed_tensors_writes_in_fp8_is_accepted(
    tiny: Path, tmp_path: Path, strategy: str, layout: str, quantize: Any
) -> None:
    folder = write_fp8(tiny, tmp_path / "fp8", compressed_tensors(strategy, layout), quantize, "_scale")
    assert list(faults(folder)) == []
    assert {scale.block for scale in fp8_scales(folder).values()} == {None}


def test_blocks_of_compressed_tensors_are_accepted(tiny: Path, tmp_path: Path) -> None:
    config = compressed_tensors("block", block_structure=[128, 128])
    folder = write_fp8(tiny, tmp_path / "fp8", config, by_block, "_scale")
    assert list(faults(folder)) == []
    assert {scale.block for scale in fp8_scales(folder).values()} == {(128, 128)}


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (without_tensor(f"{UP}_scale_inv"), f"{{}}/model.safetensors: {UP} is in FP8 and has 0 scales, expected one. "),
        (
            tensors(lambda weights: weights.update({f"{UP}_scale": weights[f"{UP}_scale_inv"].clone()})),
            f"{{}}/model.safetensors: {UP} is in FP8 and has 2 scales, expected one. ",
        ),
        (
            tensors(lambda weights: weights.update({f"{UP}_scale_inv": torch.ones(2, 1)})),
            f"{{}}/model.safetensors: {UP}_scale_inv is F32 of shape (2, 1), expected (3, 1) for a weight of shape "
            "(320, 64). Copy the checkpoint again.",
        ),
        (
            tensors(lambda weights: weights.update({f"{UP}_scale_inv": torch.ones(3, 1, dtype=torch.uint8)})),
            f"{{}}/model.safetensors: {UP}_scale_inv is U8, and only scales in BF16, F16, F32 can be loaded. Take the "
            "checkpoint in 16 bits.",
        ),
        (
            tensors(lambda weights: weights.update({f"{UP}_scale_inv": torch.ones(3, 1).to(torch.float8_e8m0fnu)})),
            f"{{}}/model.safetensors: {UP}_scale_inv is F8_E8M0, and only scales in BF16, F16, F32 can be loaded. Take "
            "the checkpoint in 16 bits.",
        ),
        (
            tensors(lambda weights: weights.update({UP: weights[UP].bfloat16()})),
            f"{{}}/model.safetensors: {UP}_scale_inv scales no weight in FP8. If the folder was converted to 16 bits, ",
        ),
        (
            tensors(lambda weights: weights.update({UP: weights[UP].float().to(torch.float8_e5m2)})),
            f"{{}}/model.safetensors: {UP} is F8_E5M2 of shape (320, 64); only F8_E4M3 weights of linear layers can ",
        ),
        (
            edited("config.json", quantization_config__weight_block_size=None),
            "{}/model.safetensors: model.language_model.layers.0.mlp.down_proj.weight_scale_inv is BF16 of shape "
            "(1, 3), expected (64, 1) or (64,) or (1,) or () or (1, 1) for a weight of shape (64, 320). ",
        ),
        (
            edited("config.json", quantization_config__weight_block_size=[64, "x"]),
            "{}: its weights are quantized (fp8: key weight_block_size.1 is 'x': input should be a valid integer, ",
        ),
        (
            edited("config.json", quantization_config__weight_block_size=[128, 0]),
            "{}: its weights are quantized (fp8: key weight_block_size.1 is 0: input should be greater than 0), which ",
        ),
        (
            edited("config.json", quantization_config=compressed_tensors("block", block_structure=[-128, 128])),
            "{}: its weights are quantized (compressed-tensors: key config_groups.group_0.weights.block_structure.0 is "
            "-128: input should be greater than 0), which ",
        ),
        (
            edited("config.json", quantization_config=None),
            "{}/model.safetensors: model.language_model.layers.0.mlp.down_proj.weight is F8_E4M3, as are 13 more, and "
            "config.json has no quantization_config. It was saved from a loaded FP8 checkpoint, which leaves out ",
        ),
    ],
)
def test_a_folder_in_fp8_that_would_load_wrong_values_is_refused(
    tiny: Path, tmp_path: Path, spoil: Spoil, fault: str
) -> None:
    folder = spoilt(write_fine_grained(tiny, tmp_path / "fp8"), tmp_path / "spoilt", spoil)
    (found,) = faults(folder)
    assert found.startswith(fault.format(folder))
    with pytest.raises(CheckpointError):
        fp8_scales(folder)


def test_fp8_weights_that_save_pretrained_left_without_scales_are_refused(tiny: Path, tmp_path: Path) -> None:
    drop = tensors(lambda weights: [weights.pop(name) for name in list(weights) if name.endswith("_scale_inv")])
    folder = spoilt(
        write_fine_grained(tiny, tmp_path / "fp8"), tmp_path / "saved", drop,
        edited("config.json", quantization_config=None),
    )  # fmt: skip
    (fault,) = faults(folder)
    assert fault.endswith("Take the FP8 checkpoint itself, or the one in 16 bits.")


def test_settings_of_fp8_beside_weights_in_16_bits_are_refused(tiny: Path, tmp_path: Path) -> None:
    folder = spoilt(tiny, tmp_path / "spoilt", edited("config.json", quantization_config=FINE_GRAINED))
    (fault,) = faults(folder)
    assert fault == (
        f"{folder}/model.safetensors: no weight is in FP8, and config.json says that they are. If the folder was "
        "converted to 16 bits, delete quantization_config from config.json; otherwise copy the checkpoint again."
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            compressed_tensors(layout="pack-quantized", num_bits=4, type="int"),
            "compressed-tensors, pack-quantized, 4 bits",
        ),
        (compressed_tensors(layout="int-quantized", type="int"), "compressed-tensors, int-quantized, 8 bits"),
        (
            compressed_tensors("tensor_group", "nvfp4-pack-quantized", num_bits=4),
            "compressed-tensors, nvfp4-pack-quantized, 4 bits",
        ),
        (compressed_tensors(symmetric=False), "compressed-tensors, float-quantized, 8 bits"),
        (compressed_tensors("group"), "compressed-tensors, float-quantized, group scales"),
        (
            compressed_tensors() | {"sparsity_config": {"format": "sparse-24-bitmask"}},
            "compressed-tensors, float-quantized, sparse or transformed",
        ),
        (
            compressed_tensors() | {"transform_config": {"config_groups": {"u": {}}}},
            "compressed-tensors, float-quantized, sparse or transformed",
        ),
        (compressed_tensors() | {"config_groups": {}}, "compressed-tensors, float-quantized"),
        (compressed_tensors() | {"config_groups": {"a": {"weights": None}}}, "compressed-tensors: key config_groups.a"),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "modelopt"),
        ({"quant_method": "fbgemm_fp8"}, "fbgemm_fp8"),
    ],
)
def test_other_quantizations_are_refused_in_one_line(
    tiny: Path, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    folder = spoilt(tiny, tmp_path / "spoilt", edited("config.json", quantization_config=settings))
    (fault,) = faults(folder)
    assert fault.startswith(f"{folder}: its weights are quantized ({words}")
    assert fault.endswith("Take the checkpoint in 16 bits from which it was quantized, or dequantize it and save that.")


def test_scales_of_several_files_are_found(tiny: Path, tmp_path: Path) -> None:
    folder = write_per_channel(tiny, tmp_path / "fp8")
    weights = load_file(folder / WEIGHTS)
    files = {name: f"model-0000{1 + name.endswith('_scale')}-of-00002.safetensors" for name in weights}
    for file in set(files.values()):
        save_file({name: weights[name] for name in weights if files[name] == file}, folder / file)
    (folder / WEIGHTS).unlink()
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    assert list(faults(folder)) == []
    assert {scale.header.file.name for scale in fp8_scales(folder).values()} == {"model-00002-of-00002.safetensors"}
