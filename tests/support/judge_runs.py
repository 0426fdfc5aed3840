"""Runs of `yanshou judge` over Stage-A lines of random jobs, with a scripted engine, and what they wrote."""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from click.testing import CliRunner, Result

from support.lines import SHIELD, stage_a_line
from yanshou.cli import main
from yanshou.missions import load_missions
from yanshou.schema.records import Fault, VerdictRecord
from yanshou.storage.jsonl import read_records
from yanshou.world.jobs import random_job


def record(number: int, mission: str = SHIELD, label: str | None = "pass", **fields: Any) -> dict[str, Any]:
    """A Stage-A line with the summaries of a random job."""
    summaries = random_job(Random(number), load_missions().get(mission), label).lines()  # type: ignore[arg-type]
    return stage_a_line(f"QC-{number}", label, *summaries, mission=mission, **fields)


def script(tmp_path: Path, answers: Mapping[str, str], **options: Any) -> Path:
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"answers": answers, **options}, ensure_ascii=False), encoding="utf-8")
    return path


def command(stage_a: Path, out: Path, *options: object) -> list[str]:
    return ["judge", "--output-dir", str(out), *map(str, options), str(stage_a)]


def run(stage_a: Path, out: Path, path: Path, *options: object) -> Result:
    return CliRunner().invoke(main, command(stage_a, out, "--engine", "scripted", "--checkpoint", path, *options))


def verdicts(out: Path, mission: str = SHIELD) -> list[VerdictRecord]:
    return [line for _, line in read_records(out / f"{mission}_verdicts.jsonl", VerdictRecord)]


def faults(out: Path, mission: str = SHIELD) -> list[Fault]:
    return [line for _, line in read_records(out / f"{mission}_verdicts.errors.jsonl", Fault)]


def without_time(out: Path, mission: str = SHIELD) -> list[dict[str, Any]]:
    """The lines without their timestamps."""
    return [line.model_dump(exclude={"timestamp"}) for line in verdicts(out, mission)]
