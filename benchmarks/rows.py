"""The rows of throughput.py's table, and the measurement of a row."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from forced_length_engines import (
    ForcedLengthContinuous,
    ForcedLengthEngine,
    ForcedLengthTransformers,
    PlainGenerate,
    has_weights,
    release,
)
from host import resident
from quantized_model import described
from workload import LARGE, MIXED, PHONE, PROMPT, Sizes, answer_lengths, group_sizes, write_photos

from yanshou.engines import Completion, Request
from yanshou.engines.checkpoint import fp8_scales
from yanshou.settings import PhotoSettings, SamplingSettings

GB, GIB = 10**9, 2**30
MAX_FILES = 512  # photo files; a longer run reads them several times
SLOTS = (8, 32, 64, 128, 256)
CARDS = {12: 192, 16: 192, 24: 192, 40: 240, 80: 256}  # GiB: photos
REPORTED = 0.97  # share of its nominal memory that a card reports
VLLM_ROW = Path(__file__).with_name("vllm_row.py")


@dataclass(frozen=True)
class Run:
    """One row of the table: what to run."""

    name: str
    batch_size: int | None  # None: the number of slots
    photos: int
    engine: str = "transformers"
    inside_groups: bool = False  # each batch has photos of one group, and no later batch is prepared meanwhile
    repeats: int = 1
    sizes: Sizes = PHONE
    max_pixels: int | None = None  # None: --max-pixels of the command
    longer: int = 1  # factor of all answer lengths
    slots: int | None = None  # None: as many as the memory holds
    card_gib: int | None = None  # simulates a smaller card: its capacity, and no more memory than it has
    thirds: bool = False  # adds speed and memory of each third to the notes
    quantize: str = "none"

    @property
    def in_fp8(self) -> "Run":
        """The same in FP8."""
        return replace(self, name=self.name.replace(",", " FP8,", 1), quantize="fp8")


CONTINUOUS = (
    Run("continuous, all slots", None, 512, "continuous", repeats=3),
    Run("continuous, 8 in flight", 8, 64, "continuous"),
    Run("continuous, 1,048,576 pixels", None, 256, "continuous", max_pixels=1_048_576),
    Run("continuous, 2,097,152 pixels", None, 128, "continuous", max_pixels=2_097_152, sizes=LARGE),
    Run("continuous, mixed sizes", None, 256, "continuous", sizes=MIXED),
    Run("continuous, answers twice as long", None, 256, "continuous", longer=2),
    Run("continuous, 5,000 photos", None, 5_000, "continuous", thirds=True),
    *(Run(f"continuous, {slots} slots", None, max(64, slots), "continuous", slots=slots) for slots in SLOTS),
    *(Run(f"continuous, {gib} GB card", None, photos, "continuous", card_gib=gib) for gib, photos in CARDS.items()),
)
RUNS = (
    Run("vLLM", None, 512, "vllm", repeats=3),  # first, while the card is empty: vLLM takes 90 % of it
    Run("vLLM FP8", None, 512, "vllm", repeats=3, quantize="fp8"),
    *CONTINUOUS,
    *(run.in_fp8 for run in CONTINUOUS),
    Run("one by one", 1, 24),
    Run("batch 8 across groups", 8, 96),
    Run("batch 32 across groups", 32, 256),
    Run("batch 128 across groups", 128, 256),
    Run("batch ≤ 8 inside a group", 8, 96, inside_groups=True),
    Run("plain generate, ≤ 8 inside a group", 8, 96, "generate", inside_groups=True),
)


ENGINES: Mapping[str, type[ForcedLengthEngine]] = {
    "transformers": ForcedLengthTransformers, "continuous": ForcedLengthContinuous, "generate": PlainGenerate,
}  # fmt: skip


class Third(NamedTuple):
    """A third of a run's photos."""

    images_per_s: float
    resident_mib: float  # of the process, at the end of the third


@dataclass(frozen=True)
class Pass:
    """One repetition of a run."""

    seconds: float
    photos: int
    tokens: int
    data_wait_s: float | None
    thirds: tuple[Third, ...] = ()


