"""Does a photo's text depend on its batch? The same photos with several batch sizes and in another order.

    python benchmarks/invariance.py demo --photos 1000 --device cuda --dtype bfloat16

Prints how many texts differ from those of batch size 1. On a CPU in float32 none does (a test says so). On a GPU in
bfloat16 some may: a kernel may add in another order for another batch.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from yanshou.engines import Completion, Request
from yanshou.engines.transformers import TransformersEngine
from yanshou.missions import load_missions
from yanshou.prompts import summary_prompt
from yanshou.settings import EngineSettings, PromptSettings, SamplingSettings
from yanshou.world.draw import draw
from yanshou.world.scene import any_scene

BATCH_SIZES = (1, 8, 32)


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
    """One question a photo, the missions in turn."""
    prompts = [summary_prompt(mission, PromptSettings()) for mission in load_missions()]
    return [Request(at, prompts[at % len(prompts)], photo, photo.name) for at, photo in enumerate(photos)]


def texts(engine: TransformersEngine, requests: Sequence[Request]) -> dict[int, str]:
    """Text by request id. A photo that fails spoils the comparison."""
    found = {}
    for answer in engine.generate(requests):
        assert isinstance(answer, Completion), answer
        found[answer.id] = answer.text
    return found


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="How many texts depend on their batch.")
    parser.add_argument("checkpoint")
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--attn", default="auto")
    parser.add_argument("--max-new-tokens", type=int, default=SamplingSettings().max_new_tokens)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-invariance")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)

    requests = asked(draw_photos(given.folder, given.photos, given.seed))
    shuffled = Random(given.seed).sample(requests, len(requests))
    first: TransformersEngine | None = None
    compared: dict[str, int] = {}
    alone: dict[int, str] = {}
    for batch_size in BATCH_SIZES:
        settings = EngineSettings(
            checkpoint=given.checkpoint, device=given.device, dtype=given.dtype, attn=given.attn,
            batch_size=batch_size, sampling=SamplingSettings(max_new_tokens=given.max_new_tokens),
        )  # fmt: skip
        engine = TransformersEngine(settings)
        if first is None:
            first = engine
        else:
            vars(engine).update(processor=first.processor, model=first.model)
        orders = {f"batch {batch_size}": requests, f"batch {batch_size}, shuffled": shuffled}
        for name, order in orders.items():
            found = texts(engine, order)
            alone = alone or found
            compared[name] = sum(found[at] != text for at, text in alone.items())
            print(f"{name:<20} {compared[name]:>6} of {len(alone)} differ from batch 1", flush=True)
    assert first is not None
    report = {**first.environment(), **first.identity(), "photos": len(requests), "differing": compared}
    if given.json:
        given.json.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    return report


if __name__ == "__main__":
    sys.exit(not main())
