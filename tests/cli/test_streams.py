"""Promises about stdout and stderr: a stream that cannot be written causes no traceback and loses no line."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PhotoTree = Callable[..., Path]
Script = Callable[..., Path]
SHIELD = "挡风板安装检查"
NO_SPACE = (
    "Error: standard output cannot be written: No space left on device. Make room and run again; the files are kept."
)


def shell(words: str, *arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs a line of bash in which "$@" is `yanshou <arguments>`."""
    command = ["bash", "-c", words, "yanshou", sys.executable, "-m", "yanshou.cli", *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, encoding="utf-8", timeout=60, env=os.environ | environment
    )


@pytest.fixture
def job(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> list[str | Path]:
    root = photo_tree({f"{SHIELD}/审核不通过/QC-1": 2, f"{SHIELD}/审核通过/QC-2": 1})
    options = {"engine": "scripted", "checkpoint": script(), "input-dir": root, "output-dir": tmp_path / "out"}
    return [
        "summarize",
        "--mission",
        "all",
        *(word for name, value in options.items() for word in (f"--{name}", value)),
    ]


def lines(tmp_path: Path) -> int:
    return len((tmp_path / "out" / f"{SHIELD}_stage_a.jsonl").read_text("utf-8").splitlines())


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["judge", "--help"]])
def test_a_full_disk_behind_stdout_is_an_error(arguments: list[str], unbuffered: str) -> None:
    ran = shell('"$@" > /dev/full', *arguments, PYTHONUNBUFFERED=unbuffered)
    assert (ran.returncode, ran.stderr.splitlines()) == (1, [NO_SPACE])


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_result_that_cannot_be_printed_is_in_its_files(
    job: list[str | Path], tmp_path: Path, unbuffered: str
) -> None:
    ran = shell('"$@" > /dev/full', *job, "--json", PYTHONUNBUFFERED=unbuffered)
    assert (ran.returncode, ran.stderr.splitlines()) == (1, [NO_SPACE])
    assert lines(tmp_path) == 2


@pytest.mark.parametrize("redirection", ["2> /dev/full", "2>&-", "2> >(true)"])
def test_a_run_continues_without_a_stderr(job: list[str | Path], tmp_path: Path, redirection: str) -> None:
    ran = shell(f'"$@" {redirection}', *job)
    assert (ran.returncode, ran.stdout, ran.stderr, lines(tmp_path)) == (0, "", "", 2)


def test_head_gets_the_first_line_and_the_run_finishes(job: list[str | Path], tmp_path: Path) -> None:
    ran = shell('"$@" | head -1; echo "${PIPESTATUS[@]}"', *job, "--json")
    assert (ran.stdout.splitlines()[0], ran.stderr, lines(tmp_path)) == ("[", "", 2)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_chinese_gets_escapes(job: list[str | Path], encoding: str) -> None:
    ran = shell('"$@"', *job, PYTHONIOENCODING=encoding)
    assert (ran.returncode, ran.stdout, r"\u6321\u98ce\u677f" in ran.stderr) == (0, "", True)
    ran = shell('"$@"', *job, "--json", PYTHONIOENCODING=encoding)
    assert (ran.returncode, ran.stderr, json.loads(ran.stdout)[0]["mission"]) == (0, "", SHIELD)


def test_closed_streams_change_no_status(job: list[str | Path], tmp_path: Path) -> None:
    ran = shell('"$@" >&- 2>&-', *job, "--json")
    assert (ran.returncode, lines(tmp_path)) == (0, 2)
    assert json.loads(shell('"$@" 2>&-', *job, "--json").stdout)[0]["skipped"] == 2
