"""Promises of the command line and the launcher: what may be asked, what is said and which status it ends with."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from pydantic_core import PydanticUndefined

from yanshou import cli
from yanshou.missions import load_missions
from yanshou.settings import EngineSettings, PhotoSettings, PromptSettings, SamplingSettings, StageASettings

ROOT = Path(__file__).resolve().parents[2]
SHIELD, CABLES = "挡风板安装检查", "BBU线缆布放"
MODELS = (StageASettings, PromptSettings, EngineSettings, PhotoSettings, SamplingSettings)
KEYS = ("MISSION", "CUDA", "BATCH", "CHECKPOINT", "INPUT_DIR", "OUTPUT_DIR")  # that the launcher reads

PhotoTree = Callable[..., Path]
Script = Callable[..., Path]
Yanshou = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def job(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> dict[str, str]:
    """Two groups, three photos, one mission; the options of a run over them."""
    root = photo_tree({f"{SHIELD}/审核不通过/QC-1": 2, f"{SHIELD}/审核通过/QC-2": 1})
    return {
        "engine": "scripted", "checkpoint": str(script()), "input-dir": str(root), "output-dir": str(tmp_path / "out"),
        "mission": SHIELD,
    }  # fmt: skip


def arguments(options: dict[str, str], *more: str) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name}", value)] + list(more)


def summarize(options: dict[str, str], *more: str) -> Result:
    return CliRunner().invoke(cli.main, ["summarize", *arguments(options, *more)])


def settings_of(job: dict[str, str]) -> dict[str, Any]:
    """The settings that the run recorded."""
    path = Path(job["output-dir"]) / f"{SHIELD}_stage_a.run.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))["settings"])


# --- quick


def test_nothing_heavy_is_imported_before_a_model_is_needed(job: dict[str, str]) -> None:
    words = f"""
import sys
def heavy():
    return sorted({{"torch", "torchvision", "transformers"}} & set(sys.modules))
def call(*args):
    try:
        main(args)
    except SystemExit as end:
        assert end.code == 0, end.code
