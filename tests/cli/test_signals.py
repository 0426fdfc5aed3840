"""Promises of `yanshou.cli.signals`: at any moment of a process, a signal is one line and status 130."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli_runs import Options, arguments, written
from support.lines import SHIELD

from yanshou.cli.signals import SIGNALS, interruptible


@pytest.fixture(autouse=True)
def _hangup_ends_a_process() -> Iterator[None]:
    """As in a terminal, also where the tests themselves run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_to_stop_and_interrupts_nothing(number: signal.Signals) -> None:
    asked: list[str] = []
    with interruptible(lambda: asked.append("stop")):
        os.kill(os.getpid(), number)
        asked.append("the work continues")
    assert asked == ["stop", "the work continues"]


@pytest.mark.parametrize("second", SIGNALS)
@pytest.mark.parametrize("first", SIGNALS)
def test_a_second_signal_ends_the_work_at_once(first: signal.Signals, second: signal.Signals) -> None:
    asked: list[str] = []

    def work() -> None:
        with interruptible(lambda: asked.append("stop")):
            os.kill(os.getpid(), first)
            os.kill(os.getpid(), second)
            asked.append("never reached")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert asked == ["stop"]


STARTED = """
import os, sys
def send(name, number):
    sys.addaudithook(lambda event, args: event == "import" and args[0] == name and os.kill(os.getpid(), number))
"""


def started(tmp_path: Path, program: str, *args: str) -> tuple[int, str, str]:
    """Status, stdout and stderr of a command line whose process does `program` first."""
    (tmp_path / "a.jsonl").touch()
    code = f"{STARTED}{program}\nfrom yanshou.cli.start import main\nmain(sys.argv[1:])"
    ran = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60
    )
    return ran.returncode, ran.stdout, ran.stderr


RULES = ("judge", "--rules", "--output-dir", "out", "a.jsonl")
ENDED = (130, "", "interrupted\n")


@pytest.mark.parametrize(
    ("number", "module"),
    [
        (signal.SIGINT, "yanshou.cli.group"), (signal.SIGINT, "pydantic._internal._fields"), (signal.SIGTERM, "click"),
        (signal.SIGTERM, "yanshou.cli.train"), (signal.SIGHUP, "rich.table"),
    ],
)  # fmt: skip
def test_a_signal_while_modules_are_imported_is_one_line_and_status_130(
    number: signal.Signals, module: str, tmp_path: Path
) -> None:
    assert started(tmp_path, f"send({module!r}, {int(number)})", *RULES) == ENDED


@pytest.mark.parametrize("module", ["torch", "torch._utils"])
def test_a_signal_while_a_checkpoint_and_its_libraries_load_is_one_line(module: str, tmp_path: Path) -> None:
    assert started(tmp_path, f"send({module!r}, {int(signal.SIGTERM)})", "doctor", "--checkpoint", "demo")[0::2] == (
        130, "interrupted\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("yanshou.stage_a.summarize", "prepare"), ("yanshou.pipeline.stage", "locked_run"),
        ("yanshou.storage.run_files.RunFiles", "open"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_again_and_again_never_end_in_a_traceback(
    place: str, name: str, number: signal.Signals, job: Options, tmp_path: Path
) -> None:
    """The first ones arrive while a run is planned; the last one, which nothing needs, in the end of the process."""
    program = f"""
import atexit, pkgutil, signal
place = pkgutil.resolve_name({place!r})
def again(*args, **options):
    for _ in range(3):
        os.kill(os.getpid(), {int(number)})
    raise AssertionError("never reached")
setattr(place, {name!r}, again)
atexit.register(os.kill, os.getpid(), {int(number)})
"""
    assert started(tmp_path, program, "summarize", *arguments(job, "--quiet")) == ENDED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_while_a_run_closes_its_files_is_one_line(
    number: signal.Signals, job: Options, tmp_path: Path
) -> None:
    program = f"""
from yanshou.pipeline.mission_run import MissionRun
from yanshou.storage.run_files import RunFiles
record, finish = MissionRun.record, RunFiles.finish
def stopped(*args):
    os.kill(os.getpid(), {int(number)})
    record(*args)
def interrupted(*args):
    os.kill(os.getpid(), {int(number)})
    finish(*args)
MissionRun.record, RunFiles.finish = stopped, interrupted
"""
    assert started(tmp_path, program, "summarize", *arguments(job, "--quiet")) == ENDED
    assert written(job["output-dir"]) == {SHIELD: 1}


def test_nohup_lets_a_run_outlive_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible(lambda: pytest.fail("stopped")):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_earlier_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with interruptible(lambda: None):
        assert [signal.getsignal(number) for number in SIGNALS] != before
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with pytest.raises(RuntimeError), interruptible(lambda: None):
        raise RuntimeError
    assert [signal.getsignal(number) for number in SIGNALS] == before
