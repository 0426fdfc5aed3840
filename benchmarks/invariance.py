"""Same photo, same answer? Compares both engines with each other, and an engine with itself under other conditions.

    python benchmarks/invariance.py demo --photos 2000                     # all comparisons, on one GPU
    python benchmarks/invariance.py /tmp/4b --photos 256 --imposed 64      # Qwen3-VL-4B's shape without its weights
    python benchmarks/invariance.py demo --photos 400 --engine transformers     # the reference engine with itself
    python benchmarks/invariance.py demo --photos 2000 --quantize fp8           # the engine in FP8 with itself

Prints one line per comparison: how many answers differ in any token, and how many may. Exit status 1 if more differ.

against the reference    The continuous engine's answers are those of the transformers engine: all of them in float32,
                         on the device and for some photos on the CPU; all but 0.5 % in bf16. Each difference is shown
                         with its margin, the logits by which the reference preferred its own token there. A margin
                         near zero is rounding; a large one is an error.
against itself           With the same slots: in another order, fewer at once, interrupted and resumed by a new engine,
                         alone. No answer may differ (bf16 on CUDA, float32 on a CPU).
between shapes           Half the slots, half the prefill batch. The number of differences is reported, not promised.

`--quantize fp8` and `--kv-cache fp8` compare the engine with itself only: quality.py counts how many lines they change.

`--imposed N` is for a folder without trained weights: photos and answer lengths of workload.py, at most N tokens each,
random weights if the folder has none, and only the comparison of the engine with itself.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from forced_length_engines import ForcedLengthEngine, release
from quantized_model import described, emulated
from workload import PROMPT, answer_lengths, write_photos

from yanshou.engines import Completion, Request
from yanshou.engines.base import FinishReason, RunPlan
from yanshou.engines.continuous.engine import ContinuousEngine
from yanshou.engines.qwen3_vl import ModelInput, Qwen3VLBackend
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.missions import load_missions
from yanshou.missions.prompts import summary_prompt
from yanshou.settings import EngineSettings, PhotoSettings, PromptSettings, SamplingSettings
from yanshou.world.draw import draw
from yanshou.world.scene import random_scene

BATCH_SIZES = (1, 8, 32)  # of the reference engine, compared with itself
REFERENCE_BATCH = 128
MAY_DIFFER = 0.005  # share of photos that may differ from the reference engine in 16 bits; none may in float32
PHOTOS_AT_8 = 64  # photos asked for 8 at a time with --imposed: a prefill batch of 8 takes as long as a full one

Tokens = dict[int, list[int]]  # by request id


class Recorded(Qwen3VLBackend):
    """Records the tokens of its answers."""

    def completion(
        self, prepared: ModelInput, tokens: Sequence[int], ended: FinishReason, logprobs: tuple[float, ...]
    ) -> Completion:
        vars(self).setdefault("written", {})[prepared.request.id] = list(tokens)
        return super().completion(prepared, tokens, ended, logprobs)

    def answers(self, requests: Sequence[Request], limit: int | None = None) -> Tokens:
        """The tokens of all answers, or of the first `limit` ones. A photo that fails would spoil the comparison."""
        vars(self)["written"] = {}
        generated: Any = self.generate(requests)  # type: ignore[attr-defined]
        for count, answer in enumerate(generated, 1):
            assert isinstance(answer, Completion), answer
            if count == limit:
                break
        generated.close()
        return dict(vars(self)["written"])


class Reference(Recorded, TransformersEngine):
    """The transformers engine."""


class Continuous(Recorded, ContinuousEngine):
    """The continuous engine."""

    @property
    def slots(self) -> int:
        """The number of allocated slots, which may be less than planned."""
        capacity = self.stats().capacity
        return capacity.slots if capacity else 0


class ForcedLengthContinuous(ForcedLengthEngine, Continuous):
    """The continuous engine with answers of given lengths."""


class Engines:
    """Makes engines for one device and dtype. Weights and processor are loaded once."""

    def __init__(self, settings: EngineSettings, requests: Sequence[Request], lengths: Sequence[int]) -> None:
        self.settings, self.requests, self.lengths = settings, requests, lengths
        self._shared: dict[str, Any] = {}
        self._earlier: dict[str, Any] = {}  # environment of the first continuous engine; the others take its capacity

    def reference(self, batch_size: int = REFERENCE_BATCH) -> Reference:
        return self._loaded(Reference(self.settings.model_copy(update={"batch_size": batch_size})))

    def continuous(self, batch_size: int | None = None, **other: int) -> Continuous:
        """An engine as a run makes it that resumes the first one's run; `other` changes parts of its capacity."""
        release()
        kind = ForcedLengthContinuous if self.lengths else Continuous
        settings = self.settings.model_copy(update={"batch_size": batch_size})
        engine = self._loaded(kind(settings))
        if isinstance(engine, ForcedLengthContinuous):
            engine.lengths = self.lengths
        if engine.fp8 and not self._earlier:
            print(described(), flush=True)
        prompt = max(
            {one.prompt for one in self.requests}, key=lambda prompt: len(engine.tokenizer.prompt_ids(prompt, True))
        )
        engine.prepare_run(RunPlan(prompt, photos=True, earlier=[self._earlier | other]))
        self._earlier = self._earlier or engine.environment()
        return engine

    def _loaded(self, engine: Any) -> Any:
        vars(engine).update(self._shared)
        self._shared.update(processor=engine.processor, model=engine.model)
        return engine