import yanshou
print(heavy(), len(sys.modules) < 150, file=sys.stderr)
from yanshou.cli import main
call("--help"), call("summarize", "--help")
print(heavy(), "PIL" in sys.modules, file=sys.stderr)
call("summarize", "--quiet", *{arguments(job)!r})
print(heavy(), file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", words], capture_output=True, encoding="utf-8", check=False)
    assert ran.stderr.splitlines() == ["[] True", "[] False", "[]"]


# --- options and their defaults


def params(*args: str) -> dict[str, Any]:
    required = ["--checkpoint", "demo", "--input-dir", "in", "--output-dir", "out", "--mission", SHIELD]
    return dict(cli.summarize.make_context("summarize", [*required, *args]).params)


def test_an_option_that_is_not_given_has_the_default_of_the_settings() -> None:
    fields = {name: field.default for model in MODELS for name, field in model.model_fields.items()}
    optional = {name: default for name, default in fields.items() if default is not PydanticUndefined}
    given = params()
    settings_elsewhere = {"engine", "prompts", "photo", "sampling"}  # fields that are settings of their own
    assert {name: given[name] for name in optional.keys() - settings_elsewhere} == {
        name: optional[name] for name in optional.keys() - settings_elsewhere
    }
    assert given["engine"] == EngineSettings.model_fields["engine"].default


def test_help_shows_the_defaults_of_the_settings() -> None:
    with click.Context(cli.summarize) as ctx:
        shown = {param.name: (param.get_help_record(ctx) or ("", ""))[1] for param in cli.summarize.params}
    for model in (EngineSettings, PhotoSettings, SamplingSettings):
        for name, field in model.model_fields.items():
            if isinstance(field.default, int | float | str):
                assert f"[default: {field.default}" in shown[name], name


@pytest.mark.parametrize("command", [cli.summarize, cli.judge], ids=lambda command: command.name)
def test_every_setting_of_an_engine_is_an_option_of_each_command_that_runs_one(command: click.Command) -> None:
    settings_elsewhere = {"photo", "sampling"}  # fields that are settings of their own
    assert EngineSettings.model_fields.keys() - settings_elsewhere <= {param.name for param in command.params}


def test_options_may_be_spelt_with_a_dash_or_an_underscore() -> None:
    dashes = ["--batch-size", "3", "--max-new-tokens=9", "--no-mission-focus", "--attn", "flash_attention_2"]
    assert params(*(word.replace("_", "-") if word.startswith("--") else word for word in dashes)) == params(
        "--batch_size", "3", "--max_new_tokens=9", "--no_mission_focus", "--attn", "flash_attention_2"
    )
    assert params("--attn", "flash_attention_2")["attn"] == "flash_attention_2"


def test_every_option_reaches_the_run(job: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "system.txt").write_text("写一行。\n", encoding="utf-8")
    (tmp_path / "user.txt").write_text("看图。\n", encoding="utf-8")
    ran = summarize(
        job, "--max-new-tokens", "99", "--temperature", "0.5", "--top-p", "0.9", "--repetition-penalty", "1.1",
        "--seed", "7", "--max-pixels", "1048576", "--min-pixels", "2048", "--exif", "ignore", "--allow-truncated",
        "--no-mission-focus", "--system-prompt", str(tmp_path / "system.txt"),
        "--user-prompt", str(tmp_path / "user.txt"),
    )  # fmt: skip
    assert ran.exit_code == 0, ran.output
    settings = settings_of(job)
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


# --- what it says


def test_a_run_ends_with_a_table_on_stderr(job: dict[str, str]) -> None:
    ran = summarize(job)
    assert (ran.exit_code, ran.stdout) == (0, "")
    head, row, where = ran.stderr.splitlines()
    assert re.fullmatch(r"(\d+) of \1 groups stand in .*_stage_a.jsonl", where)
    names = "mission written failed skipped as done photos rotated images/s waited for photos"
    assert " ".join(head.split()) == names
    assert row.split()[:-2] == [SHIELD, "2", "0", "0", "3", "0"]


def test_quiet_says_nothing_when_all_is_well(job: dict[str, str]) -> None:
    ran = summarize(job, "--quiet")
    assert (ran.exit_code, ran.output) == (0, "")


def test_quiet_still_tells_what_failed(job: dict[str, str]) -> None:
    bad = Path(job["input-dir"]) / SHIELD / "审核通过" / "QC-2" / "1.jpg"
    bad.write_bytes(b"")
    ran = summarize(job, "--quiet")
    assert (ran.exit_code, ran.stdout) == (3, "")
    assert ran.stderr == (
        f"{SHIELD}: 1 of 2 groups failed: see {job['output-dir']}/{SHIELD}_stage_a.errors.jsonl. "
        "The same command tries just those again.\n"
    )


def test_json_gives_one_row_a_mission(job: dict[str, str]) -> None:
    ran = summarize(job, "--json", "--mission", CABLES)
    assert ran.exit_code == 1
    shield, cables = json.loads(ran.stdout)
    assert shield.pop("seconds") >= 0
    assert shield.pop("images_per_s") > 0
    assert shield.pop("waited_s") >= 0
    assert shield == {
        "mission": SHIELD, "groups": 2, "written": 2, "failed": 0, "skipped": 0, "revised": 0, "photos": 3,
        "rotated": 0, "out_of_memory": 0,
        "warnings": [], "error": "", "interrupted": False, "status": 0,
        "lines": f"{job['output-dir']}/{SHIELD}_stage_a.jsonl",
        "errors": f"{job['output-dir']}/{SHIELD}_stage_a.errors.jsonl",
    }  # fmt: skip
    message = f"{job['input-dir']} holds no folder {CABLES} or BBU线缆布放要求, only {SHIELD}."
    assert (cables["status"], cables["error"], cables["lines"]) == (1, message, None)
    assert ran.stderr == f"error: {message}\n"


# --- what users do wrong


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("batch-size", "0", "--batch-size: Input should be greater than or equal to 1, got 0"),
        ("batch-size", "many", "Invalid value for '--batch-size': 'many' is not a valid integer."),
        ("limit", "0", "Invalid value for '--limit': 0 is not in the range x>=1."),
        ("max-new-tokens", "0", "--max-new-tokens: Input should be greater than or equal to 1, got 0"),
        ("temperature", "-1", "--temperature: Input should be greater than or equal to 0, got -1.0"),
        ("temperature", "nan", "--temperature: Input should be a finite number, got nan"),
        (
            "temperature",
            "0.001",
            "--temperature: 0 is greedy; otherwise at least 0.01, below which scores overflow, got 0.001",
        ),
        ("batch-size", "65537", "--batch-size: Input should be less than or equal to 65536, got 65537"),
        ("batch-size", "100000000000000000000", "--batch-size: "),
        ("top-p", "1.5", "--top-p: Input should be less than or equal to 1, got 1.5"),
        ("repetition-penalty", "0", "--repetition-penalty: Input should be greater than 0, got 0.0"),
        ("seed", "-1", "--seed: Input should be greater than or equal to 0, got -1"),
        ("max-pixels", "1000", "--max-pixels: Input should be greater than or equal to 1024, got 1000"),
        ("min-pixels", "900000", "min_pixels 900000 is larger than max_pixels 786432"),
        ("exif", "turn", "Invalid value for '--exif': 'turn' is not one of 'apply', 'ignore'."),
        ("dtype", "int8", "Invalid value for '--dtype': 'int8' is not one of"),
        ("layout", "tree", "Invalid value for '--layout': 'tree' is not one of 'labelled', 'flat'."),
        ("engine", "vllm", "unknown engine 'vllm'. Known engines: auto, continuous, transformers, scripted."),
        ("mission", "挡风板", "unknown mission '挡风板'. Known missions: "),
        ("mission-file", "none.toml", "Invalid value for '--mission-file': Path 'none.toml' does not exist."),
        ("system-prompt", "none.txt", "Invalid value for '--system-prompt': File 'none.txt' does not exist."),
        ("input-dir", __file__, f"Invalid value for '--input-dir': Directory '{__file__}' is a file."),
        ("batches", "8", "No such option"),
    ],
)
def test_wrong_usage_is_status_2_naming_option_and_value(
    job: dict[str, str], option: str, value: str, complaint: str
) -> None:
    ran = summarize(job, f"--{option}", value)
    assert (ran.exit_code, ran.stdout, type(ran.exception)) == (2, "", SystemExit)
    assert f"Error: {complaint}" in " ".join(ran.stderr.split())
    assert not Path(job["output-dir"]).exists()


