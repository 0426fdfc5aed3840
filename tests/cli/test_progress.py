"""Promises of `yanshou.cli.progress`: how far work is, on a terminal and in a log, and who shows it."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from support.cli_runs import run
from support.judged_files import write_judged
from support.lines import GROUNDING, SHIELD, stage_a_line, verdict

from yanshou.cli import progress
from yanshou.cli.progress import ProgressMeter


def console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, highlight=False, soft_wrap=True)


def text(console: Console) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log gets a line at each update."""
    monkeypatch.setattr(progress, "EVERY_S", 0.0)


@pytest.mark.usefixtures("at_once")
def test_a_line_of_a_log_says_how_much_is_done_and_how_long_the_rest_takes() -> None:
    meter = ProgressMeter("[red]", "groups", console(terminal=False))
    meter.start(total=4)
    for done in (0, 2, 4):
        meter.update(done, 4, ["9 photos"])
    meter.stop()
    assert text(meter.console).splitlines() == [
        "[red]: 0 of 4 groups, 9 photos, ? left",
        "[red]: 2 of 4 groups, 9 photos, 0 s left",
        "[red]: 4 of 4 groups, 9 photos, 0 s left",
    ]


def test_what_an_earlier_run_did_does_not_count_as_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    meter = ProgressMeter("a", "groups", console(terminal=False))
    meter.start(total=100)
    clock[0] = 60.0
    meter.update(60, 100, skipped=50)
    clock[0] = 61.0  # less than EVERY_S later: no line
    meter.update(61, 100, skipped=50)
    assert text(meter.console) == "a: 60 of 100 groups, 4 min left\n"


def test_a_terminal_gets_a_bar_with_the_last_state() -> None:
    meter = ProgressMeter("training", "steps", console(terminal=True))
    meter.start(details=["the trainer is starting"])
    meter.update(3, 9, ["loss 0.5"])
    meter.stop()
    meter.stop()
    assert re.match(r"training [━╺╸]+ 3/9 steps · loss 0.5", text(meter.console).splitlines()[-1])


@pytest.mark.usefixtures("at_once")
def test_synth_shows_its_progress_unless_it_is_quiet(tmp_path: Path) -> None:
    drawing = ["synth", "--groups", "2", "--mission", SHIELD, "--output-dir"]
    ran = run(*drawing, str(tmp_path / "a"))
    assert ran.stderr.splitlines()[-1] == "drawing: 2 of 2 groups, 0 s left"
    assert ran.stdout == f"2 groups and their truth: {tmp_path / 'a' / 'truth.jsonl'}\n"
    quiet = run(*drawing, str(tmp_path / "b"), "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(("option", "shown"), [([], True), (["--quiet"], False), (["--json"], False)])
def test_evaluate_shows_the_progress_of_its_thumbnails(tmp_path: Path, option: list[str], shown: bool) -> None:
    verdicts = write_judged(tmp_path, [verdict("QC-1")], [stage_a_line("QC-1", "pass")])
    ran = run("evaluate", "--output-dir", str(tmp_path / "report"), str(verdicts), *option)
    assert ran.exit_code == 0, ran.stderr
    assert ("thumbnails: 1 of 1 photos, 0 s left" in ran.stderr) == shown
    assert (GROUNDING in ran.stdout) == (option != ["--quiet"])
