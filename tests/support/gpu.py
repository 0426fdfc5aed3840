"""What the tests on a GPU share: the mark, settings for a device, an engine's answers, limits on its memory."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from support.checkpoints import settings
from support.requests import Answers
from support.requests import answers as all_answers
from yanshou.engines import Completion, Engine, Failure, Request
from yanshou.engines.base import RunPlan
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.settings import EngineSettings, SamplingSettings

CUDA = torch.cuda.is_available()
on_gpu = [pytest.mark.gpu, pytest.mark.skipif(not CUDA, reason="torch finds no CUDA device")]

GIB = 2**30
BF16, FP16, FP32 = torch.bfloat16, torch.float16, torch.float32


def on_device(
    folder: Path, dtype: str, device: str = "cuda", batch_size: int | None = None, gpu_memory: float = 0.5, **other: Any
) -> EngineSettings:
    """Settings of a run with small photos and short answers; `other` are sampling settings by name."""
    return settings(folder, **other).model_copy(
        update={"device": device, "dtype": dtype, "batch_size": batch_size, "gpu_memory": gpu_memory}
    )


def demo(dtype: str, batch_size: int | None = None, max_new_tokens: int = 64, device: str = "cuda") -> EngineSettings:
    """Settings of a run of the demo checkpoint."""
    return EngineSettings(
        checkpoint="demo", device=device, dtype=dtype, batch_size=batch_size, gpu_memory=0.5,
        sampling=SamplingSettings(max_new_tokens=max_new_tokens),
    )  # fmt: skip


def continuous(given: EngineSettings, requests: Sequence[Request], plan: RunPlan | None = None) -> Answers:
    """The continuous engine's answers; with a plan its slots and batches are fixed before the first request."""
    engine = ContinuousEngine(given)
    if plan:
        engine.prepare_run(plan)
    return answers(engine, requests)


def reference(given: EngineSettings, requests: Sequence[Request]) -> Answers:
    """The transformers engine's answers."""
    return answers(TransformersEngine(given), requests)


def answers(engine: Engine, requests: Iterable[Request]) -> Answers:
    """The engine's answers, none of which is a failure."""
    found = all_answers(engine, requests)
    assert not [answer for answer in found.values() if isinstance(answer, Failure)]
    return found


def texts(found: Answers) -> dict[int, str]:
    return {at: answer.text for at, answer in found.items() if isinstance(answer, Completion)}


def release() -> None:
    """Frees what earlier engines hold on the device. An engine and its runner refer to each other."""
    gc.collect()
    if CUDA:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


@contextmanager
def memory_limit(spare: int) -> Iterator[None]:
    """Torch gets no more memory than it holds now and `spare` bytes."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    limit_memory(torch.cuda.memory_reserved() + spare)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def limit_memory(limit: int) -> None:
    """Torch gets no more than `limit` bytes of the current device."""
    torch.cuda.set_per_process_memory_fraction(limit / total_memory())


def total_memory() -> int:
    return int(torch.cuda.get_device_properties(0).total_memory)
