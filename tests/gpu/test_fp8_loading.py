"""--quantize fp8 on a GPU: weights are quantized one by one, and what runs is what the files hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.adapters import write_adapter
from support.checkpoints import WEIGHTS, write_tiny
from support.gpu import CUDA, answers, demo, on_device, on_gpu, texts
from support.quantized import write_fine_grained, write_per_channel
from support.requests import drawn_photos

from yanshou.engines.checkpoint import find, locate
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.continuous.fp8.layers import fp8_layers
from yanshou.engines.continuous.language_model import LanguageModel
from yanshou.engines.device import lacks_fp8
from yanshou.engines.loading import load_model

pytestmark = [
    *on_gpu, pytest.mark.skipif(CUDA and bool(lacks_fp8(torch.device("cuda", 0))), reason="this GPU has no FP8"),
]  # fmt: skip

MIB = 2**20
ROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [24, 20, 20], "mrope_interleaved": True}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 million weights, the largest of 4 million."""
    return write_tiny(
        tmp_path_factory.mktemp("checkpoint") / "wide", hidden_size=1_024, intermediate_size=4_096,
        num_hidden_layers=6, num_attention_heads=8, num_key_value_heads=8, head_dim=128,
        rope_parameters=ROPE,
    )  # fmt: skip


def engine(folder: Path) -> ContinuousEngine:
    return ContinuousEngine(on_device(folder, "bfloat16").model_copy(update={"quantize": "fp8"}))


def test_the_card_never_holds_the_weights_in_16_bits(wide: Path) -> None:
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    loaded = engine(wide)
    planned, model = loaded.memory_budget().weight_bytes, loaded.model
    held, peak = torch.cuda.memory_allocated() - before, torch.cuda.max_memory_allocated() - before
    assert planned <= held < planned + 8 * MIB  # each tensor has a whole number of 512 bytes
    assert peak < held + 16 * MIB  # one weight at a time is in 16 bits: 8 MiB
    assert loaded.parameter_count * 2 > held + 64 * MIB
    assert not any(parameter.is_meta for parameter in model.parameters())


@pytest.mark.parametrize("quantize", ["none", "fp8"])
def test_weights_leave_no_memory_in_pieces(tmp_path: Path, quantize: str) -> None:
    """Torch holds as much for 200 million weights as they take: what loading and fusing freed is the driver's again."""
    folder = write_tiny(
        tmp_path / "wider", hidden_size=2_048, intermediate_size=8_192, num_hidden_layers=4, num_attention_heads=16,
        num_key_value_heads=4, head_dim=128, rope_parameters=ROPE,
    )  # fmt: skip
    before = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    model = ContinuousEngine(on_device(folder, "bfloat16").model_copy(update={"quantize": quantize})).model
    fused = LanguageModel(model.model.language_model, model.lm_head)
    pieces = torch.cuda.memory_reserved() - torch.cuda.memory_allocated() - before
    assert pieces < 48 * MIB, f"{pieces / MIB:.0f} MiB"
    assert fused.dtype == torch.bfloat16


@pytest.mark.parametrize("adapter", [False, True])
def test_what_stays_in_16_bits_is_that_of_the_loaded_model(wide: Path, tmp_path: Path, adapter: bool) -> None:
    folder = write_adapter(wide, tmp_path / "lora") if adapter else wide
    loaded, wanted = engine(folder), load_model(find(str(folder)), torch.bfloat16, "sdpa")
    in_fp8, found = {f"{name}.weight" for name in fp8_layers(wanted)}, tensors(loaded.model)
    for name, tensor in tensors(wanted).items():
        if name in in_fp8:
            assert name not in found
        else:
            assert torch.equal(found[name].cpu(), tensor), name


def tensors(model: Any) -> dict[str, torch.Tensor]:
    return {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}


def test_stored_values_of_channels_are_used_as_they_are(wide: Path, tmp_path: Path) -> None:
    folder = write_per_channel(wide, tmp_path / "fp8")
    stored, model = load_file(folder / WEIGHTS), engine(folder).model
    for name in ("self_attn.q_proj", "mlp.down_proj"):
        layer = model.get_submodule(f"model.language_model.layers.5.{name}")
        values = stored[f"model.language_model.layers.5.{name}.weight"]
        assert torch.equal(layer.values.view(torch.uint8).cpu(), values.view(torch.uint8))


@pytest.mark.parametrize("write", [write_per_channel, write_fine_grained])
def test_fp8_folders_are_answered(tmp_path: Path, write: Callable[[Path, Path], Path]) -> None:
    """Most lines are those of the same folder in 16 bits."""
    folder, requests = write(locate("demo"), tmp_path / "folder"), drawn_photos(24)
    given = demo("bfloat16").model_copy(update={"checkpoint": str(folder)})
    in_16_bits = texts(answers(ContinuousEngine(given), requests))
    quantized = ContinuousEngine(given.model_copy(update={"quantize": "fp8"}))
    in_fp8 = texts(answers(quantized, requests))
    assert sum(in_fp8[at] == text for at, text in in_16_bits.items()) >= 22
