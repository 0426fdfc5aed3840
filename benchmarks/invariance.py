"""Does a photo's text depend on what stands beside it? The same photos in several orders, batches and parts.

    python benchmarks/invariance.py demo --photos 1000 --device cuda                            # the reference engine
    python benchmarks/invariance.py demo --photos 2000 --device cuda --engine continuous --reference  # and against it

Prints how many answers differ, token by token, from those of the first way. On a CPU in float32 none does (a test says
so). `--reference` compares with the transformers engine, too; where an answer differs there, the margin says by how
much the reference preferred its own token (logits) at the first difference: a hair, or an error.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch

from yanshou.engines import Completion, Request
from yanshou.engines.base import FinishReason
from yanshou.engines.continuous import ContinuousEngine
from yanshou.engines.qwen3_vl import Prepared, Qwen3VL
from yanshou.engines.transformers import TransformersEngine
from yanshou.missions import load_missions
from yanshou.prompts import summary_prompt
from yanshou.settings import EngineSettings, PromptSettings, SamplingSettings
from yanshou.world.draw import draw
from yanshou.world.scene import any_scene

BATCH_SIZES = (1, 8, 32)
ALONE = 32  # photos that are asked for one at a time

Tokens = dict[int, list[int]]  # by request id


class Recorded(Qwen3VL):
    """Keeps the tokens of its answers."""

    def completion(
        self, prepared: Prepared, tokens: Sequence[int], ended: FinishReason, logprobs: tuple[float, ...]
    ) -> Completion:
        vars(self).setdefault("written", {})[prepared.request.id] = list(tokens)
        return super().completion(prepared, tokens, ended, logprobs)

    def answers(self, requests: Sequence[Request]) -> Tokens:
        """A photo that fails spoils the comparison."""
        vars(self)["written"] = {}
        for answer in self.generate(requests):  # type: ignore[attr-defined]
            assert isinstance(answer, Completion), answer
        return dict(vars(self)["written"])


class Reference(Recorded, TransformersEngine):
    """The transformers engine."""


class Continuous(Recorded, ContinuousEngine):
    """The continuous engine."""


def draw_photos(folder: Path, photos: int, seed: int) -> list[Path]:
    """So many photos of the demo world, a file each; those that are there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(photos):
        rng = Random(f"invariance:{seed}:{number}")
        path = folder / f"{seed}-{number:05}.jpg"
        if not path.exists():
            draw(any_scene(rng), rng).save(path, "JPEG", quality=90)
        paths.append(path)
    return paths


def asked(photos: Sequence[Path]) -> list[Request]:
    """One question a photo, a mission after the other."""
    prompts = [summary_prompt(mission, PromptSettings()) for mission in load_missions()]
    return [
        Request(at, prompts[at * len(prompts) // len(photos)], photo, photo.name) for at, photo in enumerate(photos)
    ]


Way = tuple[str, Callable[[], Tokens]]


def ways_of_the_reference(
    build: Callable[[int | None], Recorded], requests: Sequence[Request], seed: int
) -> Iterator[Way]:
    shuffled = Random(seed).sample(requests, len(requests))
    for size in BATCH_SIZES:
        yield f"batch {size}", lambda size=size: build(size).answers(requests)
        yield f"batch {size}, shuffled", lambda size=size: build(size).answers(shuffled)


def ways_of_continuous(
    build: Callable[[int | None], Recorded], requests: Sequence[Request], seed: int
) -> Iterator[Way]:
    shuffled, half = Random(seed).sample(requests, len(requests)), len(requests) // 2

    def alone() -> Tokens:
        engine, found = build(None), Tokens()
        for request in requests[:: max(1, len(requests) // ALONE)]:
            found |= engine.answers([request])
        return found

    yield "all slots", lambda: build(None).answers(requests)
    yield "all slots, again", lambda: build(None).answers(requests)
    yield "all slots, shuffled", lambda: build(None).answers(shuffled)
    yield "8 in flight, shuffled", lambda: build(8).answers(shuffled)
    yield "interrupted and resumed", lambda: build(None).answers(requests[half:]) | build(None).answers(requests[:half])
    yield "alone", alone


def margins(
    reference: Recorded, requests: Sequence[Request], found: Tokens, wanted: Tokens
) -> Iterator[tuple[int, float]]:
    """Of each answer that differs: request id, and how much more the reference liked its own token there (logits)."""
    for request in requests:
        one, other = found[request.id], wanted[request.id]
        if one == other:
            continue
        at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        if at == len(one) or at == len(other):
            yield request.id, float("nan")  # one ends where the other goes on: a limit, no choice
            continue
        yield request.id, _margin(reference, request, other[:at], other[at], one[at])


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


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="How many answers depend on what stands beside their photo.")
    parser.add_argument("checkpoint")
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--engine", choices=["transformers", "continuous"], default="transformers")
    parser.add_argument(
        "--mode", choices=["compiled", "eager"], help="of the continuous engine; None: compiled on CUDA"
    )
    parser.add_argument("--reference", action="store_true", help="compare with the transformers engine, too")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--attn", default="auto")
    parser.add_argument("--max-new-tokens", type=int, default=SamplingSettings().max_new_tokens)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-invariance")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)

    requests = asked(draw_photos(given.folder, given.photos, given.seed))
    shared: dict[str, Any] = {}  # processor and weights, loaded once

    def build(kind: type[Recorded], batch_size: int | None) -> Recorded:
        engine = kind(EngineSettings(
            checkpoint=given.checkpoint, device=given.device, dtype=given.dtype, attn=given.attn,
            batch_size=batch_size, sampling=SamplingSettings(max_new_tokens=given.max_new_tokens),
        ))  # fmt: skip
        vars(engine).update(shared)
        shared.update(processor=engine.processor, model=engine.model)
        if isinstance(engine, Continuous):
            engine.mode = given.mode or ("compiled" if engine.device.type == "cuda" else "eager")
        return engine

    continuous = given.engine == "continuous"
    kind, ways = (Continuous, ways_of_continuous) if continuous else (Reference, ways_of_the_reference)
    first: Tokens = {}
    compared: dict[str, int] = {}
    for name, way in ways(lambda size: build(kind, size), requests, given.seed):
        found = way()
        first = first or found
        compared[name] = sum(first[at] != tokens for at, tokens in found.items())
        print(f"{name:<26} {compared[name]:>6} of {len(found)} differ from the first way", flush=True)
    report: dict[str, Any] = {"photos": len(requests), "differing": compared}
    if given.reference:
        reference = build(Reference, max(BATCH_SIZES))
        report["margins"] = dict(margins(reference, requests, first, reference.answers(requests)))
        print(
            f"{'the reference engine':<26} {len(report['margins']):>6} of {len(requests)} differ; margins:", flush=True
        )
        print(*(f"  {requests[at].key} {margin:.4f}" for at, margin in report["margins"].items()), sep="\n", flush=True)
    engine = build(kind, None)
    report |= {**engine.environment(), **engine.identity()}  # type: ignore[attr-defined]
    if given.json:
        given.json.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    return report


if __name__ == "__main__":
    sys.exit(not main())
