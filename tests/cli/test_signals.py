"""Promises of `yanshou.cli.signals`: the first signal asks the run to stop, the second ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from yanshou.cli.signals import SIGNALS, interruptible


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_to_stop_and_interrupts_nothing(number: signal.Signals) -> None:
    asked: list[str] = []
    with interruptible(lambda: asked.append("stop")):
        os.kill(os.getpid(), number)
        asked.append("the work continues")
    assert asked == ["stop", "the work continues"]


@pytest.mark.parametrize("first", SIGNALS)
def test_a_second_ctrl_c_ends_the_work_at_once(first: signal.Signals) -> None:
    asked: list[str] = []

    def work() -> None:
        with interruptible(lambda: asked.append("stop")):
            os.kill(os.getpid(), first)
            os.kill(os.getpid(), signal.SIGINT)
            asked.append("never reached")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert asked == ["stop"]


@pytest.mark.parametrize("first", SIGNALS)
def test_a_second_sigterm_ends_the_process(first: signal.Signals) -> None:
    program = (
        "import os, signal\nfrom yanshou.cli.signals import interruptible\n"
        "with interruptible(lambda: print('stop', flush=True)):\n"
        f"    os.kill(os.getpid(), {int(first)})\n    os.kill(os.getpid(), signal.SIGTERM)\n    print('never')"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (-signal.SIGTERM, "stop\n", "")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_the_run_starts_is_status_130(number: signal.Signals, tmp_path: Path) -> None:
    """Between the start of a command and its first batch ten seconds may pass."""
    (tmp_path / "a.jsonl").touch()
    program = (
        "import os, yanshou.stage_b.judge as judge\nfrom yanshou.cli import main\n"
        f"judge.prepare = lambda settings, listener: os.kill(os.getpid(), {int(number)})\n"
        "main(['judge', '--rules', '--output-dir', 'out', 'a.jsonl'])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "interrupted\n")


def test_earlier_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with interruptible(lambda: None):
        assert [signal.getsignal(number) for number in SIGNALS] != before
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with pytest.raises(RuntimeError), interruptible(lambda: None):
        raise RuntimeError
    assert [signal.getsignal(number) for number in SIGNALS] == before
