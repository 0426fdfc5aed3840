"""Where a photo's time goes on a GPU: vision, prefill and decode of the continuous engine, in milliseconds.

    python benchmarks/budget.py /tmp/4b --photos 512
    python benchmarks/budget.py /tmp/4b --photos 512 --quantize fp8

First the parts of every prefill batch and every decode step are timed on the device. Then the same photos run under
torch's profiler, which gives the share of time in which the GPU is busy, with which kernels, and the longest gaps
between kernels. The rest of a photo's time in throughput.py is waiting. Last, the same products are timed alone, in 16
bits and in FP8 (products.py): the floor that the kernels "matrix products" stand against.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from forced_length_engines import ForcedLengthContinuous, device_state
from products import table
from quantized_model import described
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from workload import PROMPT, answer_lengths, write_photos

from yanshou.engines import Request
from yanshou.settings import EngineSettings

KERNELS = {  # kind → parts of the kernels' names; the first kind that matches counts
    "decode attention": ("_decode_kernel",),
    "varlen attention": ("_varlen_kernel", "flash"),
    "quantizing alone": ("_quantize_kernel",),
    "elementwise and norms": (
        "_rms_norm", "_layer_norm", "_silu_and_mul", "_bias_gelu", "_rope_kernel", "_qk_norm_rope_cache",
    ),
    "matrix products in FP8": ("nvjet_sm90_qq", "nvjet_qq", "e4m3", "f8f8"),
    "matrix products": ("gemm", "nvjet", "splitK", "cutlass"),
    "other": ("",),
}  # fmt: skip
LARGEST = 16  # kernels, and gaps between them, that the report names
SHORT_GAP_MS = 0.5  # between two kernels: nothing that the report names


class Timed:
    """A function whose calls are timed on the device."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.events = function, list[tuple[Any, Any]]()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        result = self.function(*args, **kwargs)
        end.record()
        self.events.append((start, end))
        return result

    def milliseconds(self) -> list[float]:
        torch.cuda.synchronize()
        return [start.elapsed_time(end) for start, end in self.events]


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="Where a photo's time goes on a GPU.")
    parser.add_argument("checkpoint", help="a checkpoint folder, with or without weights")
    parser.add_argument("--photos", type=int, default=128)
    parser.add_argument("--quantize", choices=["none", "fp8"], default="none")
    parser.add_argument("--kv-cache", choices=["auto", "fp8"], default="auto")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-workload")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        parser.error("it times kernels on a GPU, and torch finds none here")

    photos = write_photos(given.folder, given.photos)
    requests = [Request(number, PROMPT, photo, photo.name) for number, photo in enumerate(photos)]
    settings = EngineSettings(checkpoint=given.checkpoint, quantize=given.quantize, kv_cache=given.kv_cache)
    engine = ForcedLengthContinuous(settings)
    engine.lengths = [2] * given.photos
    list(engine.generate(requests[:2]))  # allocates, compiles and captures
    state, lengths = device_state(engine), answer_lengths(given.photos)
    vision, prefill, step = Timed(state._encode_photos), Timed(state.language.prefill), Timed(state.step)
    vars(state).update(_encode_photos=vision, step=step)
    vars(state.language).update(prefill=prefill)
    engine.lengths = lengths
    list(engine.generate(requests))
    steps = step.milliseconds()
    report = {
        "quantize": described() if engine.fp8 else "none",
        "kv_cache": given.kv_cache,
        **(engine.capacity.recorded if engine.capacity else {}),
        "photos_per_prefill_batch": given.photos / len(vision.events),
        "vision_ms_per_photo": sum(vision.milliseconds()) / given.photos,
        "prefill_ms_per_photo": sum(prefill.milliseconds()) / given.photos,
        "step_ms": {"median": median(steps), "longest": max(steps), "shortest": min(steps)},
        "decode_ms_per_photo": sum(steps) / given.photos,
    }
    report["profile"] = profiled(lambda: list(engine.generate(requests)), given.photos)
    print(json.dumps(report, indent=1), flush=True)
    report["floor"] = table(engine.model.config, engine.device)
    return report


def profiled(work: Callable[[], Any], photos: int) -> dict[str, Any]:
    """The share of time in which the GPU is busy, between its first and its last kernel, and ms per photo by kind."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        work()
        torch.cuda.synchronize()
    kernels = [event for event in profiler.events() if event.device_type == DeviceType.CUDA]
    intervals = sorted((event.time_range.start, event.time_range.end) for event in kernels)
    busy, end, gaps = 0.0, intervals[0][0], []
    for start, stop in intervals:  # intervals of several streams overlap
        if (gap := (start - end) / 1e3) > SHORT_GAP_MS:
            gaps.append({"ms": gap, "at_ms": (end - intervals[0][0]) / 1e3})
        busy, end = busy + max(0.0, stop - max(start, end)), max(end, stop)
    kinds, each = dict.fromkeys(KERNELS, 0.0), Counter[str]()
    for event in kernels:
        kind = next(kind for kind, names in KERNELS.items() if any(name in event.name for name in names))
        kinds[kind] += event.time_range.elapsed_us() / 1e3 / photos
        each[f"{kind}: {event.name[:80]}"] += event.time_range.elapsed_us() / 1e3 / photos
    return {
        "busy": busy / (end - intervals[0][0]), "busy_ms_per_photo": busy / 1e3 / photos, "ms_per_photo": kinds,
        "gaps_ms": sum(gap["ms"] for gap in gaps),
        "longest_gaps": sorted(gaps, key=lambda gap: gap["ms"], reverse=True)[:LARGEST],
        "largest": dict(each.most_common(LARGEST)),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(not main())