def test_an_unknown_mission_is_told_with_the_known_ones(job: dict[str, str]) -> None:
    ran = summarize(job | {"mission": "没有这个"})
    assert ran.exit_code == 2
    assert all(mission.name in ran.stderr for mission in load_missions())
    assert "BBU线缆布放要求" in ran.stderr


def test_the_largest_batch_size_runs(job: dict[str, str]) -> None:
    assert summarize(job, "--batch-size", "65536", "--quiet").exit_code == 0
    assert written(job["output-dir"]) == {SHIELD: 2}


def test_a_misspelt_mission_beside_all_is_wrong_usage_and_nothing_is_written(job: dict[str, str]) -> None:
    for missions in ("all", SHIELD), (SHIELD, "all"):
        ran = summarize(job | {"mission": missions[0]}, "--mission", "挡风板", "--mission", missions[1])
        assert (ran.exit_code, "unknown mission '挡风板'. Known missions: " in ran.stderr) == (2, True)
    assert not Path(job["output-dir"]).exists()
    drawing = ["synth", "--groups", "1", "--output-dir", job["output-dir"], "--mission", "all", "--mission", "挡风板"]
    ran = CliRunner().invoke(cli.main, drawing)
    assert (ran.exit_code, "unknown mission '挡风板'. Known missions: " in ran.stderr) == (2, True)
    assert not Path(job["output-dir"]).exists()


