"""Promises of the specification's command lines: `python -m src.stage_a.cli` and scripts/stage_a_infer.sh."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli_runs import Options, written
from support.lines import CABLES, SHIELD
from support.stage_a_runs import run_file

from yanshou.missions import load_missions

ROOT = Path(__file__).resolve().parents[2]
KEYS = ("MISSION", "CUDA", "BATCH", "CHECKPOINT", "INPUT_DIR", "OUTPUT_DIR")  # that the launcher reads

PhotoTree = Callable[..., Path]
Script = Callable[..., Path]


def from_checkout(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs a command in the checkout; of the launcher's keys the environment holds only those given."""
    inherited = {name: value for name, value in os.environ.items() if name not in KEYS}
    inherited["PATH"] = f"{Path(sys.executable).parent}:{inherited['PATH']}"
    return subprocess.run(
        command, cwd=ROOT, env=inherited | environment, capture_output=True, encoding="utf-8", check=False, timeout=60
    )


def launch(*args: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return from_checkout("bash", "scripts/stage_a_infer.sh", *args, **environment)


@pytest.mark.parametrize("command", [[], ["summarize"]], ids=["as specified", "as in its usage line"])
def test_the_specified_module_path_runs(job: Options, command: list[str]) -> None:
    ran = from_checkout(
        sys.executable, "-m", "src.stage_a.cli", *command, "--checkpoint", job["checkpoint"],
        "--input_dir", job["input-dir"], "--output_dir", job["output-dir"],
        "--mission", SHIELD, "--device", "cpu", "--batch_size", "8", "--engine", "scripted",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert written(job["output-dir"]) == {SHIELD: 2}


def test_arguments_win_over_the_environment(job: Options) -> None:
    ran = launch(
        f"mission={SHIELD}", "cuda=cpu", f"checkpoint={job['checkpoint']}", f"input_dir={job['input-dir']}",
        f"output_dir={job['output-dir']}", "--", "--engine", "scripted", "--quiet",
        MISSION=CABLES, CUDA="x", CHECKPOINT="none", INPUT_DIR="none", OUTPUT_DIR="none",
    )  # fmt: skip
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert written(job["output-dir"]) == {SHIELD: 2}


def test_missing_arguments_come_from_the_environment(job: Options) -> None:
    ran = launch(
        "--", "--engine", "scripted", MISSION=SHIELD, CUDA="cpu", BATCH="2", CHECKPOINT=job["checkpoint"],
        INPUT_DIR=job["input-dir"], OUTPUT_DIR=job["output-dir"],
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert written(job["output-dir"]) == {SHIELD: 2}
    assert run_file(job["output-dir"])["environment"]["batch_size"] == 2


@pytest.mark.parametrize("key", ["mission", "cuda", "checkpoint", "input_dir", "output_dir"])
def test_a_missing_key_is_status_2_and_named(key: str) -> None:
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
def test_an_unknown_argument_is_status_2(argument: str, complaint: str) -> None:
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
def test_cuda_and_batch_become_options(arguments: list[str], flags: str) -> None:
    """Read from the trace of the shell, because test machines have no second GPU."""
    keys = ["mission=a", "checkpoint=demo", "input_dir=in", "output_dir=out"]
    ran = from_checkout("bash", "-x", "scripts/stage_a_infer.sh", *keys, *arguments, "--", "--help")
    assert ran.returncode == 0
    (started,) = [line for line in ran.stderr.splitlines() if line.startswith("+ exec ")]
    assert started.endswith(
        "/src/stage_a/cli.py --checkpoint demo --input-dir in --output-dir out --mission a " + flags + " --help"
    )


def test_a_python_without_the_packages_is_named(tmp_path: Path) -> None:
    """A checkout without `.venv`, and a python3 without site-packages."""
    (tmp_path / "scripts").mkdir()
    copy = shutil.copy(ROOT / "scripts" / "stage_a_infer.sh", tmp_path / "scripts")
    (tmp_path / "src").symlink_to(ROOT / "src")
    (tmp_path / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n', encoding="utf-8")
    (tmp_path / "python3").chmod(0o755)
    keys = ["mission=a", "cuda=cpu", "checkpoint=demo", "input_dir=in", "output_dir=out"]
    ran = from_checkout("bash", copy, *keys, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert ran.returncode == 1
    assert "is not installed for" in ran.stderr
    assert "Run `make install`" in ran.stderr


@pytest.mark.parametrize("way", ["a link", "a link to a link", "CDPATH"])
def test_the_launcher_finds_its_checkout_from_anywhere(job: Options, tmp_path: Path, way: str) -> None:
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


def test_the_four_gpu_loop_starts_four_different_runs(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
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
