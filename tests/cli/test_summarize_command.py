"""Promises of `yanshou summarize`: what it prints, what it refuses, and which status it ends with."""

import json
import re
from pathlib import Path

import pytest
from support.cli_runs import Options, run, summarize, written
from support.lines import CABLES, SHIELD
from support.stage_a_runs import run_file

from yanshou.missions import load_missions


def test_every_option_reaches_the_run(job: Options, tmp_path: Path) -> None:
    (tmp_path / "system.txt").write_text("写一行。\n", encoding="utf-8")
    (tmp_path / "user.txt").write_text("看图。\n", encoding="utf-8")
    ran = summarize(
        job, "--max-new-tokens", "99", "--temperature", "0.5", "--top-p", "0.9", "--repetition-penalty", "1.1",
        "--seed", "7", "--max-pixels", "1048576", "--min-pixels", "2048", "--exif", "ignore", "--allow-truncated",
        "--no-mission-focus", "--system-prompt", str(tmp_path / "system.txt"),
        "--user-prompt", str(tmp_path / "user.txt"),
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    settings = run_file(job["output-dir"])["settings"]
    del settings["checkpoint"]
    assert settings == {
        "dtype": "none",
        "photo": {"exif": "ignore", "max_pixels": 1_048_576, "min_pixels": 2048},
        "sampling": {
            "max_new_tokens": 99,
            "temperature": 0.5,
            "top_p": 0.9,
            "repetition_penalty": 1.1,
            "seed": 7,
        },
        "prompts": {"system": "写一行。", "user": "看图。"},
        "allow_truncated": True,
    }


def test_a_run_ends_with_a_table_on_stderr(job: Options) -> None:
    ran = summarize(job)
    assert (ran.exit_code, ran.stdout) == (0, "")
    head, row, where = ran.stderr.splitlines()
    assert re.fullmatch(r"(\d+) of \1 groups are in .*_stage_a.jsonl", where)
    names = "mission written failed skipped as done photos rotated images/s waited for photos"
    assert " ".join(head.split()) == names
    assert row.split()[:-2] == [SHIELD, "2", "0", "0", "3", "0"]


def test_quiet_says_nothing_when_all_is_well(job: Options) -> None:
    ran = summarize(job, "--quiet")
    assert (ran.exit_code, ran.output) == (0, "")


def test_quiet_still_reports_what_failed(job: Options) -> None:
    bad = Path(job["input-dir"]) / SHIELD / "审核通过" / "QC-2" / "1.jpg"
    bad.write_bytes(b"")
    ran = summarize(job, "--quiet")
    assert (ran.exit_code, ran.stdout) == (3, "")
    assert ran.stderr == (
        f"{SHIELD}: 1 of 2 groups failed: see {job['output-dir']}/{SHIELD}_stage_a.errors.jsonl. "
        "Run the same command again to retry only these.\n"
    )


def test_json_gives_one_row_per_mission(job: Options) -> None:
    ran = summarize(job, "--json", "--mission", CABLES)
    assert ran.exit_code == 1
    shield, cables = json.loads(ran.stdout)
    assert shield.pop("seconds") >= 0
    assert shield.pop("images_per_s") > 0
    assert shield.pop("waited_s") >= 0
    assert shield == {
        "mission": SHIELD, "groups": 2, "written": 2, "failed": 0, "skipped": 0, "revised": 0, "photos": 3,
        "rotated": 0, "out_of_memory": 0, "worker_deaths": 0, "unbound": 0, "unknown_folders": 0,
        "stale": 0, "elsewhere": 0, "pruned": 0, "removed": None,
        "warnings": [], "late_warnings": [], "decisions": None, "error": "", "interrupted": False, "status": 0,
        "lines": f"{job['output-dir']}/{SHIELD}_stage_a.jsonl",
        "errors": f"{job['output-dir']}/{SHIELD}_stage_a.errors.jsonl",
    }  # fmt: skip
    message = f"{job['input-dir']} holds no folder {CABLES} or BBU线缆布放要求, only {SHIELD}."
    assert (cables["status"], cables["error"], cables["lines"]) == (1, message, None)
    assert ran.stderr == f"error: {message}\n"


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("batch-size", "0", "--batch-size is 0: input should be greater than or equal to 1."),
        ("batch-size", "many", "Invalid value for '--batch-size': 'many' is not a valid integer."),
        ("batch-size", "65537", "--batch-size is 65537: input should be less than or equal to 65536."),
        (
            "batch-size",
            "1" + 20 * "0",
            "--batch-size is 1" + 20 * "0" + ": input should be less than or equal to 65536.",
        ),
        ("limit", "0", "--limit is 0: input should be greater than or equal to 1."),
        ("max-new-tokens", "0", "--max-new-tokens is 0: input should be greater than or equal to 1."),
        ("temperature", "-1", "--temperature is -1.0: input should be greater than or equal to 0."),
        ("temperature", "nan", "--temperature is nan: input should be a finite number."),
        (
            "temperature",
            "0.001",
            "--temperature is 0.001: give 0 (greedy) or at least 0.01; values between them overflow.",
        ),
        ("top-p", "1.5", "--top-p is 1.5: input should be less than or equal to 1."),
        ("repetition-penalty", "0", "--repetition-penalty is 0.0: input should be greater than 0."),
        ("seed", "-1", "--seed is -1: input should be greater than or equal to 0."),
        ("max-pixels", "1000", "--max-pixels is 1000: input should be greater than or equal to 1024."),
        ("min-pixels", "900000", "--min-pixels 900000 is larger than --max-pixels 786432."),
        ("exif", "turn", "Invalid value for '--exif': 'turn' is not one of 'apply', 'ignore'."),
        ("dtype", "int8", "Invalid value for '--dtype': 'int8' is not one of"),
        ("layout", "tree", "Invalid value for '--layout': 'tree' is not one of 'labelled', 'flat'."),
        ("engine", "vllm", "unknown engine 'vllm'. Known engines: auto, continuous, transformers, endpoint, scripted."),
        ("mission", "挡风板", "unknown mission '挡风板'. Known missions: "),
        ("mission-file", "none.toml", "Invalid value for '--mission-file': Path 'none.toml' does not exist."),
        ("system-prompt", "none.txt", "Invalid value for '--system-prompt': File 'none.txt' does not exist."),
        ("input-dir", __file__, f"Invalid value for '--input-dir': Directory '{__file__}' is a file."),
        ("batches", "8", "No such option"),
    ],
)
def test_wrong_usage_is_status_2_naming_option_and_value(job: Options, option: str, value: str, complaint: str) -> None:
    ran = summarize(job, f"--{option}", value)
    assert (ran.exit_code, ran.stdout, type(ran.exception)) == (2, "", SystemExit)
    assert f"Error: {complaint}" in " ".join(ran.stderr.split())
    assert not Path(job["output-dir"]).exists()