@dataclass(frozen=True)
class Difference:
    """A photo with another answer."""

    key: str
    at: int  # index of the first token that differs
    margin: float | None  # the reference's logit of its own token minus that of the other; None: an answer ends there


@dataclass(frozen=True)
class Check:
    """The result of one comparison."""

    name: str
    where: str
    photos: int
    differing: int
    allowed: int | None  # None: reported only
    seconds: float
    slots: int | None = None  # of the continuous engine
    differences: tuple[Difference, ...] = ()

    @property
    def kept(self) -> bool:
        return self.photos > 0 and (self.allowed is None or self.differing <= self.allowed)

    def __str__(self) -> str:
        verdict, may = "kept" if self.kept else "BROKEN", f"{self.allowed} may"
        if self.allowed is None:
            verdict, may = "report", ""
        line = (
            f"{verdict:<6}  {self.where:<16}  {self.name:<34}"
            f"{self.differing:>6} of {self.photos:>5} differ, {may:>8}  {self.seconds:>6.1f} s"
        )
        details = [f"        {one.key}: token {one.at}, margin {one.margin}" for one in self.differences]
        return "\n".join([line, *details])


def draw_photos(folder: Path, photos: int, seed: int) -> list[Path]:
    """Files of that many photos of the demo world. Missing ones are drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{seed}-{number:05}.jpg" for number in range(photos)]
    missing = [path for path in paths if not path.exists()]
    if len(missing) < 16:
        list(map(_draw, missing))
    else:
        with ProcessPoolExecutor() as pool:
            list(pool.map(_draw, missing, chunksize=8))
    return paths


def _draw(path: Path) -> None:
    seed, number = map(int, path.stem.split("-"))
    rng = Random(f"invariance:{seed}:{number}")
    unfinished = path.with_suffix(".part")
    draw(random_scene(rng), rng).save(unfinished, "JPEG", quality=90)
    unfinished.rename(path)


def make_requests(photos: Sequence[Path]) -> list[Request]:
    """One request per photo, with the prompts of all missions, one mission after another."""
    prompts = [summary_prompt(mission, PromptSettings()) for mission in load_missions()]
    return [
        Request(at, prompts[at * len(prompts) // len(photos)], photo, photo.name) for at, photo in enumerate(photos)
    ]


# ---- against the reference ----


def margins(
    reference: Recorded, requests: Sequence[Request], found: Tokens, expected: Tokens
) -> Iterator[tuple[int, Difference]]:
    """Request id and difference of each answer that differs."""
    for request in requests:
        one, other = found[request.id], expected[request.id]
        if one == other:
            continue
        at = first_difference(one, other)
        ends = at == len(one) or at == len(other)  # no token to compare: one answer continues
        margin = None if ends else _margin(reference, request, other[:at], other[at], one[at])
        yield request.id, Difference(request.key, at, margin)


def first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    """The index of the first token that differs, or the length of the shorter answer."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


@torch.inference_mode()
def _margin(reference: Recorded, request: Request, before: list[int], own: int, other: int) -> float:
    prepared = reference.prepare(request)
    ids = torch.cat([prepared.ids, torch.tensor(before, dtype=torch.long)])[None].to(reference.device)
    assert prepared.pixels is not None
    assert prepared.grid is not None
    logits = reference.model(
        input_ids=ids, pixel_values=prepared.pixels.to(reference.device, reference.dtype),
        image_grid_thw=prepared.grid.to(reference.device), logits_to_keep=1,
        mm_token_type_ids=(ids == reference.image_token).int(),
    ).logits[0, -1].float()  # fmt: skip
    return float(logits[own] - logits[other])


