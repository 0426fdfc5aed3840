"""A tiny dataset of the demo world's groups."""

from random import Random
from typing import Any

from yanshou.missions import load_missions
from yanshou.missions.prompts import verdict_prompt
from yanshou.stage_b.verdict import FAIL, PASS
from yanshou.world.jobs import Job, random_job


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows as `yanshou dataset` writes them."""
    rng, missions = Random(seed), list(load_missions())
    jobs = [random_job(rng, missions[number % len(missions)]) for number in range(count)]
    return [row(job, f"QC-{seed}-{number}") for number, job in enumerate(jobs)]


def row(job: Job, group_id: str) -> dict[str, Any]:
    prompt = verdict_prompt(job.mission, job.lines())
    return {
        "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
        "solution": PASS if job.label == "pass" else FAIL, "group_id": group_id, "mission": job.mission.name,
        "summaries": job.lines(), "image_paths": ["1.jpg"] * len(job.scenes),
    }  # fmt: skip