@pytest.mark.parametrize("option", ["input-dir", "output-dir"])
def test_an_empty_folder_name_is_wrong_usage_and_never_the_working_folder(
    job: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.chdir(job["input-dir"])  # where the empty name, read as a path, would find work
    before = sorted(tmp_path.rglob("*"))
    ran = summarize(job | {option: ""})
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1] == (
        f"Error: Invalid value for '--{option}': the name is empty. Is a variable of the script not set?"
    )
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("command", [["synth", "--groups", "1"], ["demo"]])
def test_what_draws_does_not_draw_into_the_working_folder_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(cli.main, [*command, "--output-dir", ""])
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "Invalid value for '--output-dir': the name is empty." in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["checkpoint", "input-dir", "output-dir", "mission"])
def test_a_missing_option_is_named(job: dict[str, str], missing: str) -> None:
    del job[missing]
    ran = summarize(job)
    assert (ran.exit_code, f"Missing option '--{missing}'" in ran.stderr) == (2, True)


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
    job: dict[str, str], tmp_path: Path, option: str, content: str | None, complaint: str
) -> None:
    path = tmp_path / "given"
    if content is not None:
        path.write_text(content)
    ran = summarize(job | {option: str(path)}, "--quiet")
    assert (ran.exit_code, ran.stdout, type(ran.exception)) == (1, "", SystemExit)
    assert ran.stderr.startswith(f"error: {complaint.format(path)}")
    assert ran.stderr.count("\n") == 1


def test_a_mission_folder_given_as_input_is_told_with_the_parent(job: dict[str, str]) -> None:
    parent = job["input-dir"]
    ran = summarize(job | {"input-dir": f"{parent}/{SHIELD}"}, "--quiet")
    assert ran.exit_code == 1
    assert ran.stderr == f"error: {parent}/{SHIELD} is the mission's own folder: give its parent, {parent}.\n"


