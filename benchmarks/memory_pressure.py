"""Memory taken away from outside in the middle of a run: does it end complete, and on how many slots?

    python benchmarks/make_checkpoint.py /tmp/4b
    python benchmarks/memory_pressure.py /tmp/4b                    # on one GPU; `demo` works, too
    python benchmarks/memory_pressure.py demo --device cpu          # the lack of memory is pretended

A child process runs the continuous engine over a few dozen photos: first ones of one size, then of another, then ones
with more words than the slots were made for. At one moment of each run it stands still while memory is taken:

slots       between planning and making them            launch     before the first photos go to the device
capture     before the step is tried and recorded       size       in the middle, before the first photo of another size
recording   before the step is recorded                 words      in the middle, before longer slots are made

hog         this process takes what is free on the same GPU but for a part of what the child will ask for
cap         the child is told how much it may hold (torch.cuda.set_per_process_memory_fraction)

What torch only keeps for later is given back first, as torch does itself when it runs short: else the child would not
have to ask for anything. Status 1 if an answer is missing, or if nothing ran short.
"""

import argparse
import gc
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
from forced_length_engines import ForcedLengthContinuous
from workload import PROMPT, write_photos

from yanshou.engines import Completion, Failure, Prompt, Request
from yanshou.engines.base import RunPlan
from yanshou.engines.continuous.capacity import Capacity, CapacityPlanner, activation_bytes, kv_bytes_per_token
from yanshou.engines.continuous.device_state import DeviceState
from yanshou.engines.continuous.model_runner import ContinuousRunner
from yanshou.engines.continuous.prefill_batch import PrefillBatch
from yanshou.inputs.images import load_photo
from yanshou.settings import EngineSettings, PhotoSettings, SamplingSettings

GB = 10**9
CHUNK, LEAST = 2**28, 2**21  # bytes that a hog takes at once
LONG = Prompt(PROMPT.system, PROMPT.user * 12)
ON_CUDA = (
    ("nothing", "hog"), ("slots", "hog"), ("capture", "hog"), ("recording", "hog"), ("launch", "hog"), ("size", "hog"),
    ("words", "hog"), ("slots", "cap"), ("launch", "cap"), ("size", "cap"), ("words", "cap"),
)  # fmt: skip
ON_A_CPU = (("nothing", "pretence"), ("slots", "pretence"), ("size", "pretence"), ("words", "pretence"))


# ---- the child: it runs the engine and stands still at the moment ----


class Moment:
    """Tells the parent that the moment has come, what will be asked for, and waits; once a run."""

    def __init__(self, name: str, by: str, share: float) -> None:
        self.name, self.by, self.share = name, by, share
        self.come = False
        self.short = 0  # times that memory ran short
        self.opened: list[Capacity] = []
        self.sizes: set[tuple[int, int]] = set()  # grids of photos that the device has seen
        self.pretended: int | None = None  # slots from which on there is no memory

    def reached(self, name: str, wanted: int) -> None:
        if self.come or name != self.name:
            return
        self.come = True
        leave, facts = int(self.share * wanted), {"moment": name, "wanted": wanted}
        if self.by == "pretence":
            self.pretended = 4
            return
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        if self.by == "cap":
            _, total = torch.cuda.mem_get_info()
            torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + leave) / total)
        say(**facts, leave=leave if self.by == "hog" else None, held=torch.cuda.memory_reserved())
        await_parent()

    def check_pretence(self, slots: int) -> None:
        if self.pretended is not None and slots > self.pretended:
            raise torch.cuda.OutOfMemoryError


