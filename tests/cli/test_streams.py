"""Promises about stdout and stderr: a stream that cannot be written causes no traceback and loses no line."""

import json
import os
import subprocess
import sys

import pytest
from support.cli_runs import SHIELD, Options, arguments, written

NO_SPACE = (
    "Error: standard output cannot be written: No space left on device. Make room and run again; the files are kept."
)


def shell(line: str, *args: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs a line of bash in which "$@" is `yanshou <args>`."""
    command = ["bash", "-c", line, "yanshou", sys.executable, "-m", "yanshou.cli", *args]
    return subprocess.run(
        command, check=False, capture_output=True, encoding="utf-8", timeout=60, env=os.environ | environment
    )


def summarize(job: Options, line: str, *more: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return shell(line, "summarize", *arguments(job, *more), **environment)


def lines(job: Options) -> int:
    return written(job["output-dir"])[SHIELD]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", [["--help"], ["--version"], ["judge", "--help"]])
def test_a_full_disk_behind_stdout_is_an_error(command: list[str], unbuffered: str) -> None:
    ran = shell('"$@" > /dev/full', *command, PYTHONUNBUFFERED=unbuffered)
    assert (ran.returncode, ran.stderr.splitlines()) == (1, [NO_SPACE])


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_result_that_cannot_be_printed_is_in_its_files(job: Options, unbuffered: str) -> None:
    ran = summarize(job, '"$@" > /dev/full', "--json", PYTHONUNBUFFERED=unbuffered)
    assert (ran.returncode, ran.stderr.splitlines(), lines(job)) == (1, [NO_SPACE], 2)


@pytest.mark.parametrize("redirection", ["2> /dev/full", "2>&-", "2> >(true)"])
def test_a_run_continues_without_a_stderr(job: Options, redirection: str) -> None:
    ran = summarize(job, f'"$@" {redirection}')
    assert (ran.returncode, ran.stdout, ran.stderr, lines(job)) == (0, "", "", 2)


def test_head_gets_the_first_line_and_the_run_finishes(job: Options) -> None:
    ran = summarize(job, '"$@" | head -1', "--json")
    assert (ran.stdout, ran.stderr, lines(job)) == ("[\n", "", 2)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_chinese_gets_escapes(job: Options, encoding: str) -> None:
    ran = summarize(job, '"$@"', PYTHONIOENCODING=encoding)
    assert (ran.returncode, ran.stdout, r"\u6321\u98ce\u677f" in ran.stderr) == (0, "", True)
    ran = summarize(job, '"$@"', "--json", PYTHONIOENCODING=encoding)
    assert (ran.returncode, ran.stderr, json.loads(ran.stdout)[0]["mission"]) == (0, "", SHIELD)


def test_closed_streams_change_no_status(job: Options) -> None:
    ran = summarize(job, '"$@" >&- 2>&-', "--json")
    assert (ran.returncode, lines(job)) == (0, 2)
    assert json.loads(summarize(job, '"$@" 2>&-', "--json").stdout)[0]["skipped"] == 2
