"""Where --quantize fp8 and --kv-cache fp8 are refused, what they save, and that a run records and keeps it."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from support.checkpoints import TEXT, edited, settings, spoilt, write_tiny
from support.cli_runs import run
from support.lines import SHIELD
from support.moe import write_moe
from support.requests import SHORT, answers, mixed
from support.stage_a_runs import run_file
from transformers import Qwen3VLConfig

from yanshou.engines import Completion, Prompt, Request, device, load_engine
from yanshou.engines.base import RunPlan
from yanshou.engines.continuous.capacity import MemoryBudget, RequestBounds
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.continuous.fp8.plan import Fp8Plan
from yanshou.errors import CheckpointError, UsageError
from yanshou.settings import EngineSettings
from yanshou.world.draw import draw
from yanshou.world.scene import random_scene

BF16, CPU, GPU = torch.bfloat16, torch.device("cpu"), torch.device("cuda", 0)
BIASED = {"attention_bias": True}
THIRTY_TWO_B = Qwen3VLConfig(
    text_config={
        "hidden_size": 5_120, "intermediate_size": 25_600, "num_hidden_layers": 64, "num_attention_heads": 64,
        "num_key_value_heads": 8, "head_dim": 128,
    },
    vision_config={"depth": 27, "hidden_size": 1_152, "intermediate_size": 4_304, "out_hidden_size": 5_120},
)  # fmt: skip


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU may run FP8, as torch emulates it."""
    monkeypatch.setattr(device, "lacks_fp8", lambda _: "")


@pytest.fixture
def ampere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA A100")


def quantized(folder: Path, **options: Any) -> EngineSettings:
    return settings(folder).model_copy(update={"dtype": "bfloat16", "quantize": "fp8", **options})


def cached(folder: Path, **options: Any) -> EngineSettings:
    """Keys and values in FP8, weights in 16 bits."""
    return quantized(folder, quantize="none", kv_cache="fp8", **options)


# ---- refusals ----


