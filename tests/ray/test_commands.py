"""`yanshou summarize` and `yanshou judge` with workers: the files of a run without them, and the same ends."""

import json
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import gethostname

import pytest
from click.testing import CliRunner
from support.lines import SHIELD
from support.stage_a_runs import PhotoTree, Script, answers, jobs, run_file
from support.worker_runs import WorkerRun, lines

from yanshou.cli import main
from yanshou.missions import load_missions
from yanshou.world.synth import synthesize

pytestmark = pytest.mark.ray

LINES, VERDICTS = f"{SHIELD}_stage_a.jsonl", f"{SHIELD}_verdicts.jsonl"
ERRORS = f"{SHIELD}_stage_a.errors.jsonl"

Start = Callable[..., WorkerRun]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a command that writes to `out`; whatever is left of it ends with the test."""
    tmp, runs = Path(tempfile.mkdtemp(prefix="c", dir="/tmp")), list[WorkerRun]()

    def begin(out: Path, *arguments: object) -> WorkerRun:
        command, *rest = map(str, arguments)
        runs.append(WorkerRun([command, "--output-dir", str(out), "--device", "cpu", *rest], out, tmp))
        return runs[-1]

    yield begin
    for run in runs:
        run.end()
    shutil.rmtree(tmp, ignore_errors=True)


def until_lines(run: WorkerRun) -> None:
    while (run.running and not (run.out / LINES).exists()) or not lines(run.out / LINES):
        assert run.running, run.tail()
        time.sleep(0.02)


def test_lines_and_verdicts_of_two_workers_are_those_of_none(start: Start, tmp_path: Path) -> None:
    missions = [mission for mission in load_missions() if mission.name == SHIELD]
    synthesize(tmp_path / "in", 2, seed=3, missions=missions, workers=1)
    damaged = min((tmp_path / "in").rglob("*.jpeg"))
    damaged.write_bytes(damaged.read_bytes()[:300])
    engine = ("--checkpoint", "demo", "--engine", "continuous")
    for out, more in ((tmp_path / "none", ()), (tmp_path / "two", ("--workers", 2))):
        read = start(out, "summarize", "--input-dir", tmp_path / "in", "--mission", SHIELD, *engine, *more)
        assert read.wait() == 3, read.tail()
        judged = start(out, "judge", *engine, *more, out / LINES)
        assert judged.wait() == 0, judged.tail()
    for name in (LINES, ERRORS, VERDICTS):
        assert lines(tmp_path / "two" / name) == lines(tmp_path / "none" / name) != []
    alone, many = (run_file(tmp_path / out)["environment"] for out in ("none", "two"))
    assert many == {**alone, "workers": 2, "ray": many["ray"], "hosts": 1}


@pytest.mark.parametrize(("before", "after"), [(2, 0), (0, 1)])
def test_an_interrupted_run_resumes_with_another_number_of_workers(
    start: Start, photo_tree: PhotoTree, script: Script, tmp_path: Path, before: int, after: int
) -> None:
    tree, out, whole = jobs(30), tmp_path / "out", tmp_path / "whole"
    common = (
        *("summarize", "--input-dir", photo_tree(tree), "--mission", SHIELD, "--engine", "scripted"),
        *("--checkpoint", script(answers(tree), delay_s=0.2), "--batch-size", 2),
    )
    workers = [("--workers", number) if number else () for number in (before, after)]
    run = start(out, *common, *workers[0])
    until_lines(run)
    run.driver.send_signal(signal.SIGINT)
    assert run.wait() == 130, run.tail()
    assert "Run the same command again to resume" in run.tail()
    assert 0 < len(lines(out / LINES)) < 30
    resumed = start(out, *common, *workers[1])
    assert resumed.wait() == 0, resumed.tail()
    assert start(whole, *common).wait() == 0
    assert lines(out / LINES) == lines(whole / LINES)
    assert "this run differs" not in resumed.tail()  # the lines do not depend on who answers
    resumed.gone_after()


def test_a_second_signal_ends_a_run_at_once(
    start: Start, photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    slow = script(answers(jobs(40)), delay_s=3)
    run = start(
        tmp_path / "out", "summarize", "--input-dir", photo_tree(jobs(40)), "--mission", SHIELD, "--engine", "scripted",
        "--checkpoint", slow, "--batch-size", 4, "--workers", 2,
    )  # fmt: skip
    until_lines(run)
    run.driver.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    run.driver.send_signal(signal.SIGTERM)
    assert run.wait() == 130
    assert run.tail().endswith("interrupted\n")
    assert run_file(tmp_path / "out")["status"] == "stopped"
    run.gone_after()


def test_an_error_of_a_worker_is_that_of_a_run_without_workers_and_names_its_host(start: Start, tmp_path: Path) -> None:
    (tmp_path / "in" / SHIELD / "QC-1").mkdir(parents=True)
    (tmp_path / "in" / SHIELD / "QC-1" / "1.jpg").write_bytes(b"")
    (tmp_path / "script.json").write_text(json.dumps({"answers": 1}), encoding="utf-8")
    given = ("--layout", "flat", "--engine", "scripted", "--checkpoint", tmp_path / "script.json")
    tails = []
    for more in ((), ("--workers", 1)):
        run = start(tmp_path / "out", "summarize", "--input-dir", tmp_path / "in", "--mission", SHIELD, *given, *more)
        assert run.wait() == 1
        tails.append(run.tail().splitlines()[-1])
    assert tails[0].startswith("error: ")
    assert tails[1] == tails[0].replace("error: ", f"error: the worker on {gethostname()}: ", 1)


def test_all_is_for_gpus(tmp_path: Path) -> None:
    (tmp_path / "in" / SHIELD / "QC-1").mkdir(parents=True)
    arguments = ["summarize", "--input-dir", tmp_path / "in", "--output-dir", tmp_path / "out", "--mission", SHIELD]
    more = ["--layout", "flat", "--checkpoint", "demo", "--device", "cpu", "--workers", "all"]
    result = CliRunner().invoke(main, list(map(str, [*arguments, *more])))
    assert (result.exit_code, "--workers all is one worker for every GPU" in result.stderr) == (2, True)