def test_an_output_folder_that_cannot_be_made_is_status_1(job: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = summarize(job | {"output-dir": str(tmp_path / "file" / "out")}, "--quiet")
    assert (ran.exit_code, type(ran.exception)) == (1, SystemExit)
    assert "cannot be written: Not a directory" in ran.stderr


# --- where it runs


def in_locale_c(utf8: str) -> dict[str, str]:
    """The environment of a machine without a UTF-8 locale; `utf8` is what PYTHONUTF8 says."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    return others | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": utf8}


@pytest.mark.parametrize("command", ["summarize", "score", "synth", "doctor", "demo"])
def test_a_locale_that_is_not_utf8_is_told_with_the_cure(
    job: dict[str, str], yanshou: Yanshou, tmp_path: Path, command: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    words = arguments(job) if command == "summarize" else []
    ran = yanshou(command, *words, env=in_locale_c(utf8="0"), cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "error: this locale reads file names as ascii, not UTF-8. Run again with PYTHONUTF8=1.\n"
    assert sorted(tmp_path.rglob("*")) == before


def test_the_cure_of_such_a_locale_cures_it(job: dict[str, str], yanshou: Yanshou) -> None:
    ran = yanshou("summarize", *arguments(job, "--quiet"), env=in_locale_c(utf8="1"))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert written(job["output-dir"]) == {SHIELD: 2}


# --- the specification's command lines


def from_checkout(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs in the checkout, with none of the launcher's keys in the environment but those given."""
    inherited = {name: value for name, value in os.environ.items() if name not in KEYS}
    inherited["PATH"] = f"{Path(sys.executable).parent}:{inherited['PATH']}"
    return subprocess.run(
        command, cwd=ROOT, env=inherited | environment, capture_output=True, encoding="utf-8", check=False, timeout=60
    )


def launch(*args: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return from_checkout("bash", "scripts/stage_a_infer.sh", *args, **environment)


def written(out: str | Path) -> dict[str, int]:
    """How many lines stand in which mission's file."""
    return {
        path.name.removesuffix("_stage_a.jsonl"): len(path.read_bytes().splitlines())
        for path in Path(out).glob("*_stage_a.jsonl")
    }


@pytest.mark.parametrize("word", [[], ["summarize"]], ids=["as written there", "as its usage line says"])
def test_the_module_path_of_the_specification_runs(job: dict[str, str], word: list[str]) -> None:
    ran = from_checkout(
        sys.executable, "-m", "src.stage_a.cli", *word, "--checkpoint", job["checkpoint"],
        "--input_dir", job["input-dir"], "--output_dir", job["output-dir"],
        "--mission", SHIELD, "--device", "cpu", "--batch_size", "8", "--engine", "scripted",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert written(job["output-dir"]) == {SHIELD: 2}


def test_arguments_of_the_launcher_count_before_the_environment(job: dict[str, str]) -> None:
    ran = launch(
        f"mission={SHIELD}", "cuda=cpu", f"checkpoint={job['checkpoint']}", f"input_dir={job['input-dir']}",
        f"output_dir={job['output-dir']}", "--", "--engine", "scripted", "--quiet",
        MISSION=CABLES, CUDA="x", CHECKPOINT="none", INPUT_DIR="none", OUTPUT_DIR="none",
    )  # fmt: skip
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert written(job["output-dir"]) == {SHIELD: 2}


def test_what_the_launcher_is_not_given_comes_from_the_environment(job: dict[str, str]) -> None:
    ran = launch(
        "--", "--engine", "scripted", MISSION=SHIELD, CUDA="cpu", BATCH="2", CHECKPOINT=job["checkpoint"],
        INPUT_DIR=job["input-dir"], OUTPUT_DIR=job["output-dir"],
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert written(job["output-dir"]) == {SHIELD: 2}
    run = json.loads((Path(job["output-dir"]) / f"{SHIELD}_stage_a.run.json").read_text(encoding="utf-8"))
    assert run["environment"]["batch_size"] == 2


@pytest.mark.parametrize("key", ["mission", "cuda", "checkpoint", "input_dir", "output_dir"])
def test_a_key_that_the_launcher_misses_is_status_2_naming_it(key: str) -> None:
    given = {"mission": SHIELD, "cuda": "0", "checkpoint": "demo", "input_dir": "in", "output_dir": "out"}
    del given[key]
    ran = launch(*(f"{name}={value}" for name, value in given.items()))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[0] == f"missing: {key}=… (or {key.upper()} in the environment)"


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("cuda=a", "cuda=a is neither a number nor cpu"),
        ("gpu=0", "unknown argument: gpu=0"),
        ("--quiet", "unknown argument: --quiet"),
    ],
)
def test_what_the_launcher_does_not_know_is_status_2(argument: str, complaint: str) -> None:
    keys = {"MISSION": SHIELD, "CUDA": "0", "CHECKPOINT": "demo", "INPUT_DIR": "in", "OUTPUT_DIR": "out"}
    ran = launch(argument, **keys)
    assert (ran.returncode, ran.stderr.splitlines()[0]) == (2, complaint)


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        (["cuda=1"], "--device cuda:1"), (["cuda=cpu"], "--device cpu"),
        (["cuda=0", "batch=16"], "--device cuda:0 --batch-size 16"),
    ],
)  # fmt: skip
def test_the_launcher_names_the_device_and_the_batch(arguments: list[str], flags: str) -> None:
    """Read from the shell's own trace of what it starts: no machine of the tests has a second GPU."""
    keys = ["mission=a", "checkpoint=demo", "input_dir=in", "output_dir=out"]
    ran = from_checkout("bash", "-x", "scripts/stage_a_infer.sh", *keys, *arguments, "--", "--help")
    assert ran.returncode == 0
    (started,) = [line for line in ran.stderr.splitlines() if line.startswith("+ exec ")]
    assert started.endswith(
        "-m yanshou.cli summarize --checkpoint demo --input-dir in --output-dir out --mission a " + flags + " --help"
    )


