"""Command lines of runs over small photo trees, and what the runs wrote."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from yanshou.cli import main

SHIELD, CABLES = "挡风板安装检查", "BBU线缆布放"

Options = dict[str, str]


def arguments(options: Options, *more: str) -> list[str]:
    """{"engine": "scripted"} → ["--engine", "scripted"]"""
    return [word for name, value in options.items() for word in (f"--{name}", value)] + list(more)


def run(*args: str) -> Result:
    """`yanshou <args>` in this process."""
    return CliRunner().invoke(main, list(args))


def summarize(options: Options, *more: str) -> Result:
    return run("summarize", *arguments(options, *more))


def written(out: str | Path) -> dict[str, int]:
    """Mission → number of lines in its Stage-A file."""
    return {
        path.name.removesuffix("_stage_a.jsonl"): len(path.read_bytes().splitlines())
        for path in Path(out).glob("*_stage_a.jsonl")
    }


def run_file(out: str | Path, mission: str = SHIELD) -> dict[str, Any]:
    return dict(json.loads((Path(out) / f"{mission}_stage_a.run.json").read_text(encoding="utf-8")))
