"""Keys and values in FP8 on a GPU: what the kernels write and read, and that a photo keeps its line."""

from typing import Any

import pytest
import torch
from support import interpreted_kv
from support.gpu import BF16, CUDA, answers, demo, on_gpu, texts
from support.requests import drawn_jobs, drawn_photos

from yanshou.engines import Completion
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.device import lacks_fp8
from yanshou.settings import EngineSettings

pytestmark = [
    *on_gpu, pytest.mark.skipif(CUDA and bool(lacks_fp8(torch.device("cuda", 0))), reason="this GPU has no FP8")
]  # fmt: skip


def demo_with_fp8_cache(**other: Any) -> EngineSettings:
    return demo("bfloat16", **other).model_copy(update={"kv_cache": "fp8"})


def test_kernels_write_and_read_what_torch_does() -> None:
    torch.manual_seed(0)
    with torch.device("cuda"):
        interpreted_kv.check_write()
        interpreted_kv.check_decode(BF16)


def test_the_likelihood_of_a_verdict_is_that_of_16_bits() -> None:
    """It is computed in prefill, which reads nothing in FP8."""
    jobs = drawn_jobs(8)
    found, plain = (answers(ContinuousEngine(given), jobs) for given in (demo_with_fp8_cache(), demo("bfloat16")))
    for at, one in plain.items():
        other = found[at]
        assert isinstance(one, Completion)
        assert isinstance(other, Completion)
        assert other.logprobs == one.logprobs


def test_the_demo_checkpoint_answers_nearly_as_with_16_bits() -> None:
    photos = drawn_photos(24)
    engine = ContinuousEngine(demo_with_fp8_cache(max_new_tokens=48))
    found = texts(answers(engine, photos))
    plain = texts(answers(ContinuousEngine(demo("bfloat16", max_new_tokens=48)), photos))
    assert sum(text == plain[at] for at, text in found.items()) >= len(photos) - 1
    assert texts(answers(engine, photos[::-1])) == found
    assert texts(answers(engine, photos[5:6])) == {5: found[5]}