@pytest.mark.parametrize("way", ["a link", "a link to a link", "CDPATH"])
def test_the_launcher_finds_its_checkout_from_anywhere(job: dict[str, str], tmp_path: Path, way: str) -> None:
    path, environment = "scripts/stage_a_infer.sh", {}
    if way == "CDPATH":  # makes `cd scripts` print where it went
        environment["CDPATH"] = f"{ROOT}:{tmp_path}"
    else:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "infer.sh").symlink_to(ROOT / path)
        (tmp_path / "infer").symlink_to("bin/infer.sh")
        path = str(tmp_path / ("bin/infer.sh" if way == "a link" else "infer"))
    ran = from_checkout(
        "bash", "-x", path, f"mission={SHIELD}", "cuda=cpu", f"checkpoint={job['checkpoint']}",
        f"input_dir={job['input-dir']}", f"output_dir={job['output-dir']}", "--", "--engine", "scripted", "--quiet",
        **environment,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    (root,) = [line for line in ran.stderr.splitlines() if line.startswith("+ root=")]
    assert root == f"+ root={ROOT}"
    assert written(job["output-dir"]) == {SHIELD: 2}


def test_the_four_gpu_loop_of_the_specification_starts_four_different_runs(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    counts = {mission.name: number for number, mission in enumerate(load_missions(), 1)}
    root = photo_tree({f"{name}/审核通过/QC-{group}": 1 for name, count in counts.items() for group in range(count)})
    loop = """
gpu=0
for mission in "BBU安装方式检查（正装）" "BBU接地线检查" "BBU线缆布放" "挡风板安装检查"; do
  bash scripts/stage_a_infer.sh mission="$mission" cuda=$gpu batch=8 -- --engine scripted --quiet &
  gpu=$((gpu + 1))
done
wait
"""
    environment = {"CHECKPOINT": str(script()), "INPUT_DIR": str(root), "OUTPUT_DIR": str(tmp_path / "out")}
    ran = from_checkout("bash", "-c", loop, **environment)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert written(tmp_path / "out") == counts


def test_python_m_yanshou_is_yanshou() -> None:
    ran = subprocess.run([sys.executable, "-m", "yanshou", "--help"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("Usage: yanshou ")


def test_a_dry_run_of_a_training_prints_swifts_command_and_writes_nothing(tmp_path: Path) -> None:
    rows = tmp_path / "train.jsonl"
    messages = [{"role": "system", "content": "只写两行"}, {"role": "user", "content": "图片_1: 无关图片×1"}]
    row = {"messages": messages, "solution": "通过", "group_id": "QC-1", "mission": SHIELD, "summaries": ["无关图片×1"],
           "image_paths": ["/p/1.jpg"]}  # fmt: skip
    rows.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    arguments = ["train", "--checkpoint", "demo", "--train-file", str(rows), "--output-dir", str(tmp_path / "out")]
    ran = CliRunner().invoke(cli.main, [*arguments, "--dry-run", "--", "--logging_steps", "7"])
    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout.startswith("swift rlhf --rlhf_type grpo ")
    assert ran.stdout.rstrip().endswith(" --logging_steps 7")
    assert not (tmp_path / "out").exists()
    refused = CliRunner().invoke(cli.main, [*arguments, "--dry-run", "--generations", "3"])
    assert (refused.exit_code, "no multiple of --generations 3" in refused.stderr) == (2, True)
