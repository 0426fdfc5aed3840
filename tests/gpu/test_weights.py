"""FP8 folders and a mixture of experts (MoE) on a GPU: the same answers as from the weights that they stand for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.checkpoints import THINKING, prompt_end, spoilt
from support.gpu import continuous, demo, on_device, on_gpu, reference, texts
from support.moe import write_moe
from support.quantized import write_fine_grained, write_per_channel
from support.requests import drawn_jobs, drawn_photos, mixed, photos

from yanshou.engines import Completion, load_engine
from yanshou.engines.checkpoint import locate
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.loading import load_weights
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.settings import EngineSettings

pytestmark = on_gpu


def of(folder: Path, dtype: str, batch_size: int | None = None) -> EngineSettings:
    """The demo's settings for a copy of the demo."""
    return demo(dtype, batch_size).model_copy(update={"checkpoint": str(folder)})


@pytest.mark.parametrize("write", [write_fine_grained, write_per_channel])
def test_an_fp8_folder_is_answered_as_its_dequantized_weights_by_both_engines(
    tmp_path: Path, write: Callable[[Path, Path], Path]
) -> None:
    fp8, whole = write(locate("demo"), tmp_path / "fp8"), write(locate("demo"), tmp_path / "whole")
    load_weights(fp8, torch.float32, "sdpa").save_pretrained(whole)  # its config.json has no quantization_config
    requests = drawn_photos(24)
    wanted = reference(of(whole, "float32", 8), requests)
    assert reference(of(fp8, "float32", 8), requests) == wanted
    assert continuous(of(fp8, "float32"), requests) == wanted
    for dtype in ("bfloat16", "float16"):
        assert continuous(of(fp8, dtype), requests) == continuous(of(whole, dtype), requests)


def test_fp8_weights_take_the_memory_of_16_bits(tmp_path: Path) -> None:
    fp8 = write_fine_grained(locate("demo"), tmp_path / "fp8")
    before = torch.cuda.memory_allocated()  # what earlier tests left
    engine = ContinuousEngine(of(fp8, "bfloat16"))
    assert {weight.dtype for weight in engine.model.parameters()} == {torch.bfloat16}
    held = sum(weight.numel() for weight in engine.model.parameters()) * 2
    assert torch.cuda.max_memory_allocated() - before < 1.2 * held + 2**26


def test_a_mixture_of_experts_is_answered_in_any_batch(tiny: Path, tmp_path: Path) -> None:
    moe = write_moe(tiny, tmp_path / "moe")
    wanted = reference(on_device(moe, "float32", batch_size=8), mixed())
    assert len(set(texts(wanted).values())) > 3
    assert reference(on_device(moe, "float32", batch_size=1), mixed()[::-1]) == wanted
    on_cpu = texts(reference(on_device(moe, "float32", device="cpu", batch_size=8), mixed()))
    assert sum(text == on_cpu[at] for at, text in texts(wanted).items()) >= len(on_cpu) - 2  # rounding may flip one


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_mixture_of_experts_runs_in_16_bits(tiny: Path, tmp_path: Path, dtype: str) -> None:
    moe = write_moe(tiny, tmp_path / "moe")
    requests = [*photos(), *(replace(job, id=10 + job.id) for job in drawn_jobs(2))]
    found = reference(on_device(moe, dtype, batch_size=8), requests)
    scored = [one.logprobs for one in found.values() if isinstance(one, Completion) and one.logprobs]
    assert (len(found), len(scored)) == (12, 2)
    assert all(logprob < 0 for logprobs in scored for logprob in logprobs)


def test_auto_picks_the_engine_that_runs_the_checkpoint(tiny: Path, tmp_path: Path) -> None:
    moe = write_moe(tiny, tmp_path / "moe")
    assert type(load_engine(on_device(moe, "bfloat16"))) is TransformersEngine
    assert type(load_engine(on_device(tiny, "bfloat16"))) is ContinuousEngine


def test_a_thinking_template_gives_the_same_texts_and_likelihoods_on_both_engines(tmp_path: Path) -> None:
    folder = spoilt(locate("demo"), tmp_path / "thinking", prompt_end(THINKING))
    requests = [*drawn_photos(6), *(job for job in drawn_jobs(18) if job.id >= 6)]
    found, wanted = continuous(of(folder, "float32"), requests), reference(of(folder, "float32", 4), requests)
    assert texts(found) == texts(wanted)
    assert [texts(found)[at].startswith("<think>\n") for at in sorted(found)] == [True] * 6 + [False] * 12
    for at, one in found.items():
        other = wanted[at]
        assert isinstance(one, Completion)
        assert isinstance(other, Completion)
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)
