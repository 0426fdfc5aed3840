"""Both engines on a GPU: the same texts in float32, near logits in bfloat16, and no photo that depends on another."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from support.checkpoints import biased, write_tiny
from support.gpu import Answers, continuous, demo, on_device, on_gpu, reference, release, texts
from support.requests import LONG, drawn_jobs, drawn_photos, mixed, photos

from yanshou.engines import Completion, Request
from yanshou.engines.base import RunPlan

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

import logits

pytestmark = on_gpu

LOGITS_APART = 0.03  # relative distance of bfloat16 logits from float32's, of the demo checkpoint: usually below 0.01
SAMPLINGS: Sequence[dict[str, Any]] = [
    {}, {"temperature": 1.0, "top_p": 0.9}, {"temperature": 0.8, "repetition_penalty": 1.2, "seed": 3},
]  # fmt: skip


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "top-p", "penalty"])
def test_in_float32_the_continuous_engine_writes_what_the_reference_writes(
    tiny: Path, sampling: dict[str, Any]
) -> None:
    """Vision, prefix, positions, decode and sampler at once: one wrong number would write another text."""
    given = on_device(tiny, "float32", **sampling)
    assert continuous(given, mixed()) == reference(given, mixed())


def test_in_float32_another_architecture_gives_the_same_texts_too(tmp_path: Path) -> None:
    """Two layers of DeepStack, grouped query heads, biases."""
    folder = write_tiny(
        tmp_path / "other", {"depth": 4, "deepstack_visual_indexes": [1, 2]},
        num_hidden_layers=4, num_attention_heads=6, num_key_value_heads=2, attention_bias=True,
    )  # fmt: skip
    given = on_device(biased(folder), "float32")
    assert continuous(given, mixed()) == reference(given, mixed())


def test_in_float32_the_demo_checkpoint_writes_the_same_texts_on_both_engines() -> None:
    requests = drawn_photos(24)
    assert continuous(demo("float32"), requests) == reference(demo("float32", 8), requests)


def test_in_float32_verdicts_are_as_likely_as_by_the_reference() -> None:
    requests = drawn_jobs(12)
    given = demo("float32", 4, max_new_tokens=16)
    found, wanted = continuous(given, requests), reference(given, requests)
    for at, one in found.items():
        other = wanted[at]
        assert isinstance(one, Completion)
        assert isinstance(other, Completion)
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)
        assert replace(one, logprobs=()) == replace(other, logprobs=())


def test_in_bfloat16_logits_are_near_those_of_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first token's logits of photos of the demo world, by both engines."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    requests = drawn_photos(12)
    exact = logits.Reference(demo("float32", max_new_tokens=1)).logits(requests)
    for kind in (logits.Reference, logits.Continuous):
        release()
        distances = logits.distances(kind(demo("bfloat16", max_new_tokens=1)).logits(requests), exact)
        assert median(distances) < LOGITS_APART, distances
        assert max(distances) < 3 * LOGITS_APART, distances


def planned(folder: Path, dtype: str, requests: Sequence[Request], batch_size: int | None = None) -> Answers:
    """Answers at the capacity of a run of photos, whatever the requests are."""
    given = on_device(folder, dtype, batch_size=batch_size, temperature=1.0)
    return continuous(given, requests, RunPlan(LONG, photos=True, earlier=[]))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_a_photo_gets_the_same_text_whatever_else_is_in_the_batch(tiny: Path, dtype: str) -> None:
    requests = photos(40)
    whole = planned(tiny, dtype, requests)
    assert planned(tiny, dtype, requests[::-1]) == whole, "another order"
    assert planned(tiny, dtype, requests, batch_size=3) == whole, "three at a time"
    assert planned(tiny, dtype, requests[17:18]) == {17: whole[17]}, "alone"
    assert planned(tiny, dtype, [*requests[20:], *requests[:7]]) == {
        at: whole[at] for at in (*range(20, 40), *range(7))
    }, "other requests in the batch"


def test_a_drawn_photo_gets_the_same_text_in_another_order_and_batch_size() -> None:
    requests = drawn_photos(24)
    prompt = max((request.prompt for request in requests), key=lambda prompt: len(prompt.user))
    plan = RunPlan(prompt, photos=True, earlier=[])
    whole = continuous(demo("bfloat16"), requests, plan)
    assert continuous(demo("bfloat16"), requests[::-1], plan) == whole
    assert continuous(demo("bfloat16", 5), requests[3:], plan) == {at: whole[at] for at in range(3, 24)}


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one CUDA device: two are compared")
def test_a_second_device_gives_the_same_texts(tiny: Path) -> None:
    for engine in (continuous, reference):
        first, second = (engine(on_device(tiny, "float32", device, 8), mixed()) for device in ("cuda:0", "cuda:1"))
        assert texts(first) == texts(second)
