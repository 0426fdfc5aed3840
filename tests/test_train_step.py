"""benchmarks/train_step.py: its arguments, its figures, and a row with ms-swift's real trainer."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import train_step

ROWS = {row.name: row for row in train_step.ROWS}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As much of a checkpoint of two blocks as arguments need."""
    folder = tmp_path_factory.mktemp("checkpoint")
    (folder / "config.json").write_text('{"text_config": {"num_hidden_layers": 2}}', encoding="utf-8")
    return folder


def line(what: str, begin: float, **more: Any) -> dict[str, Any]:
    return {"what": what, "begin": begin, **more}


def options(row: str, tiny: Path, *more: str) -> list[str]:
    given = train_step.parsed([str(tiny), *more])
    return train_step.command_of(ROWS[row], given, Path("/d"), Path("/o"))


def test_a_row_changes_one_thing(tiny: Path) -> None:
    start = set(options("start values", tiny))
    assert {"--generations=8", "--batch-size=8", "--accumulation=8", "--max-new-tokens=128"} < start
    assert "--val-file=/d/val.jsonl" in start
    assert set(options("32 groups per step", tiny)) - start == {"--accumulation=32"}
    assert set(options("16 answers per group", tiny)) - start == {"--generations=16", "--accumulation=16"}
    assert options("no gradient checkpointing", tiny)[-3:] == ["--", "--gradient_checkpointing", "false"]
    assert set(options("two GPUs", tiny)) < start


def test_blocks_are_at_most_those_of_the_checkpoint(tiny: Path) -> None:
    assert "--last-blocks=2" in options("LoRA on all blocks", tiny)
    assert "--last-blocks=2" in options("start values", tiny)


def test_options_after_dashes_come_last(tiny: Path) -> None:
    command = options("no gradient checkpointing", tiny, "--", "--max-new-tokens", "64", "--", "--padding_side", "left")
    at = command.index("--")
    assert command[at - 2 : at] == ["--max-new-tokens", "64"]
    assert command[at + 1 :] == ["--gradient_checkpointing", "false", "--padding_side", "left"]


def test_each_row_has_its_gpus(tiny: Path) -> None:
    given = train_step.parsed([str(tiny), "--gpus", "2,3"])
    one = train_step.environment(ROWS["start values"], given, Path("/log"))
    two = train_step.environment(ROWS["two GPUs"], given, Path("/log"))
    assert (one["CUDA_VISIBLE_DEVICES"], one.get("NPROC_PER_NODE")) == ("2", None)
    assert (two["CUDA_VISIBLE_DEVICES"], two["NPROC_PER_NODE"]) == ("2,3", "2")


def test_the_figures_of_a_row() -> None:
    memory = {"allocated": 15.0, "reserved": 18.0, "card": 20.0}
    lines = [
        line("rollout", 100.0, seconds=9.0), line("logps", 109.0, seconds=3.0),
        line("step", 120.0, tokens=8.0, **memory),
        line("rollout", 120.5, seconds=4.0), line("logps", 125.0, seconds=1.0),
        line("step", 130.0, tokens=8.0, **memory),
        line("rollout", 130.5, seconds=6.0), line("rollout", 137.0, seconds=2.0), line("logps", 139.0, seconds=2.0),
        line("step", 144.0, tokens=5.0, **(memory | {"card": 21.0})),
        line("rollout", 145.0, seconds=3.0), line("evaluation", 150.0),
    ]  # fmt: skip
    found = train_step.figures(lines, begin=90.0, end=160.0)
    assert found["steps_s"] == [20.0, 10.0, 14.0]
    assert (found["step_s"], found["rollout_s"], found["logps_s"]) == (12.0, 6.0, 1.5)
    assert found["rollouts"] == pytest.approx(4 / 3)
    assert (found["start_s"], found["after_s"], found["validation_s"]) == (10.0, 16.0, 6.0)
    assert (found["tokens"], found["card"]) == (7.0, 21.0)


def test_the_table_shows_shares_and_what_failed() -> None:
    rows = [
        {"row": "start values", "step_s": 10.0, "steps_s": [20.0, 10.0], "rollout_s": 6.0, "logps_s": 1.0,
         "allocated": 15.04, "reserved": 18.0, "card": 20.0},
        {"row": "two GPUs", "failed": "RuntimeError: no"},
    ]  # fmt: skip
    assert train_step.table(rows, {"start values": 64}).splitlines()[2:] == [
        "| start values | 10.0 | 20.0 | 60% | 10% | 30% | 6.4 | 15.0 | 18.0 | 20.0 |",
        "| two GPUs | failed: RuntimeError: no |  |  |  |  |  |  |  |  |",
    ]


@pytest.mark.train
@pytest.mark.skipif(find_spec("swift") is None, reason="ms-swift is not installed: pip install 'yanshou[train]'")
def test_a_row_runs_in_the_real_trainer(tmp_path: Path) -> None:
    checkpoint = tmp_path / "tiny"
    train_step.make_weights(checkpoint, None, "cpu", "tiny")
    assert (checkpoint / "model.safetensors").stat().st_size > 9_000_000
    small = ["--device", "cpu", "--tokens", "2", "--answers", "4", "--groups", "40", "--steps", "2", "--merge", "none"]
    small += ["--only", "no gradient", "--folder", str(tmp_path), "--", "--accumulation", "2"]
    (row,) = train_step.main([str(checkpoint), *small])
    assert len(row["steps_s"]) == 2
    assert 0 < row["rollout_s"] + row["logps_s"] < row["step_s"]
    steps = [step for step in train_step.rows_of(tmp_path / "row_2/swift/logging.jsonl") if "reward_std" in step]
    assert all(step["reward_std"] > 0 and step["grad_norm"] > 0 for step in steps)  # the hash has a gradient
