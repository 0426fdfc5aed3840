"""Where a photo's time goes on a GPU: vision, prefill and decode of the continuous engine, in milliseconds.

    python benchmarks/budget.py /tmp/4b --photos 128

Every launch is timed on the device. Then the same photos once more under torch's profiler: how long the GPU is at work
between the first launch and the last, and on what. What is left of a photo's time in throughput.py is waiting.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from forced_length_engines import ForcedLengthContinuous
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from workload import PROMPT, answer_lengths, write_photos

from yanshou.engines import Request
from yanshou.settings import EngineSettings

KINDS = {  # what stands in a kernel's name
    "attention of a step": ("_decode_kernel",),
    "attention, packed": ("_varlen_kernel", "flash"),
    "between the products": ("_rms_norm", "_layer_norm", "_silu_and_mul", "_rope_kernel", "_qk_norm_rope"),
    "products": ("gemm", "nvjet", "splitK", "cutlass"),
    "all else": ("",),
}


class Timed:
    """A function whose every call is timed on the device."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.work, self.events = work, list[tuple[Any, Any]]()

    def __call__(self, *given: Any, **named: Any) -> Any:
        before, behind = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        before.record()
        result = self.work(*given, **named)
        behind.record()
        self.events.append((before, behind))
        return result

    def milliseconds(self) -> list[float]:
        torch.cuda.synchronize()
        return [before.elapsed_time(behind) for before, behind in self.events]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="Where a photo's time goes on a GPU.")
    parser.add_argument("checkpoint")
    parser.add_argument("--photos", type=int, default=128)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-workload")
    given = parser.parse_args(arguments)

    photos = write_photos(given.folder, given.photos)
    requests = [Request(number, PROMPT, photo, photo.name) for number, photo in enumerate(photos)]
    engine = ForcedLengthContinuous(EngineSettings(checkpoint=given.checkpoint))
    engine.lengths = [2] * given.photos
    list(engine.generate(requests[:2]))
    runner = engine._runner
    assert runner is not None
    session = runner._state
    assert session is not None
    tower, prefill, step = Timed(session._encode_photos), Timed(session.language.prefill), Timed(session.step)
    vars(session).update(_encode_photos=tower, step=step)
    vars(session.language).update(prefill=prefill)
    engine.lengths = answer_lengths(given.photos)
    list(engine.generate(requests))
    launches = len(tower.events)
    steps = step.milliseconds()
    report = {
        "slots": session.cache.slots, "prefill_batch_tokens": session.shape.tokens,
        "photos_a_launch": given.photos / launches,
        "vision_ms_a_photo": sum(tower.milliseconds()) / given.photos,
        "prefill_ms_a_photo": sum(prefill.milliseconds()) / given.photos,
        "step_ms": {"median": median(steps), "longest": max(steps), "shortest": min(steps)},
        "decode_ms_a_photo": sum(steps) / given.photos,
    }  # fmt: skip
    report["profile"] = profiled(lambda: list(engine.generate(requests)))
    print(json.dumps(report, indent=1), flush=True)
    return report


def profiled(work: Callable[[], Any]) -> dict[str, Any]:
    """Share of the time in which the GPU is at work, and seconds by what it does."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        work()
        torch.cuda.synchronize()
    kernels = [event for event in profiler.events() if event.device_type == DeviceType.CUDA]
    spans = sorted((event.time_range.start, event.time_range.end) for event in kernels)
    busy, end = 0.0, spans[0][0]
    for start, stop in spans:  # of several streams
        busy, end = busy + max(0.0, stop - max(start, end)), max(end, stop)
    seconds = dict.fromkeys(KINDS, 0.0)
    for event in kernels:
        kind = next(kind for kind, words in KINDS.items() if any(word in event.name for word in words))
        seconds[kind] += event.time_range.elapsed_us() / 1e6
    return {"at_work": busy / (end - spans[0][0]), "seconds": seconds}


if __name__ == "__main__":
    sys.exit(not main())
