"""How often does a threshold chosen on one half of the groups keep its promise on the other half?

    python benchmarks/threshold_guarantee.py demo --jobs 2000 --limits 0.3 0.5

A checkpoint judges drawn jobs of the demo world by their true summaries. The jobs are halved at random many times; each
time P is chosen on one half, and false releases ÷ human fails is counted on the other.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from random import Random
from typing import Any

from yanshou.engines import Completion, Request
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.evaluate import find_promise
from yanshou.missions import load_missions
from yanshou.missions.prompts import verdict_prompt
from yanshou.settings import EngineSettings, SamplingSettings
from yanshou.stage_b.verdict import FAIL, PASS
from yanshou.world.jobs import random_job

CONFIDENCE = 0.95


def judged(checkpoint: str, jobs: int, seed: int, device: str, batch_size: int) -> list[tuple[bool, float]]:
    """For every job: whether a person passes it, and p_pass."""
    sampling = SamplingSettings(max_new_tokens=1)  # the text is not needed
    engine = TransformersEngine(
        EngineSettings(checkpoint=checkpoint, device=device, batch_size=batch_size, sampling=sampling)
    )
    rng, missions = Random(f"promise:{seed}"), list(load_missions())
    drawn = [random_job(rng, missions[number % len(missions)]) for number in range(jobs)]
    requests = [
        Request(number, verdict_prompt(job.mission, job.lines()), None, candidates=(PASS, FAIL))
        for number, job in enumerate(drawn)
    ]
    found = {}
    for answer in engine.generate(requests):
        assert isinstance(answer, Completion), answer
        passing, failing = answer.logprobs
        found[answer.id] = 1 / (1 + math.exp(failing - passing))
    return [(job.label == "pass", found[number]) for number, job in enumerate(drawn)]


def halves(scores: Sequence[tuple[bool, float]], splits: int, seed: int, limit: float) -> dict[str, Any]:
    """Over random halvings: how often a P was found, and how often it kept its promise."""
    rng, found, kept, blocked = Random(seed), 0, 0, []
    for _ in range(splits):
        shuffled = rng.sample(scores, len(scores))
        here, there = shuffled[: len(scores) // 2], shuffled[len(scores) // 2 :]
        passes, fails = ([p for passed, p in here if passed is wanted] for wanted in (True, False))
        threshold = find_promise("release", passes, fails, limit, CONFIDENCE).threshold
        if threshold is None:
            continue
        found += 1
        released = [p >= threshold for passed, p in there if not passed]
        kept += sum(released) <= limit * len(released)
        stopped = [p < threshold for passed, p in there if passed]
        blocked.append(sum(stopped) / len(stopped))
    return {
        "limit": limit, "splits": splits, "P found": found, "held": kept,
        "false blocks, mean": round(sum(blocked) / found, 3) if found else None,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(
        description="How often a threshold keeps its promise on the other half of the groups."
    )
    parser.add_argument("checkpoint", help='a trained checkpoint folder, or "demo"')
    parser.add_argument("--jobs", type=int, default=2000, help="number of drawn jobs")
    parser.add_argument("--splits", type=int, default=20, help="number of random halvings")
    parser.add_argument("--limits", type=float, nargs="+", default=[0.03, 0.1, 0.3], help="highest false-release rates")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=32)
    given = parser.parse_args(arguments)
    scores = judged(given.checkpoint, given.jobs, given.seed, given.device, given.batch_size)
    results = [halves(scores, given.splits, given.seed, limit) for limit in given.limits]
    for result in results:
        print(result, flush=True)
    return results


if __name__ == "__main__":
    sys.exit(not main())