@pytest.mark.parametrize(("given", "option"), [(quantized, "--quantize"), (cached, "--kv-cache")])
def test_a_cpu_is_refused_by_the_engine_that_auto_chooses(
    tiny: Path, given: Callable[[Path], EngineSettings], option: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load_engine(given(tiny))
    assert str(caught.value) == (
        f"{option} fp8 needs a GPU of compute capability 8.9 or later, and this run is on the CPU. Leave it out."
    )


@pytest.mark.usefixtures("ampere")
def test_an_older_gpu_is_refused(tiny: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Fp8Plan.of(tiny, GPU, BF16)
    assert str(caught.value) == (
        "--quantize fp8 needs a GPU of compute capability 8.9 or later, and NVIDIA A100 has compute capability 8.0. "
        "Leave it out, or choose another GPU."
    )


@pytest.mark.usefixtures("emulated")
def test_another_dtype_is_refused(tiny: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^--quantize fp8 needs bfloat16 beside it, and --dtype is float16\. Give --d"
    ):
        ContinuousEngine(quantized(tiny, dtype="float16"))


@pytest.mark.parametrize("name", ["transformers", "scripted", "endpoint"])
def test_another_engine_is_refused(tiny: Path, name: str) -> None:
    server = ["--endpoint", "http://127.0.0.1:1/v1", "--model", "m"] if name == "endpoint" else []
    ran = run(
        "summarize", "--checkpoint", str(tiny), "--engine", name, "--quantize", "fp8", "--input-dir", str(tiny),
        "--output-dir", str(tiny / "out"), "--mission", SHIELD, *server,
    )  # fmt: skip
    assert ran.exit_code == 2
    said = f"--quantize fp8 is for the continuous engine, and --engine is {name}. Leave one of the two out."
    assert said in " ".join(ran.output.split())


@pytest.mark.parametrize("option", ["--quantize", "--kv-cache"])
def test_another_dtype_is_refused_before_anything_is_read(option: str) -> None:
    ran = run(
        "judge", "--checkpoint", "/nowhere", option, "fp8", "--dtype", "float32", "--output-dir", "/nowhere", __file__
    )
    said = f"{option} fp8 needs bfloat16 beside it, and --dtype is float32. Leave --dtype out."
    assert said in " ".join(ran.output.split())


@pytest.mark.usefixtures("emulated")
def test_a_mixture_of_experts_is_refused(tiny: Path, tmp_path: Path) -> None:
    folder = write_moe(tiny, tmp_path / "moe")
    with pytest.raises(CheckpointError) as caught:
        load_engine(quantized(folder))
    assert str(caught.value) == (
        f"{folder}: a mixture of experts (MoE), which does not run in FP8. Leave --quantize out."
    )
    with pytest.raises(CheckpointError, match=r"Use --engine transformers, and leave --kv-cache out\.$"):
        load_engine(cached(folder))


@pytest.mark.usefixtures("emulated")
def test_widths_that_the_gpu_does_not_take_are_refused(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "odd", {"intermediate_size": 72})
    with pytest.raises(CheckpointError) as caught:
        ContinuousEngine(quantized(folder))
    assert str(caught.value) == (
        f"{folder}: model.visual.blocks.0.mlp.linear_fc1 is 72 × 32, and a product in FP8 needs multiples of 16 on "
        "both sides. Leave --quantize out."
    )


@pytest.mark.usefixtures("emulated")
def test_the_advice_of_another_engine_is_one_that_works(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\. Leave it out, or add --engine transformers, and leave --quantize out\.$"):
        ContinuousEngine(quantized(tiny, attn="sdpa"))
    with pytest.raises(UsageError, match=r"\. Leave it out, or add --engine transformers\.$"):
        ContinuousEngine(quantized(tiny, attn="sdpa", quantize="none"))
    rope = TEXT["rope_parameters"] | {"rope_type": "dynamic", "factor": 2.0}
    folder = spoilt(tiny, tmp_path / "other", edited("config.json", text_config__rope_parameters=rope))
    with pytest.raises(CheckpointError, match=r"\. Use --engine transformers, and leave --quantize out\.$"):
        ContinuousEngine(quantized(folder)).load()


# ---- a run ----


@pytest.mark.usefixtures("emulated")
def test_the_plan_knows_the_bytes_of_the_model(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "tiny", **BIASED)
    engine = ContinuousEngine(quantized(folder))
    model = engine.model
    layers = [*model.parameters(), *(buffer for name, buffer in model.named_buffers() if "inv_freq" not in name)]
    assert engine.memory_budget().weight_bytes == sum(tensor.nbytes for tensor in layers)
    assert engine.memory_budget().fp8


def test_what_is_saved_at_the_shape_of_32b() -> None:
    layers = 64 * (10_240 * 5_120 + 5_120 * 8_192 + 51_200 * 5_120 + 5_120 * 25_600)
    tower = 27 * (3_456 + 1_152 + 2 * 4_304) * 1_152
    scales = 4 * (64 * (10_240 + 5_120 + 51_200 + 5_120) + 27 * (3_456 + 1_152 + 4_304 + 1_152))
    assert Fp8Plan(BF16).saved_bytes(THIRTY_TWO_B) == layers + tower - scales


@pytest.mark.usefixtures("emulated")
def test_a_run_with_few_slots_says_once_how_many_fp8_would_give(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos of the default budget at the shape of 32B, with 73 GiB."""

    def budget(engine: ContinuousEngine, fp8: Fp8Plan | None) -> MemoryBudget:
        weight_bytes = 35_120_000_000 if fp8 else 66_700_000_000
        return MemoryBudget(THIRTY_TWO_B, BF16, weight_bytes, 73 * 2**30, 0.9, fp8 is not None)

    bounds = RequestBounds(kv_len=1_250, prefill_tokens=812, visual_tokens=768, scored=False)
    monkeypatch.setattr(ContinuousEngine, "_memory_budget", budget)
    monkeypatch.setattr(ContinuousEngine, "_run_bounds", lambda *_: bounds)
    new, resumed = (RunPlan(Prompt("", ""), photos=True, earlier=earlier) for earlier in ([], [{"slots": 1}]))
    said = "the weights in 16 bits leave GPU memory for 6 slots; with --quantize fp8 there would be 80"
    for given, plan, warnings in (("none", new, [said]), ("none", resumed, []), ("fp8", new, [])):
        engine = ContinuousEngine(quantized(tiny, quantize=given))
        engine.prepare_run(plan)
        assert engine.take_warnings() == warnings
        engine.prepare_run(plan)
        assert engine.take_warnings() == []


@pytest.mark.usefixtures("emulated")
def test_what_a_run_records(tiny: Path) -> None:
    plain, engine = ContinuousEngine(quantized(tiny, quantize="none")), ContinuousEngine(quantized(tiny))
    assert engine.identity() == plain.identity() | {"quantize": {"weights": "fp8", "decode": "fp8"}}
    assert ContinuousEngine(cached(tiny)).identity() == plain.identity() | {"kv_cache": "fp8"}


@pytest.mark.usefixtures("emulated")
@pytest.mark.parametrize(
    ("quantize", "dtype", "inner", "advice"),
    [
        ("none", "bfloat16", 64, "another --device, or halve most of them with --quantize fp8."),
        ("fp8", "bfloat16", 64, "another --device."),
        ("none", "float16", 64, "another --device."),  # --quantize fp8 refuses it
        ("none", "bfloat16", 72, "another --device."),  # and this width
    ],
)
def test_weights_that_do_not_fit_are_told_to_be_halved_where_they_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quantize: str, dtype: str, inner: int, advice: str
) -> None:
    def full(*_: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    folder = write_tiny(tmp_path / "tiny", {"intermediate_size": inner})
    monkeypatch.setattr(ContinuousEngine, "load_weights", full)
    with pytest.raises(CheckpointError) as caught:
        ContinuousEngine(quantized(folder, quantize=quantize, dtype=dtype)).load()
    assert str(caught.value).endswith(f"do not fit the memory of cpu. Free memory there, or choose {advice}")


@pytest.mark.usefixtures("emulated")
def test_it_answers_and_a_photo_is_answered_the_same_in_any_company(tiny: Path) -> None:
    requests = mixed()[:6]
    wanted = answers(ContinuousEngine(quantized(tiny)), requests)
    alone = answers(ContinuousEngine(quantized(tiny, batch_size=1)), reversed(requests))
    assert alone == wanted
    assert wanted != answers(ContinuousEngine(quantized(tiny, quantize="none")), requests)


@pytest.mark.usefixtures("emulated")
def test_a_photo_is_answered_the_same_in_any_company_with_keys_and_values_in_fp8(tiny: Path) -> None:
    requests = [*mixed()[2:5], Request(30, SHORT, None, "scored", ("通过", "不通过"))]
    engine = ContinuousEngine(cached(tiny))
    wanted = answers(engine, requests)
    assert answers(engine, reversed(requests)) == wanted  # prefixes are in the cache by now
    assert answers(engine, requests[1:2]) == {3: wanted[3]}
    in_16_bits = answers(ContinuousEngine(quantized(tiny, quantize="none")), requests)
    assert wanted != in_16_bits
    scored, in_prefill = wanted[30], in_16_bits[30]
    assert isinstance(scored, Completion)
    assert isinstance(in_prefill, Completion)
    assert scored.logprobs == in_prefill.logprobs


@pytest.mark.usefixtures("emulated")
def test_a_resume_keeps_it_and_another_is_refused(tmp_path: Path) -> None:
    group = tmp_path / "in" / SHIELD / "审核通过" / "QC-1"
    group.mkdir(parents=True)
    rng = Random("a photo")
    draw(random_scene(rng), rng).save(group / "1.jpg")
    words = [
        "summarize", "--checkpoint", "demo", "--engine", "continuous", "--device", "cpu", "--dtype", "bfloat16",
        "--input-dir", str(tmp_path / "in"), "--output-dir", str(tmp_path / "out"), "--mission", SHIELD,
    ]  # fmt: skip
    assert run(*words, "--quantize", "fp8").exit_code == 0
    recorded = run_file(tmp_path / "out")
    assert recorded["settings"]["quantize"]["weights"] == "fp8"
    assert run(*words, "--quantize", "fp8").exit_code == 0
    assert run_file(tmp_path / "out")["runs"] == recorded["runs"] + 1
    other = run(*words)
    assert other.exit_code == 1
    assert 'quantize: file has {"weights": "fp8", "decode": "fp8"}' in other.output
    assert "this run has nothing" in other.output
    other = run(*words, "--quantize", "fp8", "--kv-cache", "fp8")
    assert other.exit_code == 1
    assert 'kv_cache: file has nothing, this run has "fp8"' in " ".join(other.output.split())