def test_an_unknown_mission_is_refused_with_the_known_ones(job: Options) -> None:
    ran = summarize(job | {"mission": "没有这个"})
    assert ran.exit_code == 2
    assert all(mission.name in ran.stderr for mission in load_missions())
    assert "BBU线缆布放要求" in ran.stderr


def test_the_largest_batch_size_runs(job: Options) -> None:
    assert summarize(job, "--batch-size", "65536", "--quiet").exit_code == 0
    assert written(job["output-dir"]) == {SHIELD: 2}


def test_a_misspelt_mission_beside_all_is_wrong_usage_and_nothing_is_written(job: Options) -> None:
    for missions in ("all", SHIELD), (SHIELD, "all"):
        ran = summarize(job | {"mission": missions[0]}, "--mission", "挡风板", "--mission", missions[1])
        assert (ran.exit_code, "unknown mission '挡风板'. Known missions: " in ran.stderr) == (2, True)
    assert not Path(job["output-dir"]).exists()
    drawing = ["synth", "--groups", "1", "--output-dir", job["output-dir"], "--mission", "all", "--mission", "挡风板"]
    ran = run(*drawing)
    assert (ran.exit_code, "unknown mission '挡风板'. Known missions: " in ran.stderr) == (2, True)
    assert not Path(job["output-dir"]).exists()


@pytest.mark.parametrize("option", ["input-dir", "output-dir"])
def test_an_empty_folder_name_is_wrong_usage_and_never_the_working_folder(
    job: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.chdir(job["input-dir"])  # where the empty name, read as a path, would find work
    before = sorted(tmp_path.rglob("*"))
    ran = summarize(job | {option: ""})
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1] == (
        f"Error: Invalid value for '--{option}': the name is empty. Is a variable of the script not set?"
    )
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("missing", ["output-dir", "mission"])
def test_a_missing_option_is_named(job: Options, missing: str) -> None:
    del job[missing]
    ran = summarize(job)
    assert (ran.exit_code, f"Missing option '--{missing}'" in ran.stderr) == (2, True)


def test_a_missing_checkpoint_is_named(job: Options) -> None:
    del job["checkpoint"]
    ran = summarize(job | {"engine": "auto"})
    assert (ran.exit_code, ran.stderr.splitlines()[-1]) == (
        2, "Error: Missing option --checkpoint: what answers. With --endpoint, a server does."
    )  # fmt: skip


def test_photos_or_a_folder_of_missions_is_needed(job: Options) -> None:
    del job["input-dir"]
    ran = summarize(job)
    assert (ran.exit_code, "Missing option --input-dir or --photos: " in ran.stderr) == (2, True)


@pytest.mark.parametrize(
    ("option", "content", "complaint"),
    [
        ("checkpoint", None, "{}: the script cannot be read (No such file or directory). Give a JSON file."),
        ("checkpoint", "{}", "{}: not a script: key answers is missing. Correct the file."),
        ("input-dir", None, "{} cannot be read as a folder (No such file or directory). "
                            "Give the folder that holds one folder per mission."),
        ("system-prompt", " \n", "{}: the prompt file is empty. Leave out the option to use yanshou's own prompt."),
        ("mission-file", "name =", "{}: not a TOML file in UTF-8: "),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_status_1_and_one_line(
    job: Options, tmp_path: Path, option: str, content: str | None, complaint: str
) -> None:
    path = tmp_path / "given"
    if content is not None:
        path.write_text(content)
    ran = summarize(job | {option: str(path)}, "--quiet")
    assert (ran.exit_code, ran.stdout, type(ran.exception)) == (1, "", SystemExit)
    assert ran.stderr.startswith(f"error: {complaint.format(path)}")
    assert ran.stderr.count("\n") == 1


def test_a_mission_folder_given_as_input_is_refused_with_its_parent(job: Options) -> None:
    parent = job["input-dir"]
    ran = summarize(job | {"input-dir": f"{parent}/{SHIELD}"}, "--quiet")
    assert ran.exit_code == 1
    message, tree = ran.stderr.split(" Expected:\n")
    assert message == f"error: {parent}/{SHIELD} is the mission's own folder: give its parent, {parent}."
    assert tree.splitlines()[-1] == f"  <mission>: {SHIELD}"


def test_an_output_folder_that_cannot_be_made_is_status_1(job: Options, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = summarize(job | {"output-dir": str(tmp_path / "file" / "out")}, "--quiet")
    assert (ran.exit_code, type(ran.exception)) == (1, SystemExit)
    assert "cannot be written: Not a directory" in ran.stderr