@contextmanager
def watched(moment: Moment, config: Any, dtype: torch.dtype) -> Iterator[None]:
    """The places in the engine where a moment can come."""
    open_, halve = ContinuousRunner._allocate, CapacityPlanner.after_oom
    capture, admit, graph = DeviceState.capture, DeviceState.admit, torch.cuda.CUDAGraph
    logits = 8 * config.text_config.vocab_size  # bytes a slot of a step: in the model's dtype, float32, and beside it

    def opening(runner: ContinuousRunner, size: Capacity) -> None:
        longer = any(size.slot_len > one.slot_len for one in moment.opened)
        wanted = size.slots * size.slot_len * kv_bytes_per_token(config, dtype)
        wanted += activation_bytes(config, dtype, size.prefill_batch_tokens)
        moment.reached("words" if longer else "slots", wanted)
        moment.check_pretence(size.slots)
        open_(runner, size)
        moment.opened.append(size)

    def capturing(session: DeviceState) -> None:
        moment.reached("capture", session.cache.slots * logits)
        with mock.patch.object(torch.cuda, "CUDAGraph", partial(recording, session)):
            capture(session)

    def recording(session: DeviceState) -> Any:
        moment.reached("recording", session.cache.slots * logits)
        return graph()

    def admitting(session: DeviceState, pack: PrefillBatch, slots: Sequence[int]) -> Any:
        new = bool(moment.sizes) and not moment.sizes.issuperset(pack.patches.grids)
        moment.sizes.update(pack.patches.grids)
        moment.reached("size" if new else "launch", activation_bytes(config, dtype, session.shape.tokens))
        moment.check_pretence(session.cache.slots)
        return admit(session, pack, slots)

    def halving(planner: CapacityPlanner, size: Capacity) -> bool:
        moment.short += 1
        return halve(planner, size)

    with (
        mock.patch.object(ContinuousRunner, "_allocate", opening),
        mock.patch.object(CapacityPlanner, "after_oom", halving),
        mock.patch.object(DeviceState, "capture", capturing),
        mock.patch.object(DeviceState, "admit", admitting),
    ):
        yield


