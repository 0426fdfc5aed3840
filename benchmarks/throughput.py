"""Images per second of both engines, from JPEG files on disk to texts, the model already loaded.

    python benchmarks/make_checkpoint.py /tmp/4b
    python benchmarks/throughput.py /tmp/4b --json /tmp/throughput.json

A folder without weights gets random ones, made on the device. Each photo's answer has the length that the workload
says: a batch decodes to its longest one, and what its other rows write beyond their own is wasted; the continuous
engine refills a slot at once. It is run three times and the median counts. The slowest run, batches inside a group,
comes last and gets the time that is left of --minutes; its line says how many photos it did.
"""

import argparse
import gc
import json
import platform
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch.nn.attention import sdpa_kernel
from transformers import GenerationConfig, Qwen3VLConfig, Qwen3VLForConditionalGeneration
from workload import PROMPT, answer_lengths, group_sizes, write_photos

from yanshou.engines import Completion, Request
from yanshou.engines.cache import roomy_cache
from yanshou.engines.continuous import ContinuousEngine
from yanshou.engines.grouped import BACKENDS
from yanshou.engines.qwen3_vl import Prepared, Qwen3VL
from yanshou.engines.transformers import TransformersEngine
from yanshou.settings import EngineSettings, PhotoSettings

GB = 10**9
COLUMNS = {  # a result's field → head of its column, format
    "name": ("run", "{:<26}"),
    "photos": ("photos", "{:>6}"),
    "images_per_s": ("images/s", "{:>8.3f}"),
    "s_per_image": ("s/image", "{:>7.3f}"),
    "useful_tokens_per_s": ("useful tok/s", "{:>12.1f}"),
    "wasted_tokens": ("wasted", "{:>6.1%}"),
    "start_s": ("start s", "{:>7.1f}"),
    "gpu_hours_per_100k": ("GPU h/100,000", "{:>13.2f}"),
    "peak_memory_gb": ("peak GB", "{:>7.1f}"),
    "waiting": ("waiting", "{:>7.1%}"),
}


@dataclass(frozen=True)
class Run:
    """One line of the table."""

    name: str
    batch_size: int | None
    photos: int
    inside_groups: bool = False  # a batch holds photos of one group only, nothing is prepared for the next one
    engine: str = "transformers"
    mode: str = "compiled"  # of the continuous engine


RUNS = (
    Run("continuous, all slots", None, 512, engine="continuous"),
    Run("continuous, eager", None, 512, engine="continuous", mode="eager"),
    Run("continuous, 8 in flight", 8, 64, engine="continuous"),
    Run("one by one", 1, 24),
    Run("batch 8 across groups", 8, 96),
    Run("batch 32 across groups", 32, 256),
    Run("batch 128 across groups", 128, 256),
    Run("batch ≤ 8 inside a group", 8, 96, inside_groups=True),
)


@dataclass(frozen=True)
class Result:
    """What one run came to."""

    name: str
    photos: int
    seconds: float
    images_per_s: float
    s_per_image: float
    useful_tokens_per_s: float
    wasted_tokens: float  # share of the decoded tokens that stand behind their answer's end
    peak_memory_gb: float  # allocated on the device; 0 on the CPU
    waiting: float  # share of the time in which no photo was decoded and resized yet
    start_s: float  # before the first photo: slots, compiling, recording the step; not loading the model
    gpu_hours_per_100k: float  # photos
    repeats: tuple[float, ...] = ()  # images/s of each repetition


class Imposed(Qwen3VL):
    """Answers of given lengths that no token ends, and random weights where the folder has none."""

    lengths: Sequence[int] = ()  # tokens, by request id

    def limit(self, request: Request) -> int:
        return self.lengths[request.id]

    @cached_property
    def stop_tokens(self) -> list[int]:
        return []

    @cached_property
    def model(self) -> Any:
        if has_weights(self.folder):
            return super().model
        config = Qwen3VLConfig.from_pretrained(self.folder)
        torch.manual_seed(0)
        with self.device:
            model = Qwen3VLForConditionalGeneration._from_config(
                config, dtype=self.dtype, attn_implementation=self.interface
            )
        tokenizer = self.processor.tokenizer
        model.generation_config = GenerationConfig(
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
        )
        return model.eval()

    def wasted(self, useful: int) -> float:
        """Share of the decoded tokens that stand behind their answer's end."""
        return 0.0


