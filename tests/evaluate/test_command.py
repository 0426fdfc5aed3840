"""`yanshou evaluate` at the command line, on verdicts that `yanshou judge` wrote."""

import csv
import json
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result
from support.judged_files import amend, write_judged
from support.lines import CABLES, GROUNDING, SHIELD, stage_a_line, verdict, write_lines

from yanshou.cli import main
from yanshou.missions import load_missions
from yanshou.schema.policy import Policy
from yanshou.storage.lock import Lock
from yanshou.world.jobs import random_job


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Verdicts of the rules on twenty drawn jobs, two of which have a wrong human label."""
    folder = tmp_path_factory.mktemp("judged")
    rng, lines = Random(0), []
    for number in range(20):
        job = random_job(rng, load_missions().get(GROUNDING), "fail" if number < 8 else "pass")
        label = {0: "pass", 19: "fail"}.get(number, job.label)
        lines.append(stage_a_line(f"QC-{number}", label, *job.lines()))
    stage_a = write_lines(folder / f"{GROUNDING}_stage_a.jsonl", lines)
    judged = CliRunner().invoke(main, ["judge", "--rules", "--quiet", "--output-dir", str(folder), str(stage_a)])
    assert judged.exit_code == 0, judged.stderr
    return folder / f"{GROUNDING}_verdicts.jsonl"


def run(out: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["evaluate", "--output-dir", str(out), *map(str, arguments)])


def test_figures_are_printed_and_every_group_is_in_the_csv(verdicts: Path, tmp_path: Path) -> None:
    result = run(tmp_path, verdicts)
    assert result.exit_code == 0, result.stderr
    assert "90.0% [69.9–97.2]" in result.stdout
    assert "1: 12.5% [2.2–47.1]" in result.stdout  # 8 human fails
    assert "always pass" in result.stdout
    with (tmp_path / "groups.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert f"report: {tmp_path / 'report.html'}" in result.stdout
    assert '<html lang="zh' in (tmp_path / "report.html").read_text("utf-8")
    outcomes = [row["outcome"] for row in rows]
    assert (outcomes.count("false release"), outcomes.count("false block")) == (1, 1)


def test_an_evaluation_can_be_limited_to_the_validation_groups(verdicts: Path, tmp_path: Path) -> None:
    run_file = json.loads((verdicts.parent / f"{GROUNDING}_verdicts.run.json").read_text("utf-8"))
    stage_a = run_file["settings"]["stage_a"][0]
    built = CliRunner().invoke(main, ["dataset", "--output-dir", str(tmp_path), "--val-fraction", "0.3", stage_a])
    assert built.exit_code == 0, built.stderr
    rows = len((tmp_path / "val.jsonl").read_text("utf-8").splitlines())
    result = run(tmp_path / "out", "--json", "--only", tmp_path / "val.jsonl", verdicts)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["overall"]["judge"]["groups"] == rows
    assert 0 < rows < 20
    assert f"{20 - rows} others are left out" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_json_has_the_figures(verdicts: Path, tmp_path: Path) -> None:
    found = json.loads(run(tmp_path, verdicts, "--json").stdout)
    assert json.dumps(found, allow_nan=False)
    assert found["overall"]["judge"]["groups"] == 20


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--threshold", "1.5"], 2, "Error: --threshold is "),
        (["--max-false-release", "0"], 2, "Error: --max-false-release is "),
        (["--max-false-release", "1e-320"], 2, "Error: --max-false-release is "),
        (["--max-false-release", "9e-7"], 2, "Error: --max-false-release is "),
        (["--threshold", "0.5", "--max-false-release", "0.1"], 2, "Give one"),
        (["--threshold", "0.5"], 2, "p_pass"),
        (["--max-false-block", "0.1"], 2, "has no p_pass, and no other group has one"),
        (["--max-false-block", "1"], 2, "Error: --max-false-block is "),
        (["--pooled"], 2, "--pooled needs --max-false-release or --max-false-block"),
    ],
)
def test_impossible_options_are_refused(
    verdicts: Path, tmp_path: Path, options: list[str], status: int, message: str
) -> None:
    result = run(tmp_path / "out", *options, verdicts)
    assert result.exit_code == status, result.stderr
    assert message in result.stderr


def test_a_second_evaluation_in_the_same_folder_at_the_same_time_is_refused(verdicts: Path, tmp_path: Path) -> None:
    with Lock(tmp_path / ".evaluate.lock", tmp_path):
        result = run(tmp_path, verdicts)
    assert (result.exit_code, f"{tmp_path}: another run is writing it. Wait" in result.stderr) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == [".evaluate.lock"]
    assert run(tmp_path, verdicts).exit_code == 0


def test_an_output_folder_that_cannot_be_made_is_named(verdicts: Path, tmp_path: Path) -> None:
    result = run(tmp_path / ("x" * 300), verdicts)
    assert result.exit_code == 1
    assert "x: cannot be written: File name too long. " in result.stderr


def test_a_group_under_an_alias_is_one_group(tmp_path: Path) -> None:
    """`judge` writes the mission's own name even if the Stage-A file has an alias."""
    texts = random_job(Random(1), load_missions().get(CABLES), "pass").lines()
    line = stage_a_line("QC-1", "pass", *texts, mission="BBU线缆布放要求")
    stage_a = write_lines(tmp_path / "a.jsonl", [line])
    judged = CliRunner().invoke(main, ["judge", "--rules", "--quiet", "--output-dir", str(tmp_path), str(stage_a)])
    assert judged.exit_code == 0, judged.stderr
    result = run(tmp_path / "out", "--json", tmp_path / "BBU线缆布放_verdicts.jsonl")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)["overall"]
    assert (found["judge"]["groups"], found["judge"]["judged"], found["rules"]["judged"]) == (1, 1, 1)


