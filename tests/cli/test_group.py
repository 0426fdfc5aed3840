"""Promises of the command group: quick imports, modules under their own names, locales, empty folder names."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cli_runs import Options, arguments, run, written
from support.lines import SHIELD
from support.processes import unmeasured

from yanshou.cli import main

Yanshou = Callable[..., "subprocess.CompletedProcess[str]"]


def test_nothing_heavy_is_imported_before_a_model_is_needed(job: Options) -> None:
    program = f"""
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
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=False, env=unmeasured()
    )
    assert ran.stderr.splitlines() == ["[] True", "[] False", "[]"]


def in_locale_c(utf8: str) -> dict[str, str]:
    """The environment of a machine without a UTF-8 locale; `utf8` is the value of PYTHONUTF8."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    return others | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": utf8}


@pytest.mark.parametrize("command", ["summarize", "score", "synth", "doctor", "demo"])
def test_a_locale_other_than_utf8_is_refused_with_the_cure(
    job: Options, yanshou: Yanshou, tmp_path: Path, command: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    options = arguments(job) if command == "summarize" else []
    ran = yanshou(command, *options, env=in_locale_c(utf8="0"), cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "error: this locale reads file names as ascii, not UTF-8. Run again with PYTHONUTF8=1.\n"
    assert sorted(tmp_path.rglob("*")) == before


def test_the_cure_for_such_a_locale_works(job: Options, yanshou: Yanshou) -> None:
    ran = yanshou("summarize", *arguments(job, "--quiet"), env=in_locale_c(utf8="1"))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert written(job["output-dir"]) == {SHIELD: 2}


def test_python_m_yanshou_is_yanshou() -> None:
    ran = subprocess.run([sys.executable, "-m", "yanshou", "--help"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("Usage: yanshou ")


@pytest.mark.parametrize("command", [["synth", "--groups", "1"], ["demo"]])
def test_an_empty_output_folder_name_never_means_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*command, "--output-dir", "")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "Invalid value for '--output-dir': the name is empty." in ran.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(main.commands))
def test_a_command_does_not_hide_the_module_of_its_name(name: str) -> None:
    import importlib

    import yanshou.cli as package

    file = name.replace("-", "_")
    module = importlib.import_module(f"yanshou.cli.{file}")
    assert getattr(package, file) is module
    assert getattr(module, file) is main.commands[name]
