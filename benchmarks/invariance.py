"""Same photo, same answer? Both engines against each other, and one against itself in other company.

    python benchmarks/invariance.py demo --photos 2000                     # all of it, on one GPU
    python benchmarks/invariance.py /tmp/4b --photos 256 --imposed 64      # Qwen3-VL-4B's shape without its weights
    python benchmarks/invariance.py demo --photos 400 --engine transformers     # the reference engine against itself

One line a comparison: how many answers differ, token by token, and how many may. Status 1 where more do.

against the reference    the continuous engine's answers are the transformers engine's: in float32 all of them, on the
                         device and, some photos, on the CPU; in bf16 but for 0.5 %. Of each that differs the margin is
                         told: by how much the reference preferred its own token (logits) at the first difference; a
                         hair, or an error
against itself           with the same slots: another order, fewer at once, interrupted and resumed by a new engine,
                         alone. None may differ (bf16 on CUDA, float32 on a CPU)
between shapes           half the slots, half the launch: how many differ is told, nothing is promised

`--imposed N` is for a folder whose answers mean nothing: photos and answer lengths of workload.py, at most N tokens,
random weights where there are none, and the engine against itself only.
"""

import argparse
import gc
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
from forced_length_engines import ForcedLengthEngine
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

BATCH_SIZES = (1, 8, 32)  # of the reference engine against itself
REFERENCE_BATCH = 128
MAY_DIFFER = 0.005  # of the photos, from the reference engine in 16 bits; in float32 none
EIGHT = 64  # photos with imposed answers that are asked for 8 at a time: a launch costs as much as a full one

Tokens = dict[int, list[int]]  # by request id


class Recorded(Qwen3VLBackend):
    """Keeps the tokens of its answers."""

    def completion(
        self, prepared: ModelInput, tokens: Sequence[int], ended: FinishReason, logprobs: tuple[float, ...]
    ) -> Completion:
        vars(self).setdefault("written", {})[prepared.request.id] = list(tokens)
        return super().completion(prepared, tokens, ended, logprobs)

    def answers(self, requests: Sequence[Request], most: int | None = None) -> Tokens:
        """Closed after so many answers. A photo that fails spoils the comparison."""
        vars(self)["written"] = {}
        generated: Any = self.generate(requests)  # type: ignore[attr-defined]
        for count, answer in enumerate(generated, 1):
            assert isinstance(answer, Completion), answer
            if count == most:
                break
        generated.close()
        return dict(vars(self)["written"])


class Reference(Recorded, TransformersEngine):
    """The transformers engine."""


class Continuous(Recorded, ContinuousEngine):
    """The continuous engine."""

    @property
    def slots(self) -> int:
        """That it has, not that it reckoned with."""
        capacity = self.stats().capacity
        return capacity.slots if capacity else 0


class ForcedLengthContinuous(ForcedLengthEngine, Continuous):
    """The same with answers of imposed lengths."""


class Engines:
    """Of one device and dtype, over weights and processor that are loaded once."""

    def __init__(self, settings: EngineSettings, requests: Sequence[Request], lengths: Sequence[int]):
        self.settings, self.requests, self.lengths = settings, requests, lengths
        self._shared: dict[str, Any] = {}
        self._earlier: dict[str, Any] = {}  # the first continuous engine's shape, for those behind it

    def reference(self, batch_size: int = REFERENCE_BATCH) -> Reference:
        return self._loaded(Reference(self.settings.model_copy(update={"batch_size": batch_size})))

    def continuous(self, batch_size: int | None = None, **other: int) -> Continuous:
        """As a run makes it that goes on with the first one's; with another shape than that had."""
        gc.collect()  # the engine before has left, but engine and runner know each other
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        kind = ForcedLengthContinuous if self.lengths else Continuous
        engine = self._loaded(kind(self.settings.model_copy(update={"batch_size": batch_size})))
        if isinstance(engine, ForcedLengthContinuous):
            engine.lengths = self.lengths
        prompt = max({one.prompt for one in self.requests}, key=lambda prompt: len(engine.prompt_ids(prompt, True)))
        engine.prepare_run(RunPlan(prompt, photos=True, earlier=[self._earlier | other]))
        self._earlier = self._earlier or engine.environment()
        return engine

    def _loaded(self, engine: Any) -> Any:
        vars(engine).update(self._shared)
        self._shared.update(processor=engine.processor, model=engine.model)
        return engine


@dataclass(frozen=True)
class Difference:
    """One photo that is answered otherwise."""

    key: str
    at: int  # of the first token that is another
    margin: float | None  # logits that the reference gave its own token more; None: one ends there, or not asked


@dataclass(frozen=True)
class Check:
    """A line of the table."""

    name: str
    where: str
    photos: int
    differing: int
    allowed: int | None  # None: it is only told
    seconds: float
    slots: int | None = None  # of the continuous engine
    differences: tuple[Difference, ...] = ()

    @property
    def kept(self) -> bool:
        return self.photos > 0 and (self.allowed is None or self.differing <= self.allowed)

    def __str__(self) -> str:
        verdict, may = "kept" if self.kept else "BROKEN", f"{self.allowed} may"
        if self.allowed is None:
            verdict, may = "told", ""
        line = (
            f"{verdict:<6}  {self.where:<16}  {self.name:<34}"
            f"{self.differing:>6} of {self.photos:>5} differ, {may:>8}  {self.seconds:>6.1f} s"
        )
        told = [f"        {one.key}: token {one.at}, margin {one.margin}" for one in self.differences]
        return "\n".join([line, *told])