def against_reference(engines: Engines, requests: Sequence[Request], found: Tokens | None = None) -> Check:
    """Compares the continuous engine's answers, which may be given as `found`, with the reference engine's."""
    started = time.monotonic()
    found = found or engines.continuous().answers(requests)
    reference = engines.reference()
    expected = reference.answers(requests)
    differences = tuple(one for _, one in margins(reference, requests, found, expected))
    share = 0.0 if reference.dtype == torch.float32 else MAY_DIFFER
    return Check(
        name="against the reference", where=_where(reference), photos=len(requests), differing=len(differences),
        allowed=int(share * len(requests)), seconds=time.monotonic() - started, differences=differences,
    )  # fmt: skip


# ---- against itself ----

Condition = tuple[str, Tokens, Recorded]


def continuous_conditions(engines: Engines, requests: Sequence[Request], alone: int, seed: int) -> Iterator[Condition]:
    """Answers to the same requests under several conditions. The others are compared with the first."""
    shuffled = Random(seed).sample(requests, len(requests))
    engine = engines.continuous()
    yield "whole list", engine.answers(requests), engine
    yield "shuffled", engine.answers(shuffled), engine
    if alone:
        one_by_one = Tokens()
        for request in requests[:: max(1, len(requests) // alone)][:alone]:
            one_by_one |= engine.answers([request])
        yield "alone", one_by_one, engine
    del engine  # and with it the slots
    for at_once, some in ((8, shuffled[: PHOTOS_AT_8 if engines.lengths else None]), (32, shuffled)):
        engine = engines.continuous(at_once)
        yield f"{at_once} in flight, shuffled", engine.answers(some), engine
        del engine
    done = engines.continuous().answers(requests, limit=max(1, len(requests) // 2))
    engine = engines.continuous()
    rest = engine.answers([request for request in requests if request.id not in done])
    yield "interrupted and resumed", done | rest, engine


def other_shapes(engines: Engines, requests: Sequence[Request], first: Tokens) -> Iterator[Check]:
    """Compares with half the slots and half the prefill batch: other shapes, whose last bits may differ."""
    engine = engines.continuous()
    whole = engine.environment()
    del engine
    sizes = ["prefill_batch_tokens", "prefill_batch_visual_tokens"]
    for part, names in (("slots", ["slots"]), ("prefill batch", sizes)):
        started, engine = time.monotonic(), engines.continuous(**{name: max(1, whole[name] // 2) for name in names})
        found = engine.answers(requests)
        yield _compared(f"between shapes: half the {part}", engine, first, found, requests, started, None)
        del engine


def reference_conditions(engines: Engines, requests: Sequence[Request], alone: int, seed: int) -> Iterator[Condition]:
    shuffled = Random(seed).sample(requests, len(requests))
    for size in BATCH_SIZES:
        engine = engines.reference(size)
        yield f"batch {size}", engine.answers(requests), engine
        yield f"batch {size}, shuffled", engine.answers(shuffled), engine


def against_itself(conditions: Iterator[Condition], requests: Sequence[Request], first: Tokens) -> Iterator[Check]:
    """One check per condition. `first` is filled with the answers under the first condition."""
    started, slots = time.monotonic(), None
    for name, found, engine in conditions:
        if isinstance(engine, Continuous):
            slots = slots or engine.slots
            assert engine.slots == slots, f"{engine.slots} slots instead of {slots}: the comparison needs equal slots"
        if not first:
            first.update(found)
            assert first.keys() == {request.id for request in requests}
        yield _compared(name, engine, first, found, requests, started, 0)
        del engine
        started = time.monotonic()


def _compared(
    name: str,
    engine: Qwen3VLBackend,
    first: Tokens,
    found: Tokens,
    requests: Sequence[Request],
    started: float,
    allowed: int | None,
) -> Check:
    keys = {request.id: request.key for request in requests}
    differences = tuple(
        Difference(keys[at], first_difference(first[at], tokens), None)
        for at, tokens in found.items()
        if first[at] != tokens
    )
    slots = engine.slots if isinstance(engine, Continuous) else None
    return Check(
        name, _where(engine), len(found), len(differences), allowed, time.monotonic() - started, slots, differences
    )


def _where(engine: Qwen3VLBackend) -> str:
    kind = str(engine.dtype).removeprefix("torch.") if engine.settings.quantize == "none" else engine.settings.quantize
    cache = ", K/V fp8" if engine.settings.kv_cache == "fp8" else ""
    return f"{engine.device.type} {kind}{cache}"


# ---- the command ----


def checks(given: argparse.Namespace) -> Iterator[Check]:
    """All comparisons that the options ask for, one after another."""
    if given.imposed:
        requests = [Request(at, PROMPT, photo, photo.name) for at, photo in enumerate(_photos(given))]
        lengths = [min(length, given.imposed) for length in answer_lengths(given.photos)]
        engines = Engines(settings(given), requests, lengths)
        first = Tokens()
        yield from against_itself(continuous_conditions(engines, requests, given.alone, given.seed), requests, first)
        yield from other_shapes(engines, requests, first)
        return
    requests = make_requests(_photos(given))
    cuda = given.device != "cpu" and torch.cuda.is_available()
    whole = Engines(settings(given), requests, ())
    if given.engine == "transformers":
        yield from against_itself(reference_conditions(whole, requests, given.alone, given.seed), requests, Tokens())
        return
    first = Tokens()
    yield from against_itself(continuous_conditions(whole, requests, given.alone, given.seed), requests, first)
    yield from other_shapes(whole, requests, first)
    if "fp8" in (given.quantize, given.kv_cache):
        return
    yield against_reference(whole, requests, first)
    if cuda:
        yield against_reference(Engines(settings(given, dtype="float32"), requests, ()), requests)
        if some := requests[:: max(1, len(requests) // max(1, given.cpu_photos))][: given.cpu_photos]:
            yield against_reference(Engines(settings(given, device="cpu", dtype="float32"), some, ()), some)


def _photos(given: argparse.Namespace) -> list[Path]:
    if given.imposed:
        return write_photos(given.folder / "workload", given.photos)
    return draw_photos(given.folder, given.photos, given.seed)


def settings(given: argparse.Namespace, **other: Any) -> EngineSettings:
    fields = {name: getattr(given, name) for name in ("checkpoint", "device", "dtype", "attn", "quantize", "kv_cache")}
    if "fp8" in (given.quantize, given.kv_cache):
        fields |= {"dtype": "bfloat16"}
    return EngineSettings(
        **(fields | other), photo=PhotoSettings(max_pixels=given.max_pixels),
        sampling=SamplingSettings(max_new_tokens=given.imposed or given.max_new_tokens),
    )  # fmt: skip


def at_least(least: int) -> Callable[[str], int]:
    """The type of an option: an integer of at least `least`."""

    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"{value}: give at least {least}")
        return value

    return number


def check_paths(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Ends the command if a path cannot be used: now, and not after the first check, which may take long."""
    try:
        given.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--folder {given.folder}: {error.strerror}. Give a folder that can be written to.")
    try:
        if given.json:
            given.json.open("a").close()  # keeps an earlier report until there is a new one
    except OSError as error:
        parser.error(f"--json {given.json}: {error.strerror}. Give a file in a folder that is there.")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="Does the answer to a photo depend on anything but the photo?")
    parser.add_argument("checkpoint", help='a checkpoint folder, or "demo"')
    parser.add_argument("--photos", type=at_least(1), default=256)
    parser.add_argument(
        "--cpu-photos", type=at_least(0), default=64, help="photos also compared on the CPU if there is a GPU"
    )
    parser.add_argument("--alone", type=at_least(0), default=16, help="photos asked for one at a time")
    parser.add_argument("--imposed", type=at_least(0), default=0, metavar="TOKENS",
                        help="give each answer the length of the workload, at most TOKENS")  # fmt: skip
    parser.add_argument("--engine", choices=["transformers", "continuous"], default="continuous")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto", help="dtype of the comparison of an engine with itself")
    parser.add_argument("--attn", default="auto")
    parser.add_argument("--quantize", choices=["none", "fp8"], default="none")
    parser.add_argument("--kv-cache", choices=["auto", "fp8"], default="auto")
    parser.add_argument("--max-new-tokens", type=at_least(1), default=SamplingSettings().max_new_tokens)
    parser.add_argument("--max-pixels", type=int, default=PhotoSettings().max_pixels)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-invariance")
    parser.add_argument("--json", type=Path, help="file for the report, written after every check")
    given = parser.parse_args(arguments)
    check_paths(parser, given)
    torch.backends.cudnn.allow_tf32 = False  # torch's default rounds the reference's patch embedding to 10 bits

    started, report = time.monotonic(), dict[str, Any](vars(given), checks=[], kept=True)
    report |= {name: str(given.__dict__[name]) for name in ("folder", "json")}
    report |= {"torch": torch.__version__, "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None}
    _photos(given)  # drawn before CUDA is initialized, because the drawing processes are forked
    with emulated(given.device):
        for check in checks(given):
            print(check, flush=True)
            report["checks"].append(asdict(check) | {"kept": check.kept})
            report["kept"] = report["kept"] and check.kept
            report["seconds"] = time.monotonic() - started
            if given.json:
                given.json.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    print(f"{'all kept' if report['kept'] else 'BROKEN'}, {report['seconds']:.0f} s")
    return report


if __name__ == "__main__":
    sys.exit(not main()["kept"])