# ---- policies ----


@pytest.fixture
def scored(tmp_path: Path) -> list[Path]:
    """Two missions judged by one checkpoint: the second has too few fails."""
    files = []
    for mission, fails in ((GROUNDING, 50), (SHIELD, 20)):
        judged = [verdict(f"QC-P{number}", "pass", "pass", 0.8, mission=mission) for number in range(50)]
        judged += [verdict(f"QC-F{number}", "fail", "fail", 0.2, mission=mission) for number in range(fails)]
        files.append(write_judged(tmp_path, judged, mission=mission))
        amend(files[-1], checkpoint="4f0c")
    return files


def test_a_policy_is_written_and_the_last_line_is_the_next_command(scored: list[Path], tmp_path: Path) -> None:
    result = run(tmp_path / "out", "--max-false-release", 0.1, "--max-false-block", 0.1, scored[0])
    assert result.exit_code == 0, result.stderr
    assert f"{GROUNDING}, release if p_pass ≥ 0.5: a false-release rate of at most 10% with" in result.stdout
    assert f"{GROUNDING}, block if p_pass < 0.5: a false-block rate of at most 10% with" in result.stdout
    assert "None of this is promised about:\n  other checkpoints, prompts" in result.stdout
    assert "2 of 2 thresholds are promised, each with 95% confidence." in result.stdout
    assert "all promises hold with a chance of at least 90.0% (1 - 2 × (1 - 0.95)" in result.stdout
    assert f"yanshou judge --policy {tmp_path}/out/policy.json --checkpoint" in result.stdout.splitlines()[-1]
    policy = Policy.model_validate_json((tmp_path / "out" / "policy.json").read_bytes())
    assert policy.missions[GROUNDING].decide(0.5) == "release"
    with (tmp_path / "out" / "groups.csv").open(encoding="utf-8-sig", newline="") as file:
        assert {(row["outcome"], row["decision"]) for row in csv.DictReader(file)} == {
            ("release", "release"),
            ("block", "block"),
        }


@pytest.mark.parametrize(
    ("recorded", "kv_cache", "options"),
    [
        ({"weights": "fp8", "decode": "fp8"}, {"kv_cache": "fp8"}, " --quantize fp8 --kv-cache fp8"),
        ({}, {"kv_cache": "fp8"}, " --kv-cache fp8"),
        ("fp8", {}, ""),
        ([1], {}, ""),
        (None, {}, ""),
    ],
)
def test_the_next_command_runs_the_weights_as_the_judge_did(
    scored: list[Path], tmp_path: Path, recorded: object, kv_cache: dict[str, str], options: str
) -> None:
    amend(scored[0], {"engine": "continuous", "checkpoint_folder": "/models/4b"}, quantize=recorded, **kv_cache)
    last = run(tmp_path / "out", "--max-false-release", 0.1, scored[0]).stdout.splitlines()[-1]
    assert f" --checkpoint /models/4b{options} --output-dir" in last


def test_a_side_without_a_threshold_ends_with_status_3_and_is_null_in_the_policy(
    scored: list[Path], tmp_path: Path
) -> None:
    result = run(tmp_path / "out", "--max-false-release", 0.1, *scored)
    assert result.exit_code == 3
    assert f"{SHIELD}, release: no threshold, because of too few human fails" in result.stdout
    assert "needs 41 with a p_pass even if none of them is released, and there are 20, so 21 more" in result.stdout
    assert "1 of 2 thresholds could not be promised" in result.stdout
    policy = json.loads((tmp_path / "out" / "policy.json").read_bytes())
    side = policy["missions"][SHIELD]["release"]
    assert (side["threshold"], side["of"], side["needed"], "21 more are missing" in side["why"]) == (None, 20, 41, True)
    assert policy["missions"][GROUNDING]["release"]["threshold"] == 0.5
    for option in ("--quiet", "--json"):
        again = run(tmp_path / "out", option, "--max-false-release", 0.1, *scored)
        assert again.exit_code == 3
        assert f"{SHIELD}, release: no threshold" in again.stderr
    assert json.loads(again.stdout)["policy"]["missions"].keys() == policy["missions"].keys()
    assert run(tmp_path / "out", "--max-false-release", 0.1, "--pooled", *scored).exit_code == 0


def test_the_next_command_is_one_that_works(scored: list[Path], tmp_path: Path) -> None:
    """`judge` refuses the groups of a mission whose judge is unknown."""
    stage_a = [part for file in scored for part in ("--stage-a", str(file).replace("_verdicts", "_stage_a"))]
    options = ["--max-false-block", 0.1, *stage_a]
    scored[1].with_suffix(".run.json").unlink()
    one = run(tmp_path / "one", *options, scored[1])
    assert (one.exit_code, "judge --policy" in one.stdout) == (0, False)
    last = one.stdout.splitlines()[-1]
    assert last.startswith(
        "next: put the run files back beside the verdicts, and evaluate again: without them `yanshou"
    )
    both = run(tmp_path / "both", *options, *scored).stdout.splitlines()
    assert both[-2] == f"{SHIELD}: `yanshou judge` refuses this policy, as no run file says what made the verdicts"
    assert "yanshou judge --policy" in both[-1]


def test_an_old_policy_beside_a_new_report_is_named(scored: list[Path], tmp_path: Path) -> None:
    assert run(tmp_path, "--max-false-release", 0.1, scored[0]).exit_code == 0
    before = (tmp_path / "policy.json").read_bytes()
    result = run(tmp_path, scored[0])
    assert result.exit_code == 0
    assert "policy.json: from an earlier evaluation, not from this one" in result.stderr
    assert (tmp_path / "policy.json").read_bytes() == before