def child(given: argparse.Namespace) -> None:
    """All runs, one after the other, over weights that are loaded once."""
    settings = EngineSettings(
        checkpoint=given.checkpoint, device=given.device,
        batch_size=max(1, given.photos // 6),  # else all sizes come in the first launch
        photo=PhotoSettings(max_pixels=given.max_pixels), sampling=SamplingSettings(max_new_tokens=given.tokens),
    )  # fmt: skip
    requests = asked(write_photos(given.folder, given.photos))
    first = ForcedLengthContinuous(settings)
    for name, by in runs(given):
        release()
        engine = ForcedLengthContinuous(settings)
        vars(engine).update(processor=first.processor, model=first.model, lengths=[given.tokens] * len(requests))
        moment = Moment(name, by, given.leave)
        engine.prepare_run(RunPlan(PROMPT, photos=True, earlier=[]))
        began, answers, error = time.monotonic(), list[Completion | Failure](), ""
        try:
            with watched(moment, first.model.config, engine.dtype):
                answers.extend(engine.generate(requests))
        except RuntimeError as ended:  # not known as a lack of memory: the other runs are still worth it
            error = f"{type(ended).__name__}: {ended}"
        del engine
        say(
            run=name, by=by, error=error, come=moment.come, short=moment.short, seconds=time.monotonic() - began,
            answered=sorted(answer.id for answer in answers if isinstance(answer, Completion)),
            failed={answer.id: str(answer.error) for answer in answers if isinstance(answer, Failure)},
            slots=[size.slots for size in moment.opened], rooms=[size.slot_len for size in moment.opened],
        )  # fmt: skip
        if by == "cap":
            torch.cuda.set_per_process_memory_fraction(1.0)
        await_parent()


def asked(photos: Sequence[Path]) -> list[Request]:
    """A third as they are, a third lying on their side and cut, a third with more words."""
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
    """Until it has taken memory, or given it back."""
    assert sys.stdin.readline(), "the parent has left"


def release() -> None:
    """What the engine before held: it and its runner know each other."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# ---- the parent: it takes the memory ----


class Hog:
    """Holds memory of the GPU."""

    def __init__(self) -> None:
        self.held: list[torch.Tensor] = []

    def take(self, device: str, leave: int) -> int:
        """All that is free but so much; gives the bytes taken."""
        chunk = CHUNK
        while (free := torch.cuda.mem_get_info(device)[0] - leave) >= LEAST <= chunk:
            try:
                self.held.append(torch.empty(min(chunk, free // LEAST * LEAST), dtype=torch.uint8, device=device))
            except torch.cuda.OutOfMemoryError:
                chunk //= 2
        return sum(map(len, self.held))

    def release(self) -> None:
        self.held.clear()
        torch.cuda.empty_cache()


def runs(given: argparse.Namespace) -> Sequence[tuple[str, str]]:
    """Moment and means of each run."""
    possible = ON_CUDA if on_cuda(given) else ON_A_CPU
    return [one for one in possible if not given.only or " ".join(one) in given.only]


def on_cuda(given: argparse.Namespace) -> bool:
    return given.device != "cpu" and torch.cuda.is_available()


def follow(lines: Iterator[str], take: Callable[[int], int], go_on: Callable[[], None]) -> Iterator[dict[str, Any]]:
    """What each run of the child came to; memory is taken when it says so. The caller gives it back."""
    moment: dict[str, Any] = {}
    for line in lines:
        facts = json.loads(line)
        if "run" in facts:
            yield moment | facts
            moment = {}
        else:
            moment = facts | {"taken": take(facts["leave"]) if facts["leave"] is not None else 0}
        go_on()


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description="Memory taken away from outside in the middle of a run.")
    parser.add_argument("checkpoint")
    parser.add_argument("--photos", type=int, default=48)
    parser.add_argument("--tokens", type=int, default=16, help="of every answer")
    parser.add_argument("--leave", type=float, default=0.2, help="share of what the child will ask for")
    parser.add_argument("--only", action="append", metavar='"MOMENT MEANS"', help='"size hog"; several times')
    parser.add_argument("--device", default="auto")
    parser.add_argument("--max-pixels", type=int, default=PhotoSettings().max_pixels)
    parser.add_argument("--seconds", type=float, default=400, help="after which the child is ended")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-workload")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = list(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(options)
    if given.child:
        child(given)
        return []
    write_photos(given.folder, given.photos)
    device, hog, results = "cuda:0" if given.device == "auto" else given.device, Hog(), []
    command = [sys.executable, __file__, *options, "--child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdin
        assert process.stdout
        limit = threading.Timer(given.seconds, process.kill)
        limit.start()
        go_on = process.stdin

        def proceed() -> None:
            go_on.write("\n")
            go_on.flush()

        for result in follow(process.stdout, lambda leave: hog.take(device, leave), proceed):
            if on_cuda(given):
                hog.release()
            result["complete"] = result["answered"] == list(range(given.photos)) and not result["failed"]
            result["kept"] = result["complete"] and (result["run"] == "nothing" or result["short"] > 0)
            print(told(result), flush=True)
            results.append(result)
            if given.json:
                given.json.write_text(json.dumps(results, ensure_ascii=False, indent=1), encoding="utf-8")
        limit.cancel()
    assert process.returncode == 0, f"the child ended with {process.returncode}"
    assert len(results) == len(runs(given)), "a run is missing"
    return results


def told(result: dict[str, Any]) -> str:
    """A run on a line."""
    names = ("wanted", "leave", "taken")
    memory = ", ".join(f"{name} {(result.get(name) or 0) / GB:.2f} GB" for name in names)
    outcome = "complete" if result["complete"] else f"INCOMPLETE {result['failed']} {result['error']}"
    if result["run"] != "nothing" and not result["short"]:
        outcome += f", but NOTHING RAN SHORT (the moment {'came' if result['come'] else 'never came'})"
    slots = " → ".join(map(str, result["slots"]))
    return (
        f"{result['run']:<10} {result['by']:<9} {outcome}: {len(result['answered'])} answers, short {result['short']} "
        f"times, slots {slots} ({memory}; {result['seconds']:.1f} s)"
    )


if __name__ == "__main__":
    found = main()
    sys.exit(not all(result["kept"] for result in found))
