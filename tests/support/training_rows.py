"""A tiny dataset of the demo world's groups."""

import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from support.lines import write_lines
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


def write_dataset(folder: Path, **files: Iterable[dict[str, Any]]) -> Path:
    """The files of a dataset (`train`, `val`) with their card, as far as readers look at it. Returns the folder."""
    folder.mkdir(exist_ok=True)
    paths = [write_lines(folder / f"{name}.jsonl", lines) for name, lines in files.items()]
    card = {"files": {path.name: {"sha256": sha256(path.read_bytes()).hexdigest()} for path in paths}}
    (folder / "dataset.card.json").write_text(json.dumps(card), encoding="utf-8")
    return folder