class ImposedLengths(Imposed, TransformersEngine):
    """The transformers engine, for this workload."""

    decoded = 0  # tokens, wasted ones counted

    @torch.inference_mode()
    def _generate(self, batch: Sequence[Prepared]) -> list[list[int]]:
        wanted = [prepared.limit for prepared in batch]
        inputs, steps = self._collate(batch), max(wanted)
        with sdpa_kernel(BACKENDS):
            out = self.model.generate(
                **inputs, past_key_values=roomy_cache(), max_new_tokens=steps, min_new_tokens=steps, do_sample=False
            )
        rows = out[:, inputs["input_ids"].shape[1] :].tolist()
        assert all(len(row) == steps for row in rows), "an answer ended early"
        self.decoded += steps * len(rows)
        return [row[:length] for row, length in zip(rows, wanted, strict=True)]

    def wasted(self, useful: int) -> float:
        return 1 - useful / self.decoded

    def waited_s(self) -> float:
        return self.scheduler.waited_s


class ImposedContinuous(Imposed, ContinuousEngine):
    """The continuous engine, for this workload."""

    def waited_s(self) -> float:
        return self._scheduler.waited_s if self._scheduler else 0.0


def has_weights(folder: Path) -> bool:
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "pt") as weights:
            if weights.keys():
                return True
    return False


def build(run: Run, first: Imposed, lengths: Sequence[int]) -> Imposed:
    """An engine for the run, on the weights of the first one."""
    kind = ImposedContinuous if run.engine == "continuous" else ImposedLengths
    engine = kind(first.settings.model_copy(update={"batch_size": run.batch_size}))
    vars(engine).update(processor=first.processor, model=first.model, lengths=lengths)
    if isinstance(engine, ImposedContinuous) and engine.device.type == "cuda":
        engine.mode = run.mode
    return engine


