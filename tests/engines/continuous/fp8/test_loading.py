"""A checkpoint read tensor by tensor into FP8: what it holds, compared with the model that transformers loads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.adapters import EVERYTHING, write_adapter
from support.checkpoints import (
    EMBEDDING,
    WEIGHTS,
    Spoil,
    biased,
    cut_in_half,
    edited,
    settings,
    spoilt,
    without,
    write_tiny,
)
from support.quantized import (
    by_tensor,
    compressed_tensors,
    with_byte,
    write_fine_grained,
    write_fp8,
    write_per_channel,
)
from torch import Tensor

from yanshou.engines import device
from yanshou.engines.checkpoint import find
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.continuous.fp8.layers import fp8_layers, quantize_
from yanshou.engines.continuous.fp8.loading import StoredWeights, load_fp8_model
from yanshou.engines.loading import load_config, load_model
from yanshou.engines.weight_names import empty_model
from yanshou.errors import CheckpointError

BF16 = torch.bfloat16
CPU = torch.device("cpu")
Q = "model.language_model.layers.1.self_attn.q_proj"
UP = "model.language_model.layers.1.mlp.up_proj"
FC1 = "model.visual.blocks.1.mlp.linear_fc1"
NORM = "model.language_model.norm.weight"
HEAD = "lm_head.weight"


def streamed(folder: Path) -> Any:
    return load_fp8_model(find(str(folder)), BF16, "sdpa", CPU)


def plain(folder: Path) -> Any:
    """The same checkpoint in 16 bits."""
    return load_model(find(str(folder)), BF16, "sdpa")


def tensors(model: Any) -> dict[str, Tensor]:
    """Everything that a model computes with, buffers that no file holds included."""
    return {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}


def bits(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().view(torch.uint8)


def differing(model: Any, wanted: Any) -> list[str]:
    """The names of tensors that are not the same, bit for bit."""
    one, other = tensors(model), tensors(wanted)
    assert one.keys() == other.keys()
    return [
        name
        for name in one
        if one[name].dtype != other[name].dtype or not torch.equal(*map(bits, (one[name], other[name])))
    ]


def weights(change: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Spoil:
    def spoil(folder: Path) -> None:
        save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS, metadata={"format": "pt"})

    return spoil


def in_two_files(folder: Path) -> None:
    """As transformers shards it."""
    stored = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    files = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(sorted(stored))}
    for file in set(files.values()):
        save_file({name: stored[name] for name in stored if files[name] == file}, folder / file)
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}), encoding="utf-8")


def head(change: Callable[[Tensor], Tensor]) -> Spoil:
    return weights(lambda stored: stored | {HEAD: change(stored[EMBEDDING]).contiguous()})


FOLDERS: dict[str, list[Spoil]] = {
    "as saved": [],
    "with biases": [lambda folder: biased(folder) and None],
    "two files": [in_two_files],
    "no prefix": [weights(lambda stored: {name.removeprefix("model."): one for name, one in stored.items()})],
    "float32": [weights(lambda stored: {name: one.float() + 1e-3 for name, one in stored.items()})],
    "tied, and the head saved": [head(lambda embedding: embedding.clone())],
    "tied, and another head saved": [head(lambda embedding: embedding.flip(0))],
    "not tied": [edited("config.json", tie_word_embeddings=False), head(lambda embedding: embedding.flip(0))],
    "tied at the top only": [edited("config.json", text_config__tie_word_embeddings=False)],
    "a saved inv_freq": [weights(lambda stored: stored | {"model.language_model.rotary_emb.inv_freq": torch.zeros(3)})],
    "another rope": [
        edited("config.json", text_config__rope_parameters={
            "rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0, "original_max_position_embeddings": 1024,
            "mrope_section": [6, 5, 5],
        })
    ],
    "no generation_config": [without("generation_config.json")],
}  # fmt: skip


@pytest.mark.parametrize("kind", FOLDERS)
def test_it_is_the_loaded_model_quantized_bit_for_bit(tiny: Path, tmp_path: Path, kind: str) -> None:
    folder = spoilt(tiny, tmp_path / "folder", *FOLDERS[kind])
    model, wanted = streamed(folder), plain(folder)
    tied = wanted.lm_head.weight is wanted.get_input_embeddings().weight
    stop = wanted.generation_config.eos_token_id
    quantize_(wanted)
    assert differing(model, wanted) == []
    assert (model.lm_head.weight is model.get_input_embeddings().weight) == tied
    assert model.generation_config.eos_token_id == stop
    assert not model.training
    assert model.config.to_dict() == wanted.config.to_dict()


def test_what_stays_in_16_bits_is_that_of_the_loaded_model(tiny: Path) -> None:
    model, wanted = streamed(tiny), plain(tiny)
    found, own = tensors(model), tensors(wanted)
    same = {name for name in own if name in found and torch.equal(found[name], own[name])}
    assert same == {*own} - {f"{name}.weight" for name in fp8_layers(wanted)}
    assert f"{UP}.weight" not in found
    assert not any(buffer.is_meta for buffer in model.buffers())


@pytest.mark.parametrize("write", [None, write_fine_grained, write_per_channel])
def test_nothing_keeps_a_layer_in_16_bits_once_it_is_in_fp8(tiny: Path, tmp_path: Path, write: Any) -> None:
    folder = write(tiny, tmp_path / "fp8") if write else tiny
    linear = empty_model(load_config(folder)).get_submodule(UP)
    assert StoredWeights(folder, BF16, CPU).fp8_linear(UP, linear).values.shape == (128, 64)
    assert linear.weight.is_meta


def test_an_adapter_is_merged_before(tiny: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tiny, tmp_path / "lora", target_modules=EVERYTHING)
    wanted = plain(adapter)
    quantize_(wanted)
    assert differing(streamed(adapter), wanted) == []
    assert f"{Q}.values" in differing(wanted, streamed(tiny))


# ---- published FP8 ----


def test_stored_values_of_channels_are_used_as_they_are(tiny: Path, tmp_path: Path) -> None:
    folder = write_per_channel(tiny, tmp_path / "fp8")
    stored, model, dequantized = load_file(folder / WEIGHTS), streamed(folder), plain(folder)
    for name in fp8_layers(model):
        layer = model.get_submodule(name)
        if ".visual." not in name:
            assert torch.equal(bits(layer.values), bits(stored[f"{name}.weight"]))
            assert torch.equal(layer.scales, stored[f"{name}.weight_scale"].float())
    assert torch.equal(model.get_parameter(EMBEDDING), dequantized.get_parameter(EMBEDDING))


def test_the_one_scale_of_a_weight_becomes_that_of_every_channel(tiny: Path, tmp_path: Path) -> None:
    folder = write_fp8(tiny, tmp_path / "fp8", compressed_tensors("tensor"), by_tensor, "_scale")
    stored, layer = load_file(folder / WEIGHTS), streamed(folder).get_submodule(UP)
    assert torch.equal(bits(layer.values), bits(stored[f"{UP}.weight"]))
    assert torch.equal(layer.scales, stored[f"{UP}.weight_scale"].expand(128, 1))
    assert layer.scales.is_contiguous()


def test_blocks_are_quantized_again(tmp_path: Path) -> None:
    tiny = write_tiny(tmp_path / "tiny", intermediate_size=320)
    folder = write_fine_grained(tiny, tmp_path / "fp8")
    wanted = plain(folder)
    quantize_(wanted)
    assert differing(streamed(folder), wanted) == []


def test_an_output_matrix_in_fp8_runs_in_16_bits(tiny: Path, tmp_path: Path) -> None:
    folder = write_per_channel(tiny, tmp_path / "fp8")
    stored = load_file(folder / WEIGHTS)
    values, scale = by_tensor(stored[EMBEDDING])
    save_file(stored | {HEAD: values, f"{HEAD}_scale": scale}, folder / WEIGHTS, metadata={"format": "pt"})
    model, wanted = streamed(folder), plain(folder)
    assert torch.equal(model.lm_head.weight, wanted.lm_head.weight)
    assert model.lm_head.weight.dtype == BF16


# ---- what is wrong with a folder ----


@pytest.mark.parametrize("write", [write_fine_grained, write_per_channel])
@pytest.mark.parametrize("byte", [0x7F, 0xFF])
def test_stored_values_that_are_no_numbers_are_refused(tiny: Path, tmp_path: Path, write: Any, byte: int) -> None:
    folder = with_byte(write(tiny, tmp_path / "fp8"), f"{UP}.weight", byte)
    with pytest.raises(CheckpointError) as caught:
        streamed(folder)
    assert str(caught.value) == (
        f"{folder}/{WEIGHTS}: {UP}.weight holds NaN. Copy the checkpoint again, or take the one in 16 bits."
    )


@pytest.mark.parametrize("byte", [0x7E, 0xFE, 0x00, 0x80])
def test_the_largest_and_smallest_stored_values_are_numbers(tiny: Path, tmp_path: Path, byte: int) -> None:
    folder = with_byte(write_per_channel(tiny, tmp_path / "fp8"), f"{UP}.weight", byte)
    value = streamed(folder).get_submodule(UP).values[3, 4]
    assert value.view(torch.uint8) == byte


@pytest.mark.parametrize(
    "spoils",
    [
        [edited("config.json", tie_word_embeddings=False)],
        [edited("config.json", text_config__num_hidden_layers=1)],
        [edited("config.json", text_config__num_hidden_layers=3)],
        [edited("config.json", text_config__intermediate_size=256)],
        [weights(lambda stored: {f"_orig_mod.{name}": one for name, one in stored.items()})],
        [cut_in_half],
        [without(WEIGHTS)],
        [edited("config.json", vision_config__hidden_size="32")],
    ],
)
def test_a_fault_is_named_as_by_loading_in_16_bits(tiny: Path, tmp_path: Path, spoils: list[Spoil]) -> None:
    folder = spoilt(tiny, tmp_path / "spoilt", *spoils)
    messages = []
    for load in (streamed, plain):
        with pytest.raises(CheckpointError) as caught:
            load(folder)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_file_that_changes_while_it_is_read_is_named(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = spoilt(tiny, tmp_path / "changing")
    from yanshou.engines.continuous.fp8 import loading

    def headers_then_damage(files: Any) -> Any:
        found = read_headers(files)
        cut_in_half(folder)
        return found

    read_headers = loading.read_headers
    monkeypatch.setattr(loading, "read_headers", headers_then_damage)
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: not a whole safetensors file \(.*\)\. Copy it again"
    ):
        streamed(folder)


@pytest.mark.parametrize(
    "changed",
    [
        weights(lambda stored: {name: one for name, one in stored.items() if name != f"{UP}.weight"}),
        weights(lambda stored: {name: one for name, one in stored.items() if name != NORM}),
        weights(lambda stored: stored | {f"{UP}.weight": stored[f"{UP}.weight"][:64].clone()}),
    ],
    ids=["a layer gone", "a norm gone", "another shape"],
)
def test_a_file_that_is_replaced_while_it_is_read_is_named(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: Spoil
) -> None:
    from yanshou.engines.continuous.fp8 import loading

    def empty_then_replaced(folder: Path, *others: Any) -> Any:
        model = empty(folder, *others)
        changed(folder)
        return model

    folder, empty = spoilt(tiny, tmp_path / "changing"), loading._empty
    monkeypatch.setattr(device, "lacks_fp8", lambda _: "")
    monkeypatch.setattr(loading, "_empty", empty_then_replaced)
    engine = ContinuousEngine(settings(folder).model_copy(update={"dtype": "bfloat16", "quantize": "fp8"}))
    with pytest.raises(CheckpointError, match=r"model\.safetensors changed while it was being read\. Wait"):
        engine.load()
