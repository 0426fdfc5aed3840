"""Promises of the runner, seen through the engine: slots as long as needed, and what happens when memory runs out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.checkpoints import settings
from support.photos import noise
from support.requests import LONG, SHORT, Answers, answers, continuous, photos

from yanshou.engines import Completion, Failure, Prompt, Request
from yanshou.engines.continuous import model_runner
from yanshou.engines.continuous.device_state import DeviceState
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.continuous.language_model import KVCache
from yanshou.engines.continuous.prefill_batch import PrefillBatch
from yanshou.engines.qwen3_vl import ModelInput


def test_logprobs_of_candidates_equal_the_reference(tiny: Path, reference: Callable[..., Answers]) -> None:
    requests = [
        Request(number, (SHORT, LONG)[number % 2], None, str(number), candidates=("通过", "不通过"))
        for number in range(7)
    ]
    found, wanted = continuous(tiny, requests), reference(requests)
    for number in range(7):
        one, other = found[number], wanted[number]
        assert isinstance(one, Completion)
        assert isinstance(other, Completion)
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        assert replace(one, logprobs=()) == replace(other, logprobs=())


def test_a_prompt_longer_than_the_slots_gets_longer_slots(tiny: Path, reference: Callable[..., Answers]) -> None:
    endless = Prompt("看图。", "请写出全部内容。" * 90)
    requests = [
        *photos(2, SHORT),
        Request(5, endless, None, "long"),
        Request(6, endless, noise(1, 64, 64), "long too"),
    ]
    assert continuous(tiny, requests) == reference(requests)


def test_pixels_are_not_kept_while_answers_are_generated(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    completed, completion = list[ModelInput](), ContinuousEngine.completion

    def watched(engine: ContinuousEngine, prepared: ModelInput, *rest: Any) -> Completion:
        completed.append(prepared)
        return completion(engine, prepared, *rest)

    monkeypatch.setattr(ContinuousEngine, "completion", watched)
    continuous(tiny, photos(4))
    assert [one.pixels for one in completed] == [None] * 4


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"),
    ],
)
def test_out_of_memory_halves_down_to_one_slot_and_the_smallest_prefill_batch(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, error: RuntimeError
) -> None:
    """Every prefill batch is too large but the smallest; no photo is lost, none fails."""
    capacities, admit = [], DeviceState.admit

    def limited(state: DeviceState, batch: PrefillBatch, slots: Sequence[int]) -> Any:
        capacities.append((state.cache.slots, state.shape.tokens))
        if capacities[-1] != (1, state.cache.slot_len):
            raise error
        return admit(state, batch, slots)

    whole = continuous(tiny, photos(4))
    monkeypatch.setattr(DeviceState, "admit", limited)
    engine = ContinuousEngine(settings(tiny))
    assert answers(engine, photos(4)) == whole
    assert [slots for slots, _ in capacities[:5]] == [16, 8, 4, 2, 1]
    assert engine.out_of_memory == engine.stats().halvings == 5  # the last time only the prefill batch could shrink


def test_a_request_that_fits_nowhere_does_not_slow_down_the_others(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def limited(vision: Any, language: Any, sampler: Any, cache: KVCache, *more: Any) -> DeviceState:
        if cache.slot_len > 512:
            raise torch.cuda.OutOfMemoryError
        return DeviceState(vision, language, sampler, cache, *more)

    monkeypatch.setattr(model_runner, "DeviceState", limited)
    engine = ContinuousEngine(settings(tiny))
    endless = Request(9, Prompt("看图。", "请写出全部内容。" * 200), None)
    found = answers(engine, [*photos(2), endless, *photos(6)[3:]])
    assert [number for number, answer in found.items() if isinstance(answer, Failure)] == [9]
    assert len(found) == 6
    capacity = engine.stats().capacity
    assert capacity is not None
    assert capacity.slots == 16


def test_a_bug_is_not_taken_for_out_of_memory(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(state: DeviceState, batch: PrefillBatch, slots: Sequence[int]) -> Any:
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr(DeviceState, "admit", broken)
    with pytest.raises(RuntimeError, match="illegal"):
        continuous(tiny, photos(1))
