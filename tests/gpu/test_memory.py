"""Memory of a real card: a plan is kept, and a run that loses memory ends complete, on fewer slots."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support.checkpoints import write_tiny
from support.gpu import (
    GIB,
    answers,
    limit_memory,
    memory_limit,
    on_device,
    on_gpu,
    reference,
    release,
    texts,
    total_memory,
)
from support.requests import LONG, photos

from yanshou.engines import Completion, Failure
from yanshou.engines.base import RunPlan
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.settings import EngineSettings

pytestmark = on_gpu

PLAN = RunPlan(LONG, photos=True, earlier=[])
ROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [24, 20, 20], "mrope_interleaved": True}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few weights, but keys and values of 32 KiB per token in 16 bits, so that slots take gigabytes."""
    return write_tiny(
        tmp_path_factory.mktemp("checkpoint") / "wide", num_hidden_layers=8, num_attention_heads=8,
        num_key_value_heads=8, head_dim=128, rope_parameters=ROPE,
    )  # fmt: skip


def share_of(gib: float, folder: Path, dtype: str = "bfloat16", **other: Any) -> EngineSettings:
    """Settings that give the engine that many GiB of the card. Slots are long, so that memory decides their number."""
    return on_device(folder, dtype, gpu_memory=gib * GIB / total_memory(), max_new_tokens=1_000, **other)


def slots(engine: ContinuousEngine) -> int:
    """The number of slots that are allocated on the device."""
    capacity = engine.stats().capacity
    assert capacity
    return capacity.slots


def test_a_plan_is_allocated_and_stays_within_its_share_of_the_card(wide: Path) -> None:
    found = []
    for gib in (4, 6):
        release()
        before = torch.cuda.memory_reserved()
        engine = ContinuousEngine(share_of(gib, wide))
        engine.prepare_run(PLAN)
        planned = engine.environment()["slots"]
        answers(engine, photos())
        assert slots(engine) == planned
        assert engine.out_of_memory == 0
        taken = torch.cuda.max_memory_reserved() - before
        assert gib / 2 * GIB < taken <= gib * GIB, f"{taken / GIB:.2f} of {gib} GiB"
        found.append(planned)
        del engine
    assert 8 <= found[0] < found[1] < 256, found


def test_slots_that_do_not_fit_are_halved_and_the_run_ends_complete(wide: Path) -> None:
    """Memory goes between the plan and the allocation."""
    engine = ContinuousEngine(share_of(6, wide))
    engine.prepare_run(PLAN)
    planned = engine.environment()["slots"]
    _ = engine.model
    with memory_limit(spare=3 * GIB):
        found = answers(engine, photos(20))
    assert found.keys() == set(range(20))
    assert engine.out_of_memory > 0
    assert slots(engine) < planned


def test_memory_lost_in_the_middle_of_a_run_changes_no_text(wide: Path) -> None:
    """In float32, where texts do not depend on the capacity. The cache that torch keeps for later is taken as well."""
    requests, given = photos(24), share_of(8, wide, "float32", batch_size=4)
    undisturbed = ContinuousEngine(given)
    undisturbed.prepare_run(PLAN)
    whole = texts(answers(undisturbed, requests))
    del undisturbed
    release()
    engine = ContinuousEngine(given)
    engine.prepare_run(PLAN)
    planned = engine.environment()["slots"]
    try:
        found = dict(disturbed(engine.generate(requests)))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert found == whole
    assert engine.out_of_memory > 0
    assert slots(engine) < planned


def disturbed(generated: Iterator[Completion | Failure]) -> Iterator[tuple[int, str]]:
    """Request id and text. After the second answer no more memory is left than is in use."""
    for count, answer in enumerate(generated, 1):
        assert isinstance(answer, Completion), answer
        yield answer.id, answer.text
        if count == 2:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            limit_memory(torch.cuda.memory_reserved())


def test_the_reference_engine_halves_a_batch_that_does_not_fit(wide: Path) -> None:
    """The limit is halfway between what one photo takes and what all of them take at once."""
    requests = photos(64)
    reference(on_device(wide, "float32", batch_size=1), requests[:1])
    peak_of_one = torch.cuda.max_memory_reserved()
    release()
    whole = reference(on_device(wide, "float32", batch_size=64), requests)
    peak_of_all = torch.cuda.max_memory_reserved()
    release()
    engine = TransformersEngine(on_device(wide, "float32", batch_size=64))
    try:
        limit_memory((peak_of_one + peak_of_all) // 2)
        found = answers(engine, requests)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert texts(found) == texts(whole)
    assert engine.out_of_memory > 0
