"""What runs/demo_grpo.sh is made of, besides yanshou's own commands."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import in_bf16
import loop_figures
import true_lines

from yanshou.cli import main
from yanshou.engines import checkpoint
from yanshou.errors import InputError
from yanshou.schema.records import StageARecord, TruthRecord
from yanshou.storage.jsonl import dump_line, read_records

ROOT = Path(__file__).parents[1]
MISSION = "挡风板安装检查"
RIGHT, WRONG = "BBU设备/华为,显示完整,无需安装×1", "无关图片×1"


def record(number: int, label: str, line: str) -> StageARecord:
    given = {
        "group_id": f"QC-{number}", "mission": MISSION, "label": label, "images": ["a.jpeg"], "raw_texts": [line],
        "per_image": {"图片_1": line}, "clean_texts": [line], "timestamp": "2026-11-24T09:30:00+08:00",
    }  # fmt: skip
    return StageARecord.model_validate(given)


def truth(number: int, label: str, line: str) -> TruthRecord:
    return TruthRecord.model_validate(
        {"mission": MISSION, "label": label, "group_id": f"QC-{number}", "per_image": {"图片_1": line}}
    )


def test_true_lines_stand_in_the_place_of_what_was_written(tmp_path: Path) -> None:
    written = tmp_path / f"{MISSION}_stage_a.jsonl"
    written.write_bytes(dump_line(record(1, "pass", WRONG)))
    (tmp_path / "truth.jsonl").write_bytes(dump_line(truth(1, "pass", RIGHT)) + dump_line(truth(2, "fail", WRONG)))
    (path,) = true_lines.write_true_lines(tmp_path / "truth.jsonl", [written], tmp_path / "true")
    assert [line for _, line in read_records(path, StageARecord)] == [record(1, "pass", RIGHT)]


def test_a_group_without_its_truth_is_an_error(tmp_path: Path) -> None:
    written = tmp_path / f"{MISSION}_stage_a.jsonl"
    written.write_bytes(dump_line(record(1, "pass", WRONG)))
    (tmp_path / "truth.jsonl").write_bytes(dump_line(truth(1, "fail", RIGHT)))
    with pytest.raises(InputError, match=r"stage_a\.jsonl:1: group QC-1: .* does not hold its truth"):
        true_lines.write_true_lines(tmp_path / "truth.jsonl", [written], tmp_path / "true")


def test_the_figures_are_those_of_evaluate(tmp_path: Path) -> None:
    stage_a = tmp_path / f"{MISSION}_stage_a.jsonl"
    lines = [record(1, "pass", RIGHT), record(2, "fail", WRONG), record(3, "fail", RIGHT)]
    stage_a.write_bytes(b"".join(map(dump_line, lines)))
    verdicts, run = tmp_path / "verdicts", CliRunner()
    judged = run.invoke(main, ["judge", "--rules", "--quiet", "--output-dir", str(verdicts), str(stage_a)])
    assert judged.exit_code == 0, judged.output
    evaluated = run.invoke(
        main,
        ["evaluate", "--json", "--output-dir", str(tmp_path / "report"), str(verdicts / f"{MISSION}_verdicts.jsonl")],
    )
    (tmp_path / "loop" / "before").mkdir(parents=True)
    (tmp_path / "loop" / "before" / "true.json").write_text(evaluated.stdout, encoding="utf-8")
    found = loop_figures.main([str(tmp_path / "loop"), "--json", str(tmp_path / "figures.json")])
    assert json.loads((tmp_path / "figures.json").read_text(encoding="utf-8")) == found
    true = found["verdicts"]["true"]
    assert true["before"] == true["rules"]
    assert true["before"]["accuracy"]["count"] == 2
    assert true["before"]["false_release"]["share"] == 0.5
    assert true["before"]["format_followed"] == 1
    assert "| true lines | before | 3 | 2 / 3 = 66.7% [20.8–93.9] | 1 / 2 = 50.0%" in "\n".join(
        loop_figures.table(found["verdicts"])
    )


def test_the_score_of_the_summaries_is_told_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage_a = tmp_path / f"{MISSION}_stage_a.jsonl"
    stage_a.write_bytes(dump_line(record(1, "pass", RIGHT)) + dump_line(record(2, "fail", WRONG)))
    (tmp_path / "truth.jsonl").write_bytes(dump_line(truth(1, "pass", RIGHT)) + dump_line(truth(2, "fail", RIGHT)))
    asked = ["score", "--json", "--truth", str(tmp_path / "truth.jsonl"), "--stage-a", str(stage_a)]
    scored = CliRunner().invoke(main, asked)
    (tmp_path / "loop" / "seed-0").mkdir(parents=True)
    (tmp_path / "loop" / "seed-0" / "score.json").write_text(scored.stdout, encoding="utf-8")
    found = loop_figures.main([str(tmp_path / "loop")])
    assert found["summaries"] == {"seed-0": {"photos": 2, "identical": 1}}
    assert "| seed-0 | 1 / 2 = 50.00% |" in capsys.readouterr().out


def test_a_trained_checkpoint_gets_the_demo_checkpoints_form(tmp_path: Path) -> None:
    demo = checkpoint.locate("demo")
    shipped = {name: weight for path in demo.glob("*.safetensors") for name, weight in load_file(path).items()}
    trained = {name: weight.float() + 1 for name, weight in shipped.items() if "visual" not in name}
    (tmp_path / "trained").mkdir()
    save_file(trained, tmp_path / "trained" / "model.safetensors")
    in_bf16.main([str(tmp_path / "trained"), str(tmp_path / "out")])
    checkpoint.check(tmp_path / "out")
    written = {name: w for path in (tmp_path / "out").glob("*.safetensors") for name, w in load_file(path).items()}
    assert set(written) == set(shipped)
    for name, weight in written.items():
        assert weight.equal(trained[name].to(weight.dtype) if name in trained else shipped[name])
    assert {path.name: path.stat().st_size for path in (tmp_path / "out").iterdir()} == {
        path.name: path.stat().st_size for path in demo.iterdir()
    }


@pytest.mark.parametrize(
    ("weights", "target", "told"),
    [
        (None, "out", "trained: no safetensors weights are there. Give a checkpoint"),
        ({}, "out", "trained: no safetensors weights are there. Give a checkpoint"),
        ({"model.norm": [1]}, "out", "trained: the demo checkpoint has no model.norm. Give"),
        ({"model.language_model.norm.weight": [2]}, "out", "has the shape [2], in the demo checkpoint [256]. Give"),
        ({"model.language_model.norm.weight": [256]}, "out", "is missing. Give a checkpoint"),
        ("torn", "out", "trained: the weights cannot be read: "),
        (None, "file", "file is a file. Give a folder"),
        (None, "file/out", "file is a file. Give a folder"),
    ],
)
def test_what_cannot_get_that_form_is_told_in_a_line(
    tmp_path: Path, weights: dict[str, list[int]] | str | None, target: str, told: str
) -> None:
    (tmp_path / "file").touch()
    if weights is not None:
        (tmp_path / "trained").mkdir()
        path = tmp_path / "trained" / "model.safetensors"
        if isinstance(weights, str):
            path.write_text(weights)
        else:
            save_file({name: torch.ones(shape) for name, shape in weights.items()}, path)
    with pytest.raises(SystemExit) as ended:
        in_bf16.main([str(tmp_path / "trained"), str(tmp_path / target)])
    assert told in str(ended.value.code)
    assert "\n" not in str(ended.value.code)
    assert not (tmp_path / "out").exists()


def test_the_script_is_one_that_bash_can_read() -> None:
    subprocess.run(["bash", "-n", ROOT / "runs" / "demo_grpo.sh"], check=True)


STAND_IN = """#!/bin/sh
[ "$1" != -c ] || exit {trainer}
while [ "$1" != --output-dir ]; do shift; done
touch "$2/state.safetensors"
exit {status}
"""


def loop(folder: Path, status: int = 0, trainer: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    """The script with a trainer that leaves its state and ends with the status."""
    python = folder / "python"
    python.write_text(STAND_IN.format(status=status, trainer=trainer))
    python.chmod(0o755)
    script = ROOT / "runs" / "demo_grpo.sh"
    given = {**os.environ, "PYTHON": str(python), "OUT": str(folder / "out put"), "DEVICE": "cpu", **variables}
    return subprocess.run(["bash", script], env=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("status", [1, 137])
def test_lessons_that_fail_end_the_script_and_are_not_taken_for_done(tmp_path: Path, status: int) -> None:
    done, start = tmp_path / "out put" / "done" / "lessons", tmp_path / "out put" / "start"
    failed = loop(tmp_path, status)
    assert failed.returncode == status
    assert "lessons failed with status" in failed.stderr
    assert "run the same command" in failed.stderr
    assert not done.exists()
    assert not start.exists()

    loop(tmp_path)  # ends later, where photos are wanted
    assert done.exists()
    assert {path.name for path in start.iterdir()} == {path.name for path in checkpoint.locate("demo").iterdir()}


def test_a_folder_keeps_to_the_settings_that_it_was_begun_with(tmp_path: Path) -> None:
    loop(tmp_path, 1)
    other = loop(tmp_path, 1, LESSONS="7")
    assert other.returncode == 2
    assert "> LESSONS=7" in other.stderr
    assert "choose another OUT" in other.stderr


def test_a_trainings_settings_are_kept_too(tmp_path: Path) -> None:
    """All that stands before the training is done; the stand-in then fails where it should train."""
    done = tmp_path / "out put" / "done"
    done.mkdir(parents=True)
    steps = ["lessons", "synth-other", "true-lines", "judge-train", "dataset"]
    steps += [f"{step}-{world}" for step in ("synth", "summarize", "score") for world in ("train", "held")]
    for step in (*steps, "summarize-other-before", "score-other-before"):
        (done / step).touch()
    for lines in ("stage_a", "true"):
        for step in ("judge", "evaluate"):
            (done / f"{step}-before-{lines}").touch()
    first, again, other = (loop(tmp_path, 1, STEPS=steps) for steps in ("2", "2", "3"))
    assert (first.returncode, again.returncode, other.returncode) == (1, 1, 2), (first.stderr, other.stderr)
    assert "train-seed-0 failed with status 1" in again.stderr
    assert "> STEPS=3" in other.stderr


def test_a_missing_trainer_is_told_before_anything_is_done(tmp_path: Path) -> None:
    without = loop(tmp_path, trainer=1)
    assert without.returncode == 1
    assert "'.[train]'" in without.stderr
    assert not (tmp_path / "out put" / "done" / "lessons").exists()
    loop(tmp_path, trainer=1, UNTIL="lines")
    assert (tmp_path / "out put" / "done" / "lessons").exists()


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out put").mkdir()
    with (tmp_path / "out put" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = loop(tmp_path, 1)
    assert second.returncode == 1
    assert "another run is at work here" in second.stderr
