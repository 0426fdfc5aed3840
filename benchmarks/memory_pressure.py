"""Takes device memory away in the middle of a run: does the run end complete, and with how many slots?

    python benchmarks/make_checkpoint.py /tmp/4b
    python benchmarks/memory_pressure.py /tmp/4b                    # on one GPU; `demo` works as well
    python benchmarks/memory_pressure.py demo --device cpu          # out-of-memory is only simulated

A child process runs the continuous engine over a few dozen photos: first photos of one size, then of another, then
photos with a longer prompt than the slots were made for. Each run pauses at one moment while memory is taken:

slots       between planning and allocating slots        prefill    before the first prefill batch
capture     before the trial steps and their capture     size       in the middle, before photos of another size
recording   before the CUDA graph is recorded            prompt     in the middle, before longer slots are allocated

hog         this process takes all free memory of the GPU but a part of what the child is going to allocate
cap         the child limits its own memory (torch.cuda.set_per_process_memory_fraction)

Before memory is taken, the child releases what torch only caches, as torch does when it runs out of memory; otherwise
it might not have to allocate anything. Exit status 1 if an answer is missing or a run met no out-of-memory error.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from forced_length_engines import ForcedLengthContinuous, release
from workload import PROMPT, write_photos

from yanshou.engines import Completion, Failure, Prompt, Request
from yanshou.engines.base import RunPlan
from yanshou.engines.continuous.capacity import Capacity, activation_bytes, kv_bytes_per_token
from yanshou.engines.continuous.device_state import DeviceState
from yanshou.engines.continuous.model_runner import ContinuousRunner
from yanshou.engines.continuous.prefill_batch import PrefillBatch
from yanshou.inputs.images import load_photo
from yanshou.settings import EngineSettings, PhotoSettings, SamplingSettings

GB = 10**9
MAX_CHUNK, MIN_CHUNK = 2**28, 2**21  # bytes that the hog takes in one allocation
SIMULATED_SLOTS = 4  # that fit the memory where out-of-memory is only simulated
LONG = Prompt(PROMPT.system, PROMPT.user * 12)
ON_CUDA = (
    ("nothing", "hog"), ("slots", "hog"), ("capture", "hog"), ("recording", "hog"), ("prefill", "hog"),
    ("size", "hog"), ("prompt", "hog"), ("slots", "cap"), ("prefill", "cap"), ("size", "cap"), ("prompt", "cap"),
)  # fmt: skip
ON_A_CPU = (("nothing", "simulated"), ("slots", "simulated"), ("size", "simulated"), ("prompt", "simulated"))


# ---- the child process: runs the engine and pauses at the moment ----


class Moment:
    """The moment of a run. When it comes, the child reports what it is going to allocate, and waits for the parent."""

    def __init__(self, name: str, means: str, share: float) -> None:
        self.name, self.means, self.share = name, means, share
        self.reached = False
        self.allocated: list[Capacity] = []
        self.grids: set[tuple[int, int]] = set()  # of photos in prefill batches so far
        self.slots_that_fit: int | None = None  # None: no simulation

    def reach(self, name: str, needed: int) -> None:
        """Called wherever a moment may be; `needed` is the number of bytes that are about to be allocated."""
        if self.reached or name != self.name:
            return
        self.reached = True
        leave, facts = int(self.share * needed), {"moment": name, "needed": needed}
        if self.means == "simulated":
            self.slots_that_fit = SIMULATED_SLOTS
            return
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        if self.means == "cap":
            _, total = torch.cuda.mem_get_info()
            torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + leave) / total)
        say(**facts, leave=leave if self.means == "hog" else None, held=torch.cuda.memory_reserved())
        await_parent()

    def simulate(self, slots: int) -> None:
        if self.slots_that_fit is not None and slots > self.slots_that_fit:
            raise torch.cuda.OutOfMemoryError


@contextmanager
def watched(moment: Moment, config: Any, dtype: torch.dtype) -> Iterator[None]:
    """Patches the places in the engine where a moment can come."""
    allocate_ = ContinuousRunner._allocate
    capture_, admit_, graph_ = DeviceState.capture, DeviceState.admit, torch.cuda.CUDAGraph
    logits = 8 * config.text_config.vocab_size  # bytes per slot: logits in the model's dtype, in float32, and a copy

    def allocate(runner: ContinuousRunner, capacity: Capacity) -> None:
        longer = any(capacity.slot_len > earlier.slot_len for earlier in moment.allocated)
        needed = capacity.slots * capacity.slot_len * kv_bytes_per_token(config, dtype)
        needed += activation_bytes(config, dtype, capacity.prefill_batch_tokens)
        moment.reach("prompt" if longer else "slots", needed)
        moment.simulate(capacity.slots)
        allocate_(runner, capacity)
        moment.allocated.append(capacity)

    def capture(state: DeviceState) -> None:
        moment.reach("capture", state.cache.slots * logits)
        with mock.patch.object(torch.cuda, "CUDAGraph", partial(record, state)):
            capture_(state)

    def record(state: DeviceState) -> Any:
        moment.reach("recording", state.cache.slots * logits)
        return graph_()

    def admit(state: DeviceState, batch: PrefillBatch, slots: Sequence[int]) -> Any:
        new = bool(moment.grids) and not moment.grids.issuperset(batch.patches.grids)
        moment.grids.update(batch.patches.grids)
        moment.reach("size" if new else "prefill", activation_bytes(config, dtype, state.shape.tokens))
        moment.simulate(state.cache.slots)
        return admit_(state, batch, slots)

    with (
        mock.patch.object(ContinuousRunner, "_allocate", allocate),
        mock.patch.object(DeviceState, "capture", capture),
        mock.patch.object(DeviceState, "admit", admit),
    ):
        yield


def child(given: argparse.Namespace) -> None:
    """All runs, one after another, on weights that are loaded once."""
    settings = EngineSettings(
        checkpoint=given.checkpoint, device=given.device,
        batch_size=max(1, given.photos // 6),  # so small that the first prefill batch has photos of one size only
        photo=PhotoSettings(max_pixels=given.max_pixels), sampling=SamplingSettings(max_new_tokens=given.tokens),
    )  # fmt: skip
    requests = make_requests(write_photos(given.folder, given.photos))
    first = ForcedLengthContinuous(settings)
    for name, means in runs(given):
        release()
        engine = ForcedLengthContinuous(settings)
        vars(engine).update(processor=first.processor, model=first.model, lengths=[given.tokens] * len(requests))
        moment = Moment(name, means, given.leave)
        engine.prepare_run(RunPlan(PROMPT, photos=True, earlier=[]))
        started, answers, error = time.monotonic(), list[Completion | Failure](), ""
        try:
            with watched(moment, first.model.config, engine.dtype):
                answers.extend(engine.generate(requests))
        except RuntimeError as ended:  # the engine did not recognize it as out-of-memory; the other runs continue
            error = f"{type(ended).__name__}: {ended}"
        out_of_memory = engine.out_of_memory
        del engine
        say(
            run=name, means=means, error=error, reached=moment.reached, out_of_memory=out_of_memory,
            seconds=time.monotonic() - started,
            answered=sorted(answer.id for answer in answers if isinstance(answer, Completion)),
            failed={answer.id: str(answer.error) for answer in answers if isinstance(answer, Failure)},
            slots=[capacity.slots for capacity in moment.allocated],
            slot_lens=[capacity.slot_len for capacity in moment.allocated],
        )  # fmt: skip
        if means == "cap":
            torch.cuda.set_per_process_memory_fraction(1.0)
        await_parent()


def make_requests(photos: Sequence[Path]) -> list[Request]:
    """A third of the photos as they are, a third rotated and cropped, a third with the long prompt."""
    third, requests = len(photos) // 3, []
    for at, photo in enumerate(photos):
        picture = load_photo(photo, "apply").image
        if third <= at < 2 * third:
            picture = picture.rotate(90, expand=True).crop((0, 0, picture.height // 2, picture.width))
        requests.append(Request(at, LONG if at >= 2 * third else PROMPT, picture, photo.name))
    return requests


def say(**facts: Any) -> None:
    print(json.dumps(facts, ensure_ascii=False), flush=True)


def await_parent() -> None:
    """Waits until the parent has taken memory or given it back."""
    assert sys.stdin.readline(), "the parent has ended"


# ---- the parent process: takes the memory ----


class Hog:
    """Holds memory of the GPU."""

    def __init__(self) -> None:
        self.held: list[torch.Tensor] = []

    def take(self, device: str, leave: int) -> int:
        """Takes all free memory but `leave` bytes; returns the number of bytes taken."""
        chunk = MAX_CHUNK
        while (free := torch.cuda.mem_get_info(device)[0] - leave) >= MIN_CHUNK <= chunk:
            size = min(chunk, free // MIN_CHUNK * MIN_CHUNK)
            try:
                self.held.append(torch.empty(size, dtype=torch.uint8, device=device))
            except torch.cuda.OutOfMemoryError:
                chunk //= 2
        return sum(map(len, self.held))

    def release(self) -> None:
        self.held.clear()
        torch.cuda.empty_cache()


def runs(given: argparse.Namespace) -> Sequence[tuple[str, str]]:
    """Moment and means of each run."""
    possible = ON_CUDA if on_cuda(given) else ON_A_CPU
    return [run for run in possible if not given.only or " ".join(run) in given.only]


def on_cuda(given: argparse.Namespace) -> bool:
    return given.device != "cpu" and torch.cuda.is_available()


def follow(
    lines: Iterator[str], take: Callable[[int], int], resume_child: Callable[[], None]
) -> Iterator[dict[str, Any]]:
    """The result of each run of the child. Takes memory when the child says so; the caller gives it back."""
    moment: dict[str, Any] = {}
    for line in lines:
        facts = json.loads(line)
        if "run" in facts:
            yield moment | facts
            moment = {}
        else:
            moment = facts | {"taken": take(facts["leave"]) if facts["leave"] is not None else 0}
        resume_child()


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Takes device memory away in the middle of a run.")
    parser.add_argument("checkpoint", help='a checkpoint folder, with or without weights, or "demo"')
    parser.add_argument("--photos", type=int, default=48)
    parser.add_argument("--tokens", type=int, default=16, help="length of every answer")
    parser.add_argument("--leave", type=float, default=0.2, help="share of the needed memory that stays free")
    parser.add_argument("--only", action="append", metavar='"MOMENT MEANS"',
                        help='only this run, such as "size hog"; may be repeated')  # fmt: skip
    parser.add_argument("--device", default="auto")
    parser.add_argument("--max-pixels", type=int, default=PhotoSettings().max_pixels)
    parser.add_argument("--seconds", type=float, default=400, help="time limit of the child process")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-workload")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    options = list(sys.argv[1:] if arguments is None else arguments)
    given = parsed(options)
    if given.child:
        child(given)
        return []
    write_photos(given.folder, given.photos)
    command = [sys.executable, __file__, *options, "--child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        limit = threading.Timer(given.seconds, process.kill)
        limit.start()
        results = list(checked(process, given))
        limit.cancel()
    assert process.returncode == 0, f"the child process ended with status {process.returncode}"
    assert len(results) == len(runs(given)), "a run is missing"
    return results


def checked(process: "subprocess.Popen[str]", given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The results of the child's runs, printed as they come."""
    device, hog, results = "cuda:0" if given.device == "auto" else given.device, Hog(), list[dict[str, Any]]()
    stdin, stdout = process.stdin, process.stdout
    assert stdin
    assert stdout

    def resume_child() -> None:
        stdin.write("\n")
        stdin.flush()

    for result in follow(stdout, lambda leave: hog.take(device, leave), resume_child):
        if on_cuda(given):
            hog.release()
        result["complete"] = result["answered"] == list(range(given.photos)) and not result["failed"]
        result["kept"] = result["complete"] and (result["run"] == "nothing" or result["out_of_memory"] > 0)
        print(summary(result), flush=True)
        results.append(result)
        if given.json:
            given.json.write_text(json.dumps(results, ensure_ascii=False, indent=1), encoding="utf-8")
        yield result


def summary(result: dict[str, Any]) -> str:
    """One line about a run."""
    memory = ", ".join(f"{name} {(result.get(name) or 0) / GB:.2f} GB" for name in ("needed", "leave", "taken"))
    outcome = "complete" if result["complete"] else f"INCOMPLETE {result['failed']} {result['error']}"
    if result["run"] != "nothing" and not result["out_of_memory"]:
        reached = "was reached" if result["reached"] else "was never reached"
        outcome += f", but NO OUT-OF-MEMORY (the moment {reached})"
    slots = " → ".join(map(str, result["slots"]))
    return (
        f"{result['run']:<10} {result['means']:<9} {outcome}: {len(result['answered'])} answers, out of memory "
        f"{result['out_of_memory']} times, slots {slots} ({memory}; {result['seconds']:.1f} s)"
    )


if __name__ == "__main__":
    sys.exit(not all(result["kept"] for result in main()))