@dataclass(frozen=True)
class Result:
    """The measurement of a run."""

    name: str
    photos: int
    slots: int | None
    seconds: float
    images_per_s: float
    groups_per_s: float
    s_per_image: float
    useful_tokens_per_s: float
    wasted_tokens: float  # share of the decoded tokens that come after the end of their answer
    peak_memory_gb: float  # allocated on the device; for vLLM all memory in use there; 0 on the CPU
    reserved_memory_gb: float  # held by torch's allocator
    waiting: float | None  # share of the time in which the model waited for a prepared photo; None: unknown
    start_s: float  # before the first photo: slots, compiling, graph capture; for vLLM also loading the model
    gpu_hours_per_100k: float  # GPU hours per 100,000 photos
    repeats: tuple[float, ...]  # images/s of each repetition
    thirds: tuple[Third, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """A run that failed."""

    name: str
    error: str


def work(run: Run, folder: Path, photos: int, tokens: int) -> tuple[list[Request], list[int]]:
    """The requests of a run, at most `photos`, and the lengths of their answers, at most `tokens` before `longer`."""
    photos = min(photos, run.photos)
    paths = write_photos(folder, min(photos, MAX_FILES), run.sizes)
    each = [paths[number % len(paths)] for number in range(photos)]
    requests = [Request(number, PROMPT, photo, photo.name) for number, photo in enumerate(each)]
    return requests, [run.longer * min(length, tokens) for length in answer_lengths(photos)]


def build(run: Run, first: ForcedLengthEngine, lengths: Sequence[int]) -> ForcedLengthEngine:
    """An engine for the run that shares the weights of the first one."""
    settings = first.settings
    photo = settings.photo if run.max_pixels is None else PhotoSettings(max_pixels=run.max_pixels)
    sampling = SamplingSettings(max_new_tokens=run.longer * settings.sampling.max_new_tokens)
    engine = ENGINES[run.engine](
        settings.model_copy(update={"batch_size": run.batch_size, "photo": photo, "sampling": sampling})
    )
    vars(engine).update(
        processor=first.processor,
        model=first.model,
        parameter_count=first.parameter_count,
        lengths=lengths,
        kept=first.kept,
    )
    if isinstance(engine, ForcedLengthContinuous):
        engine.planner.pin({"slots": run.slots} if run.slots else {})
        if run.card_gib and engine.device.type == "cuda":
            engine.simulated_memory = card_bytes(run.card_gib)
    return engine


def measure(
    run: Run,
    first: ForcedLengthEngine,
    requests: Sequence[Request],
    lengths: Sequence[int],
    repeats: int,
    limit_s: float,
) -> Result:
    """Runs all requests; inside groups for about `limit_s` seconds at most."""
    cuda = first.device.type == "cuda"
    if cuda:
        clear()
    with card(run.card_gib if cuda else None):
        started = time.monotonic()
        engine = build(run, first, lengths)
        if run.engine == "continuous":  # allocates slots, compiles kernels, captures the step
            engine.lengths = [2] * len(lengths)
            list(completed(engine, requests[:2]))
            engine.lengths = lengths
        start = time.monotonic() - started
        passes = [timed(run, engine, requests, limit_s) for _ in range(repeats)]
    memory = (torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()) if cuda else (0, 0)
    capacity, notes = engine.capacity, []
    if capacity:
        tokens = capacity.prefill_batch_tokens
        notes.append(f"{capacity.slots} slots of {capacity.slot_len} tokens, {tokens} tokens per prefill batch")
    if isinstance(engine, ForcedLengthContinuous) and (halvings := engine.stats().halvings):
        notes.append(f"out of memory: halved {halvings} times")
    if isinstance(engine, ForcedLengthContinuous) and engine.fp8:
        notes.append(described(engine.kept))
    return result(
        run, passes, start, memory, engine.wasted(passes[-1].tokens), capacity.slots if capacity else None, notes
    )


def result(
    run: Run, passes: Sequence[Pass], start: float, memory: tuple[int, int], wasted: float, slots: int | None,
    notes: Sequence[str],
) -> Result:  # fmt: skip
    """The result of the pass with the median time."""
    one = sorted(passes, key=lambda each: each.seconds)[len(passes) // 2]
    if run.thirds and one.thirds:
        speeds = ", ".join(f"{third.images_per_s:.2f}" for third in one.thirds)
        sizes = ", ".join(f"{third.resident_mib:,.0f}" for third in one.thirds)
        notes = [*notes, f"by thirds: {speeds} images/s; then {sizes} MiB resident"]
    return Result(
        name=run.name, photos=one.photos, slots=slots, seconds=one.seconds,
        images_per_s=one.photos / one.seconds, groups_per_s=len(group_sizes(one.photos)) / one.seconds,
        s_per_image=one.seconds / one.photos, useful_tokens_per_s=one.tokens / one.seconds, wasted_tokens=wasted,
        peak_memory_gb=memory[0] / GB, reserved_memory_gb=memory[1] / GB,
        waiting=None if one.data_wait_s is None else one.data_wait_s / one.seconds, start_s=start,
        gpu_hours_per_100k=100_000 * one.seconds / one.photos / 3_600,
        repeats=tuple(each.photos / each.seconds for each in passes), thirds=one.thirds, notes=tuple(notes),
    )  # fmt: skip


def timed(run: Run, engine: ForcedLengthEngine, requests: Sequence[Request], limit_s: float) -> Pass:
    batches = grouped(requests, run.batch_size or 1) if run.inside_groups else iter([requests])
    cuts = {len(requests) * third // 3 for third in (1, 2, 3)}
    photos = tokens = 0
    started, waited = time.monotonic(), engine.data_wait_s
    marks = [(0, started, 0.0)]  # photos done, time, resident memory
    for batch in batches:
        for answer in completed(engine, batch):
            photos, tokens = photos + 1, tokens + answer.tokens
            if photos in cuts:
                marks.append((photos, time.monotonic(), resident("self")))
        if time.monotonic() - started > limit_s:
            break
    seconds = time.monotonic() - started
    thirds = tuple(Third((b[0] - a[0]) / (b[1] - a[1]), b[2]) for a, b in pairwise(marks))
    return Pass(seconds, photos, tokens, engine.data_wait_s - waited, thirds)


def completed(engine: ForcedLengthEngine, requests: Sequence[Request]) -> Iterator[Completion]:
    """The answers. A failure would spoil the measurement."""
    for answer in engine.generate(requests):
        assert isinstance(answer, Completion), answer
        assert answer.tokens == engine.lengths[answer.id]
        yield answer


def grouped(requests: Sequence[Request], batch_size: int) -> Iterator[Sequence[Request]]:
    """Batches of the requests of one group after another."""
    first = 0
    for size in group_sizes(len(requests)):
        for at in range(first, first + size, batch_size):
            yield requests[at : min(at + batch_size, first + size)]
        first += size


def warm_up(first: ForcedLengthEngine, requests: Sequence[Request]) -> None:
    """Does what happens once per process: kernels are loaded and chosen, memory is reserved."""
    for batch_size in (1, 8):
        run, some = Run("warm-up", batch_size, batch_size), requests[:batch_size]
        list(completed(build(run, first, [4] * len(some)), some))


# ---- the card ----


def clear() -> None:
    """Frees the memory of earlier engines and resets the peak."""
    release()
    torch.cuda.reset_peak_memory_stats()


def card_bytes(gib: int) -> int:
    return int(REPORTED * gib * GIB)


@contextmanager
def card(gib: int | None) -> Iterator[None]:
    """Limits torch to the memory of a card of that many GiB. None: no limit."""
    if gib is None:
        yield
        return
    total = torch.cuda.get_device_properties().total_memory
    if card_bytes(gib) > total:
        raise ValueError(f"a card of {gib} GB cannot be simulated: this card has {total / GIB:.1f} GiB")
    torch.cuda.set_per_process_memory_fraction(card_bytes(gib) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


# ---- vLLM ----


def measure_vllm(
    run: Run,
    first: ForcedLengthEngine,
    requests: Sequence[Request],
    lengths: Sequence[int],
    repeats: int,
    path: Path | None,
) -> Result:
    """In its own process, whose memory is free again when it ends."""
    if first.device.type == "cuda":
        vars(first).pop("model", None)
        clear()
    photo = first.settings.photo
    job = {
        "checkpoint": str(first.folder), "weights": has_weights(first.folder), "repeats": repeats,
        "dtype": str(first.dtype).removeprefix("torch."), "prompt": first.render(PROMPT),
        "quantization": None if run.quantize == "none" or fp8_scales(first.folder) else run.quantize,
        "min_pixels": photo.min_pixels, "max_pixels": photo.max_pixels,
        "photos": [str(request.photo) for request in requests], "lengths": lengths,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        measured = child(job, Path(folder), path)
    passes = [Pass(seconds, len(lengths), sum(lengths), None) for seconds in measured["seconds"]]
    memory = (measured["used_bytes"],) * 2
    note = f"vLLM {measured['version']}, {measured['prompt_tokens']} prompt tokens"
    return result(run, passes, measured["start_s"], memory, 0.0, None, [note])


def end(process: subprocess.Popen[bytes]) -> None:
    """Kills the process and its children, and waits until they have ended and released their memory."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for _ in range(300):
            os.killpg(process.pid, 0)
            time.sleep(0.1)


def child(job: dict[str, Any], folder: Path, path: Path | None) -> dict[str, Any]:
    """Runs vllm_row.py on the job; returns its result."""
    given, result_file, log = folder / "job.json", folder / "result.json", folder / "log"
    given.write_text(json.dumps(job), encoding="utf-8")
    folders = [str(path)] * (path is not None) + [found for found in [os.environ.get("PYTHONPATH")] if found]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders)}
    with log.open("w", encoding="utf-8") as out:
        # -P keeps this folder out of sys.path. In a session of its own, the process can be killed with its children.
        process = subprocess.Popen(
            [sys.executable, "-P", str(VLLM_ROW), str(given), str(result_file)], env=environment, stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait()
        finally:
            end(process)
    if not result_file.exists():
        print(log.read_text(encoding="utf-8", errors="replace")[-4_000:], file=sys.stderr, flush=True)
        raise RuntimeError(f"vLLM's process ended with status {status}; the end of its log is on stderr")
    answer: dict[str, Any] = json.loads(result_file.read_text(encoding="utf-8"))
    return answer