def draw_photos(folder: Path, photos: int, seed: int) -> list[Path]:
    """So many photos of the demo world, a file each; those that are there stay."""
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


def asked(photos: Sequence[Path]) -> list[Request]:
    """One question a photo, a mission after the other."""
    prompts = [summary_prompt(mission, PromptSettings()) for mission in load_missions()]
    return [
        Request(at, prompts[at * len(prompts) // len(photos)], photo, photo.name) for at, photo in enumerate(photos)
    ]


# ---- against the reference ----


def margins(
    reference: Recorded, requests: Sequence[Request], found: Tokens, wanted: Tokens
) -> Iterator[tuple[int, Difference]]:
    """Of each answer that differs: request id, and where."""
    for request in requests:
        one, other = found[request.id], wanted[request.id]
        if one == other:
            continue
        at = first_difference(one, other)
        ends = at == len(one) or at == len(other)  # one ends where the other goes on: a limit, no choice
        margin = None if ends else _margin(reference, request, other[:at], other[at], one[at])
        yield request.id, Difference(request.key, at, margin)


def first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    """Index of the first token that is another, or of the end of the shorter."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


@torch.inference_mode()
def _margin(reference: Recorded, request: Request, before: list[int], own: int, others: int) -> float:
    prepared = reference.prepare(request)
    ids = torch.cat([prepared.ids, torch.tensor(before, dtype=torch.long)])[None].to(reference.device)
    assert prepared.pixels is not None
    assert prepared.grid is not None
    logits = reference.model(
        input_ids=ids, pixel_values=prepared.pixels.to(reference.device, reference.dtype),
        image_grid_thw=prepared.grid.to(reference.device), logits_to_keep=1,
        mm_token_type_ids=(ids == reference.image_token).int(),
    ).logits[0, -1].float()  # fmt: skip
    return float(logits[own] - logits[others])


def against_reference(engines: Engines, requests: Sequence[Request], found: Tokens | None = None) -> Check:
    """The continuous engine's answers, `found` where they are there already."""
    began = time.monotonic()
    found = found or engines.continuous().answers(requests)
    reference = engines.reference()
    wanted = reference.answers(requests)
    differences = tuple(one for _, one in margins(reference, requests, found, wanted))
    share = 0.0 if reference.dtype == torch.float32 else MAY_DIFFER
    return Check(
        name="against the reference", where=_where(reference), photos=len(requests), differing=len(differences),
        allowed=int(share * len(requests)), seconds=time.monotonic() - began, differences=differences,
    )  # fmt: skip


# ---- against itself ----

Way = tuple[str, Tokens, Recorded]


def ways_of_continuous(engines: Engines, requests: Sequence[Request], alone: int, seed: int) -> Iterator[Way]:
    """Answers of the same photos, asked for in other ways. The first way is the one to compare with."""
    shuffled = Random(seed).sample(requests, len(requests))
    engine = engines.continuous()
    yield "whole list", engine.answers(requests), engine
    yield "shuffled", engine.answers(shuffled), engine
    if alone:
        one_by_one = Tokens()
        for request in requests[:: max(1, len(requests) // alone)][:alone]:
            one_by_one |= engine.answers([request])
        yield "alone", one_by_one, engine
    del engine  # and its slots
    for at_once, some in ((8, shuffled[: EIGHT if engines.lengths else None]), (32, shuffled)):
        engine = engines.continuous(at_once)
        yield f"{at_once} in flight, shuffled", engine.answers(some), engine
        del engine
    done = engines.continuous().answers(requests, most=max(1, len(requests) // 2))
    engine = engines.continuous()
    rest = engine.answers([request for request in requests if request.id not in done])
    yield "interrupted and resumed", done | rest, engine


def other_shapes(engines: Engines, requests: Sequence[Request], first: Tokens) -> Iterator[Check]:
    """Half the slots, half the launch: other shapes, whose last bits may be others."""
    engine = engines.continuous()
    whole = engine.environment()
    del engine
    for part, names in (("slots", ["slots"]), ("launch", ["prefill_batch_tokens", "prefill_batch_visual_tokens"])):
        began, engine = time.monotonic(), engines.continuous(**{name: max(1, whole[name] // 2) for name in names})
        found = engine.answers(requests)
        yield _compared(
            f"between shapes: half the {part}", engine, first, found, {one.id: one.key for one in requests}, began, None
        )
        del engine


def ways_of_the_reference(engines: Engines, requests: Sequence[Request], alone: int, seed: int) -> Iterator[Way]:
    shuffled = Random(seed).sample(requests, len(requests))
    for size in BATCH_SIZES:
        engine = engines.reference(size)
        yield f"batch {size}", engine.answers(requests), engine
        yield f"batch {size}, shuffled", engine.answers(shuffled), engine


def against_itself(ways: Iterator[Way], requests: Sequence[Request], first: Tokens) -> Iterator[Check]:
    """A check a way. `first` is filled with the first way's answers."""
    began, slots = time.monotonic(), None
    for name, found, engine in ways:
        if isinstance(engine, Continuous):
            slots = slots or engine.slots
            assert engine.slots == slots, f"{engine.slots} slots instead of {slots}: not what is to be compared"
        if not first:
            first.update(found)
            assert first.keys() == {request.id for request in requests}
        yield _compared(name, engine, first, found, {one.id: one.key for one in requests}, began, 0)
        del engine
        began = time.monotonic()


def _compared(
    name: str,
    engine: Qwen3VLBackend,
    first: Tokens,
    found: Tokens,
    keys: dict[int, str],
    began: float,
    allowed: int | None,
) -> Check:
    differences = tuple(
        Difference(keys[at], first_difference(first[at], tokens), None)
        for at, tokens in found.items()
        if first[at] != tokens
    )
    slots = engine.slots if isinstance(engine, Continuous) else None
    return Check(
        name, _where(engine), len(found), len(differences), allowed, time.monotonic() - began, slots, differences
    )


def _where(engine: Qwen3VLBackend) -> str:
    return f"{engine.device.type} {str(engine.dtype).removeprefix('torch.')}"


# ---- all of it ----


def checks(given: argparse.Namespace) -> Iterator[Check]:
    """All that was asked for, one after the other."""
    if given.imposed:
        requests = [Request(at, PROMPT, photo, photo.name) for at, photo in enumerate(_photos(given))]
        lengths = [min(length, given.imposed) for length in answer_lengths(given.photos)]
        engines = Engines(settings(given), requests, lengths)
        first = Tokens()
        yield from against_itself(ways_of_continuous(engines, requests, given.alone, given.seed), requests, first)
        yield from other_shapes(engines, requests, first)
        return
    requests = asked(_photos(given))
    cuda = given.device != "cpu" and torch.cuda.is_available()
    whole = Engines(settings(given), requests, ())
    if given.engine == "transformers":
        yield from against_itself(ways_of_the_reference(whole, requests, given.alone, given.seed), requests, Tokens())
        return
    first = Tokens()
    yield from against_itself(ways_of_continuous(whole, requests, given.alone, given.seed), requests, first)
    yield from other_shapes(whole, requests, first)
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
    fields = {"checkpoint": given.checkpoint, "device": given.device, "dtype": given.dtype, "attn": given.attn}
    return EngineSettings(
        **(fields | other), photo=PhotoSettings(max_pixels=given.max_pixels),
        sampling=SamplingSettings(max_new_tokens=given.imposed or given.max_new_tokens),
    )  # fmt: skip


def at_least(least: int) -> Callable[[str], int]:
    """The type of an option."""

    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"{value}: give at least {least}")
        return value

    return number


def check_paths(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Before the first check, which may take long."""
    try:
        given.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--folder {given.folder}: {error.strerror}. Give a folder that can be written to.")
    try:
        if given.json:
            given.json.open("a").close()  # what stands there stays until there is a report
    except OSError as error:
        parser.error(f"--json {given.json}: {error.strerror}. Give a file in a folder that is there.")


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="Does a photo's answer depend on anything but the photo?")
    parser.add_argument("checkpoint")
    parser.add_argument("--photos", type=at_least(1), default=256)
    parser.add_argument(
        "--cpu-photos", type=at_least(0), default=64, help="of them on the CPU, too, where there is a GPU"
    )
    parser.add_argument("--alone", type=at_least(0), default=16, help="of them are asked for one at a time")
    parser.add_argument("--imposed", type=at_least(0), default=0, metavar="TOKENS",
                        help="answers of given lengths, at most so")  # fmt: skip
    parser.add_argument("--engine", choices=["transformers", "continuous"], default="continuous")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto", help="in which an engine is held against itself")
    parser.add_argument("--attn", default="auto")
    parser.add_argument("--max-new-tokens", type=at_least(1), default=SamplingSettings().max_new_tokens)
    parser.add_argument("--max-pixels", type=int, default=PhotoSettings().max_pixels)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-invariance")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    check_paths(parser, given)
    torch.backends.cudnn.allow_tf32 = False  # torch's default would make the reference's patches float32 by name only

    began, report = time.monotonic(), dict[str, Any](vars(given), checks=[], kept=True)
    report |= {name: str(given.__dict__[name]) for name in ("folder", "json")}
    report |= {"torch": torch.__version__, "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None}
    _photos(given)  # before anything else: the processes that draw are forked
    for check in checks(given):
        print(check, flush=True)
        report["checks"].append(asdict(check) | {"kept": check.kept})
        report["kept"] = report["kept"] and check.kept
        report["seconds"] = time.monotonic() - began
        if given.json:
            given.json.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    print(f"{'all kept' if report['kept'] else 'BROKEN'}, {report['seconds']:.0f} s")
    return report


if __name__ == "__main__":
    sys.exit(not main()["kept"])
