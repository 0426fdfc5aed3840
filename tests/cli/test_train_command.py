"""Promises of `yanshou train` before anything is trained."""

import json
from pathlib import Path

import pytest
from support.cli_runs import SHIELD, run


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """A training of one row, to be printed only."""
    rows = tmp_path / "train.jsonl"
    messages = [{"role": "system", "content": "只写两行"}, {"role": "user", "content": "图片_1: 无关图片×1"}]
    row = {"messages": messages, "solution": "通过", "group_id": "QC-1", "mission": SHIELD, "summaries": ["无关图片×1"],
           "image_paths": ["/p/1.jpg"]}  # fmt: skip
    rows.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    files = ["--train-file", str(rows), "--output-dir", str(tmp_path / "out")]
    return ["train", "--checkpoint", "demo", *files, "--dry-run"]


def test_a_dry_run_prints_swifts_command_and_writes_nothing(command: list[str], tmp_path: Path) -> None:
    ran = run(*command, "--", "--logging_steps", "7")
    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout.startswith("swift rlhf --rlhf_type grpo ")
    assert ran.stdout.rstrip().endswith(" --logging_steps 7")
    assert not (tmp_path / "out").exists()


def test_options_that_contradict_each_other_are_wrong_usage_with_their_names(command: list[str]) -> None:
    ran = run(*command, "--generations", "3")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1] == (
        "Error: --batch-size 8 × --accumulation 4 = 32 answers per step: not a multiple of --generations 3."
    )
