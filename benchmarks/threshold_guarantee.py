"""How often do the thresholds of `yanshou evaluate` keep their promise, for judges of any quality?

    python benchmarks/threshold_guarantee.py demo --jobs 2400 --rounds 200

A checkpoint judges drawn jobs of the demo world by their true summaries. Two worse judges are made of it by noise on
the logit of p_pass. For each mission, judge and side, a threshold is found many times on a random set, and checked
where the truth is known. What "held" means differs between the two parts of the promise:

    another set    The jobs of each label are halved at random; the threshold is found on one half, and errors are
                   counted on the other, which has as many human fails and passes. Held: a share below the limit.
                   This part holds for any fixed set of jobs over random halvings of it, so halvings of one set are
                   independent tests of it.
    long run       All jobs are the population, so the true rate at any threshold is known; the set is drawn from it
                   with replacement. Held: a true rate of at most the limit. Halvings would not do: both halves lack
                   the population, and what one half has too few of, the other has too many of.

A round without a threshold promises nothing and so breaks nothing. It is counted, because a cell with few thresholds
shows little. A cell fails if fewer rounds held than the one-sided 99.9 % bound for that number of rounds allows.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from random import Random
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit
from scipy.stats import binom

from yanshou.engines import Completion, Request
from yanshou.engines.transformers.engine import TransformersEngine
from yanshou.evaluate import find_promise
from yanshou.evaluate.threshold import Side
from yanshou.missions import load_missions
from yanshou.missions.prompts import verdict_prompt
from yanshou.settings import EngineSettings, SamplingSettings
from yanshou.stage_b.verdict import FAIL, PASS
from yanshou.world.jobs import random_job

CONFIDENCE = 0.95
BOUND = 0.001  # probability of a round count below a cell's bound, where a promise holds exactly as often as stated
JUDGES = {"as it is": 0.0, "worse": 0.7, "bad": 2.0}  # noise on the logit, in standard deviations of the logit
SIDES: tuple[Side, ...] = ("release", "block")
Scores = np.ndarray  # p_pass of jobs with one label


class Jobs(NamedTuple):
    """The judged jobs of one mission, by the human label."""

    passes: Scores
    fails: Scores


def judged(checkpoint: str, jobs: int, seed: int, device: str, batch_size: int) -> dict[str, list[tuple[bool, float]]]:
    """For every job by mission: whether a person passes it, and the logit of p_pass."""
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
    found: dict[str, list[tuple[bool, float]]] = {mission.name: [] for mission in missions}
    for answer in engine.generate(requests):
        assert isinstance(answer, Completion), answer
        passing, failing = answer.logprobs
        job = drawn[int(answer.id)]
        found[job.mission.name].append((job.label == "pass", passing - failing))
    return found


def worse(judged_jobs: Sequence[tuple[bool, float]], noise: float, random: np.random.Generator) -> Jobs:
    """What a judge with noise on its logits would say. `noise`: in standard deviations of these logits."""
    logits = np.array([logit for _, logit in judged_jobs])
    scores = expit(logits + noise * logits.std() * random.standard_normal(len(logits)))
    passed = np.array([passed for passed, _ in judged_jobs])
    return Jobs(scores[passed], scores[~passed])


def on_another_set(jobs: Jobs, side: Side, limit: float, random: np.random.Generator) -> bool | None:
    """Whether a threshold found on one half holds on the other; None: no threshold."""
    halves = [np.split(random.permutation(scores)[: len(scores) // 2 * 2], 2) for scores in jobs]
    here, there = (Jobs(passes, fails) for passes, fails in zip(*halves, strict=True))
    return _held(here, side, limit, lambda threshold: error_rate(there, side, threshold) < limit)


def in_the_long_run(jobs: Jobs, side: Side, limit: float, random: np.random.Generator) -> bool | None:
    """Whether a threshold found on a set drawn from these jobs holds for all of them; None: no threshold."""
    drawn = Jobs(*(random.choice(scores, len(scores) // 2) for scores in jobs))
    return _held(drawn, side, limit, lambda threshold: error_rate(jobs, side, threshold) <= limit)


PARTS = {"another set": on_another_set, "long run": in_the_long_run}


def error_rate(jobs: Jobs, side: Side, threshold: float) -> float:
    """The share of human fails that are released, or of human passes that are blocked."""
    wrong = jobs.fails >= threshold if side == "release" else jobs.passes < threshold
    return float(wrong.mean())


def cells(found: dict[str, list[tuple[bool, float]]], limit: float, rounds: int, seed: int) -> Iterator[dict[str, Any]]:
    """How often the promise held, by mission, judge, side and part."""
    for number, (mission, (judge, noise)) in enumerate(product(found, JUDGES.items())):
        jobs = worse(found[mission], noise, np.random.default_rng([seed, number]))
        for place, (side, part) in enumerate(product(SIDES, PARTS)):
            random = np.random.default_rng([seed, number, place])
            results = [PARTS[part](jobs, side, limit, random) for _ in range(rounds)]
            names = {"mission": mission, "judge": judge, "AUC": auc(jobs), "side": side, "part": part}
            yield names | counted(results)


def counted(results: Sequence[bool | None]) -> dict[str, Any]:
    """Thresholds found, rounds that held, and the fewest that may hold."""
    rounds, broken = len(results), results.count(False)
    fewest = int(binom.ppf(BOUND, rounds, CONFIDENCE))
    return {
        "rounds": rounds, "thresholds": rounds - results.count(None), "held": rounds - broken, "at least": fewest,
        "kept": rounds - broken >= fewest,
    }  # fmt: skip


def auc(jobs: Jobs) -> float:
    """The probability that a human pass has a higher p_pass than a human fail: how good the judge is."""
    below = np.searchsorted(np.sort(jobs.fails), jobs.passes, side="left")
    not_above = np.searchsorted(np.sort(jobs.fails), jobs.passes, side="right")
    return round(float((below + not_above).mean()) / 2 / len(jobs.fails), 3)


def table(results: Iterable[dict[str, Any]]) -> str:
    """The results in Markdown, one row per mission, judge and side: rounds that held, and thresholds found."""
    lines = ["| mission | judge (AUC) | side | held on another set | held in the long run |", "|---|---|---|--:|--:|"]
    rows: dict[tuple[str, str, str], list[str]] = {}
    for one in results:
        cell = f"{one['held']}{'' if one['kept'] else ' **too few**'} ({one['thresholds']})"
        rows.setdefault((one["mission"], f"{one['judge']} ({one['AUC']})", one["side"]), []).append(cell)
    return "\n".join([*lines, *(f"| {' | '.join([*key, *cells])} |" for key, cells in rows.items())])


def _held(jobs: Jobs, side: Side, limit: float, check: Callable[[float], bool]) -> bool | None:
    threshold = find_promise(side, jobs.passes.tolist(), jobs.fails.tolist(), limit, CONFIDENCE).threshold
    return None if threshold is None else check(threshold)


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description="How often thresholds keep their promise.")
    parser.add_argument("checkpoint", help='a trained checkpoint folder, or "demo"')
    parser.add_argument("--jobs", type=int, default=2400, help="number of drawn jobs, of all missions")
    parser.add_argument("--rounds", type=int, default=200, help="random sets per mission, judge, side and part")
    parser.add_argument("--limit", type=float, default=0.1, help="highest false-release and false-block rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int, default=32)
    given = parser.parse_args(arguments)
    found = judged(given.checkpoint, given.jobs, given.seed, given.device, given.batch_size)
    results = list(cells(found, given.limit, given.rounds, given.seed))
    print(table(results), flush=True)
    broken = [result for result in results if not result["kept"]]
    print(f"{len(results)} cells of {given.rounds} rounds; too few held in {len(broken)}", flush=True)
    return results


if __name__ == "__main__":
    sys.exit(not all(result["kept"] for result in main()))