def measure(run: Run, first: Imposed, requests: Sequence[Request], repeats: int, deadline: float) -> Result:
    """Runs the requests to their end, those inside groups until the deadline (of time.monotonic) at most."""
    cuda = first.device.type == "cuda"
    if cuda:
        gc.collect()  # the engine before has left
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    began = time.monotonic()
    engine = build(run, first, first.lengths)
    if run.engine == "continuous":  # slots, compiling, recording
        engine.lengths = [2] * len(first.lengths)
        list(completed(engine, requests[:2]))
        engine.lengths = first.lengths
    start = time.monotonic() - began
    results = []
    for _ in range(repeats if run.engine == "continuous" else 1):
        batches = grouped(requests, run.batch_size or 1) if run.inside_groups else iter([requests])
        answers: list[Completion] = []
        began = time.monotonic()
        for batch in batches:
            answers += completed(engine, batch)
            if time.monotonic() > deadline:
                break
        results.append((time.monotonic() - began, engine.waited_s()))
    seconds, waited = sorted(results)[len(results) // 2]
    useful = sum(answer.tokens for answer in answers)
    return Result(
        name=run.name, photos=len(answers), seconds=seconds,
        images_per_s=len(answers) / seconds, s_per_image=seconds / len(answers), useful_tokens_per_s=useful / seconds,
        wasted_tokens=engine.wasted(useful),
        peak_memory_gb=torch.cuda.max_memory_allocated() / GB if cuda else 0.0,
        waiting=waited / seconds, start_s=start, gpu_hours_per_100k=100_000 * seconds / len(answers) / 3_600,
        repeats=tuple(len(answers) / each for each, _ in results),
    )  # fmt: skip


def completed(engine: Imposed, requests: Sequence[Request]) -> Iterator[Completion]:
    """The answers; anything else spoils the measurement."""
    for answer in engine.generate(requests):
        assert isinstance(answer, Completion), answer
        assert answer.tokens == engine.lengths[answer.id]
        yield answer


def grouped(requests: Sequence[Request], most: int) -> Iterator[Sequence[Request]]:
    """The requests of one group after the other, at most so many at a time."""
    first = 0
    for size in group_sizes(len(requests)):
        for at in range(first, first + size, most):
            yield requests[at : min(at + most, first + size)]
        first += size


def warm_up(engine: Imposed, requests: Sequence[Request]) -> None:
    """What happens once in a process: kernels are loaded, libraries choose theirs, memory is reserved."""
    short = engine.lengths
    engine.lengths = [4] * len(requests)
    for batch_size in (1, 8):
        list(completed(build(Run("warm-up", batch_size, batch_size), engine, engine.lengths), requests[:batch_size]))
    engine.lengths = short


def hardware(engine: Imposed) -> dict[str, Any]:
    """Where it was measured, and with what."""
    weights = sum(parameter.numel() for parameter in engine.model.parameters())
    engine_facts = {name: fact for name, fact in engine.environment().items() if name != "batch_size"}
    return {
        **engine_facts, **engine.identity(), "parameters": weights, "cpus": torch.get_num_threads(),
        "python": platform.python_version(), "cuda": torch.version.cuda, "yanshou": version("yanshou"),
    }  # fmt: skip


def heads() -> str:
    widths = (format_.split(".")[0].rstrip("}") + "}" for _, format_ in COLUMNS.values())
    return "  ".join(width.format(head) for width, (head, _) in zip(widths, COLUMNS.values(), strict=True))


def line(result: Result) -> str:
    return "  ".join(format_.format(getattr(result, field)) for field, (_, format_) in COLUMNS.items())


def main(arguments: Sequence[str] | None = None) -> list[Result]:
    parser = argparse.ArgumentParser(description="Images per second of both engines.")
    parser.add_argument("checkpoint")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--attn", default="auto")
    parser.add_argument("--only", default="", help="the runs whose name this regular expression finds")
    parser.add_argument("--photos", type=int, default=512, help="at most so many a run")
    parser.add_argument("--repeats", type=int, default=3, help="of the continuous engine's runs; the median counts")
    parser.add_argument("--tokens", type=int, default=200, help="at most so many an answer")
    parser.add_argument("--max-pixels", type=int, default=PhotoSettings().max_pixels)
    parser.add_argument("--minutes", type=float, default=5.5, help="after which the last run ends early")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-workload")
    parser.add_argument("--json", type=Path, help="where the results go as JSON, after every run")
    given = parser.parse_args(arguments)
    deadline = time.monotonic() + 60 * given.minutes

    runs = [run for run in RUNS if re.search(given.only, run.name)]
    most = min(given.photos, max(run.photos for run in runs))
    photos = write_photos(given.folder, most)
    requests = [Request(number, PROMPT, photo, photo.name) for number, photo in enumerate(photos)]
    lengths = [min(length, given.tokens) for length in answer_lengths(most)]
    settings = EngineSettings(
        checkpoint=given.checkpoint, device=given.device, attn=given.attn,
        photo=PhotoSettings(max_pixels=given.max_pixels),
    )  # fmt: skip
    engine = ImposedLengths(settings)
    engine.lengths = lengths
    if any(run.engine == "transformers" for run in runs):
        warm_up(engine, requests)
    report: dict[str, Any] = {"hardware": hardware(engine), "photos": most, "runs": []}
    print(json.dumps(report["hardware"], ensure_ascii=False), heads(), sep="\n", flush=True)
    results = []
    for run in runs:
        results.append(measure(run, engine, requests[: run.photos], given.repeats, deadline))
        print(line(results[-1]), flush=True)
        report["runs"].append(asdict(results[-1]))
        if given.json:
            given.json.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    return results


if __name__ == "__main__":
    sys.exit(not main())
