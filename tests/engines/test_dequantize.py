"""FP8 folders in the dtype of the run: the values of transformers' own dequantization, in both engines."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from support.adapters import write_adapter
from support.checkpoints import EMBEDDING, WEIGHTS, settings, spoilt, write_tiny
from support.quantized import FINE_GRAINED, by_channel, with_byte, write_fine_grained, write_per_channel
from support.requests import answers, continuous, mixed
from torch import Tensor
from transformers import FineGrainedFP8Config, Qwen3VLForConditionalGeneration

from yanshou.cli import main
from yanshou.engines import checkpoint
from yanshou.engines.dequantize import apply_scales
from yanshou.engines.loading import load_model, load_weights, weight_faults
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.errors import CheckpointError

UP = "model.language_model.layers.1.mlp.up_proj.weight"
HEAD = "lm_head.weight"
DTYPES = [torch.bfloat16, torch.float16, torch.float32]


def parameters(model: torch.nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters())


def test_all_weights_are_those_of_transformers_bit_for_bit(tmp_path: Path) -> None:
    folder = write_fine_grained(checkpoint.locate("demo"), tmp_path / "fp8")
    ours = parameters(load_weights(folder, torch.bfloat16, "sdpa"))
    dequantize = FineGrainedFP8Config(dequantize=True, weight_block_size=FINE_GRAINED["weight_block_size"])
    theirs = parameters(
        Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.bfloat16, quantization_config=dequantize)
    )
    assert len(checkpoint.fp8_scales(folder)) == 42
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []
    assert ours.keys() == theirs.keys()
    assert {weight.dtype for weight in ours.values()} == {torch.bfloat16}


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_last_narrower_block_has_its_own_scale(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = write_fine_grained(write_tiny(tmp_path / "tiny", intermediate_size=320), tmp_path / "fp8")
    stored = load_file(folder / WEIGHTS)
    values, scale = stored[UP].float(), stored[f"{UP}_scale_inv"].float()
    wanted = torch.cat([values[start : start + 128] * scale[start // 128, 0] for start in (0, 128, 256)])
    assert torch.equal(load_weights(folder, dtype, "sdpa").get_parameter(UP), wanted.to(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_channel_has_its_own_scale(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = write_per_channel(write_tiny(tmp_path / "tiny"), tmp_path / "fp8")
    stored = load_file(folder / WEIGHTS)
    rows = zip(stored[UP].float(), stored[f"{UP}_scale"].float(), strict=True)
    wanted = torch.stack([row * scale for row, scale in rows])
    assert torch.equal(load_weights(folder, dtype, "sdpa").get_parameter(UP), wanted.to(dtype))


@pytest.mark.parametrize("write", [write_fine_grained, write_per_channel])
def test_both_engines_answer_as_from_the_dequantized_weights(
    tmp_path: Path, write: Callable[[Path, Path], Path]
) -> None:
    tiny = write_tiny(tmp_path / "tiny")
    fp8, whole = write(tiny, tmp_path / "fp8"), spoilt(tiny, tmp_path / "whole")
    load_weights(fp8, torch.float32, "sdpa").save_pretrained(whole)
    wanted = answers(TransformersEngine(settings(whole)), mixed())
    assert answers(TransformersEngine(settings(fp8)), mixed()) == wanted
    assert continuous(fp8, mixed()) == wanted
    assert answers(TransformersEngine(settings(tiny)), mixed()) != wanted


def test_an_adapter_is_merged_into_the_dequantized_weights(tmp_path: Path) -> None:
    fp8 = write_fine_grained(write_tiny(tmp_path / "tiny"), tmp_path / "fp8")
    adapter, whole = (
        write_adapter(tmp_path / "tiny", tmp_path / "adapter"),
        spoilt(tmp_path / "tiny", tmp_path / "whole"),
    )
    load_weights(fp8, torch.float32, "sdpa").save_pretrained(whole)
    merged, wanted = (
        load_model(checkpoint.find(str(adapter), str(base)), torch.float32, "sdpa").get_parameter(UP)
        for base in (fp8, whole)
    )
    assert torch.equal(merged, wanted)
    assert not torch.equal(merged, load_weights(fp8, torch.float32, "sdpa").get_parameter(UP))


def test_doctor_says_how_much_memory_they_take(tmp_path: Path) -> None:
    folder = write_per_channel(write_tiny(tmp_path / "tiny"), tmp_path / "fp8")
    output = CliRunner().invoke(main, ["doctor", "--checkpoint", str(folder)]).output
    assert f"FAIL  {folder}" not in output
    assert (
        f"note  {folder}: weights in FP8, which run in the --dtype of a run; in 16 bits they take twice that memory. "
        "With --quantize fp8 they run in FP8, on a GPU of compute capability 8.9 or later\n"
    ) in output


def scaled(tmp_path: Path, change: Callable[[Tensor], object]) -> Path:
    """A folder with one scale per channel, of which those of one weight are changed."""
    folder = write_per_channel(write_tiny(tmp_path / "tiny"), tmp_path / "fp8")
    weights = load_file(folder / WEIGHTS)
    change(weights[f"{UP}_scale"])
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda scale: scale[7].fill_(float("nan")), "inf or NaN"),
        (lambda scale: scale[7].fill_(float("inf")), "inf or NaN"),
        (lambda scale: scale.zero_(), "only zeros"),
    ],
)
def test_a_scale_that_leaves_no_weight_is_refused(
    tmp_path: Path, change: Callable[[Tensor], object], what: str
) -> None:
    folder = scaled(tmp_path, change)
    with pytest.raises(CheckpointError, match=rf"{UP}_scale holds {what}\. Copy the checkpoint again\.$"):
        load_weights(folder, torch.float32, "sdpa")
    (fault,) = weight_faults(checkpoint.find(str(folder)))
    assert f"{UP}_scale holds {what}" in fault


def test_a_channel_of_zeros_may_have_a_scale_of_zero(tmp_path: Path) -> None:
    folder = scaled(tmp_path, lambda scale: scale[7].zero_())
    weight = load_weights(folder, torch.float32, "sdpa").get_parameter(UP)
    assert [bool(row.any()) for row in weight[6:9]] == [True, False, True]
    assert list(weight_faults(checkpoint.find(str(folder)))) == []


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("byte", [0x7F, 0xFF])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, byte: int, dtype: torch.dtype) -> None:
    folder = with_byte(write_fine_grained(write_tiny(tmp_path / "tiny"), tmp_path / "fp8"), UP, byte)
    with pytest.raises(CheckpointError) as caught:
        load_weights(folder, dtype, "sdpa")
    assert str(caught.value) == (
        f"{folder}/{WEIGHTS}: {UP} holds NaN. Copy the checkpoint again, or take the one in 16 bits."
    )


def test_weights_without_prefix_and_beside_the_model_load_as_in_16_bits(tmp_path: Path) -> None:
    folder = write_per_channel(write_tiny(tmp_path / "tiny"), tmp_path / "fp8")
    wanted = load_weights(folder, torch.float32, "sdpa").state_dict()
    weights = {name.removeprefix("model."): weight for name, weight in load_file(folder / WEIGHTS).items()}
    values, scale = by_channel(torch.ones(64, 64))
    extra = {"mtp.layers.0.weight": values, "mtp.layers.0.weight_scale": scale}
    save_file(weights | extra, folder / WEIGHTS, metadata={"format": "pt"})
    assert list(weight_faults(checkpoint.find(str(folder)))) == []
    loaded = load_weights(folder, torch.float32, "sdpa").state_dict()
    assert all(torch.equal(loaded[name], weight) for name, weight in wanted.items())


def test_an_output_matrix_in_fp8_is_not_multiplied_into_the_embeddings(tmp_path: Path) -> None:
    folder = write_per_channel(write_tiny(tmp_path / "tiny"), tmp_path / "fp8")
    weights = load_file(folder / WEIGHTS)
    values, scale = by_channel(weights[EMBEDDING])
    save_file(weights | {HEAD: values, f"{HEAD}_scale": scale}, folder / WEIGHTS, metadata={"format": "pt"})
    model = load_weights(folder, torch.float32, "sdpa")
    assert torch.equal(model.get_parameter(EMBEDDING), weights[EMBEDDING].float())
    assert torch.equal(model.get_parameter(HEAD), values.float() * scale.float())


def test_a_weight_that_the_model_does_not_have_is_named(tmp_path: Path) -> None:
    folder = write_per_channel(write_tiny(tmp_path / "tiny"), tmp_path / "fp8")
    scales = {name.replace("layers.1", "layers.9"): scale for name, scale in checkpoint.fp8_scales(folder).items()}
    model = load_weights(tmp_path / "tiny", torch.float32, "sdpa")
    with pytest.raises(
        CheckpointError, match=r"layers\.9\.\S+ is in FP8, and the model of config.json has no such weight of its own"
    ):
        apply_scales(model, scales)
