"""Guarantees of Stage-A where something goes wrong: kills, signals, damaged files, full disks."""

import json
import random
import resource
import signal
import time
from pathlib import Path

import pytest
from support.lines import CABLES, SHIELD, Line
from support.processes import unmeasured
from support.stage_a_runs import (
    PhotoTree,
    Script,
    Yanshou,
    answers,
    arguments,
    end,
    expected_lines,
    ids,
    jobs,
    lines,
    lines_file,
    run,
    run_file,
    settings,
    start,
    until,
)

from yanshou.pipeline.mission_result import exit_status
from yanshou.stage_a.summarize import summarize_directory


def test_a_run_killed_at_random_moments_loses_and_repeats_no_group(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    tree, chance, out = jobs(160, 2), random.Random(20), tmp_path / "out"
    root, path = photo_tree(tree), script(answers(tree), delay_s=0.02)
    statuses = []
    for number in range(20):
        before = run_time(out)
        process = start(root, path, out, SHIELD, "--batch-size", "3", "--quiet")
        if number % 4:  # while it writes lines
            until(lambda before=before: run_time(out) != before, process)
            time.sleep(chance.uniform(0, 0.06))
        else:  # while it starts
            time.sleep(chance.uniform(0.2, 0.5))
        process.kill()
        statuses.append(end(process)[0])
        if lines_file(out).exists():  # at any moment: whole lines, each once, in order
            assert whole_lines(out) == expected_lines(root, tree)[: len(whole_lines(out))]
    assert (statuses, 0 < len(whole_lines(out)) < 160) == ([-signal.SIGKILL] * 20, True)
    assert run(root, path, out, batch_size=80).status == 0
    assert lines(out) == expected_lines(root, tree)


def run_time(out: Path) -> int:
    """When the run file was last replaced: the first thing that a run writes."""
    path = out / f"{SHIELD}_stage_a.run.json"
    return path.stat().st_mtime_ns if path.exists() else 0


def whole_lines(out: Path) -> list[Line]:
    """The whole lines, without their timestamps."""
    *whole, _ = lines_file(out).read_bytes().split(b"\n")
    return [{key: value for key, value in json.loads(line).items() if key != "timestamp"} for line in whole]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_after_the_current_batch(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, number: signal.Signals
) -> None:
    tree, out = jobs(40), tmp_path / "out"
    root, path = photo_tree(tree), script(answers(tree), delay_s=0.6)
    process = start(root, path, out, SHIELD, "--batch-size", "4")
    until(lambda: lines_file(out).exists() and len(whole_lines(out)) >= 4, process)
    time.sleep(0.1)  # now the second batch is running
    process.send_signal(number)
    sent = time.monotonic()
    status, err = end(process)
    assert (status, time.monotonic() - sent < 5) == (130, True)
    assert err.splitlines()[-1] == f"{SHIELD}: interrupted. Run the same command again to resume."
    assert lines(out) == expected_lines(root, tree)[:8]
    assert (run_file(out)["status"], run_file(out)["counts"]["written"]) == ("interrupted", 8)
    assert run(root, path, out, batch_size=40).status == 0
    assert lines(out) == expected_lines(root, tree)


def test_a_second_ctrl_c_ends_the_run_at_once(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, path, out = photo_tree(jobs(4)), script(delay_s=30), tmp_path / "out"
    process = start(root, path, out)
    until(lambda: run_time(out) > 0, process)
    time.sleep(0.1)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    status, err = end(process)
    assert (status, "Traceback" in err, ids(out)) == (130, False, [])


def test_an_interrupted_run_leaves_later_missions_for_the_next_run(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    tree, out = {**jobs(40, mission=CABLES), **jobs(2, mission=SHIELD)}, tmp_path / "out"
    root, path = photo_tree(tree), script(delay_s=0.1)
    process = start(root, path, out, "all", "--batch-size", "2")
    until(lambda: lines_file(out, CABLES).exists() and lines_file(out, CABLES).stat().st_size > 0, process)
    process.send_signal(signal.SIGTERM)
    assert end(process)[0] == 130
    assert run_file(out, SHIELD)["status"] == "interrupted"
    results = summarize_directory(settings(root, path, out, "all", batch_size=20))
    assert (exit_status(results), len(ids(out, CABLES)), ids(out, SHIELD)) == (0, 40, ["QC-1", "QC-2"])


def test_an_incomplete_last_line_is_cut_off_and_written_again(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root, path, out = photo_tree(tree := jobs(3)), script(answers(jobs(3))), tmp_path / "out"
    run(root, path, out)
    lines_file(out).write_bytes(lines_file(out).read_bytes()[:-40])
    result = run(root, path, out)
    assert (result.status, result.written, result.skipped) == (0, 1, 2)
    assert lines(out) == expected_lines(root, tree)


def test_a_damaged_middle_line_stops_its_mission_and_no_other(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root, path, out = photo_tree(jobs(3) | jobs(3, mission=CABLES)), script(), tmp_path / "out"
    run(root, path, out)
    first, _, third = lines_file(out).read_text(encoding="utf-8").splitlines(keepends=True)
    lines_file(out).write_text(first + '{"group_id": \n' + third, encoding="utf-8")
    cables, shield = summarize_directory(settings(root, path, out, "all"))
    assert (cables.status, shield.status, exit_status([cables, shield])) == (0, 1, 1)
    assert shield.error.startswith(f"{lines_file(out)}:2: not JSON at character 15")
    assert ids(out, CABLES) == ["QC-1", "QC-2", "QC-3"]


@pytest.mark.parametrize("damage", [b'{"group_id": "%s\n', b'{"group_id": "%s"}\n', b"%s\n"])
def test_a_huge_damaged_line_gets_a_short_message(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, damage: bytes
) -> None:
    root, path, out = photo_tree(jobs(2)), script(), tmp_path / "out"
    run(root, path, out)
    damaged = lines_file(out).read_bytes() + damage % (b"x" * 5_000_000)
    lines_file(out).write_bytes(damaged)
    error = run(root, path, out).error
    assert error.startswith(f"{lines_file(out)}:3: ")
    assert error.endswith("Delete the line and run again: only that group is redone.")
    assert len(error) < 300 + len(str(out))
    assert lines_file(out).read_bytes() == damaged


def test_a_second_run_at_the_same_time_is_refused_and_the_first_continues(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    tree, out = jobs(30), tmp_path / "out"
    root, path = photo_tree(tree), script(answers(tree), delay_s=0.1)
    process = start(root, path, out, SHIELD, "--batch-size", "3")
    until(lambda: lines_file(out).exists(), process)
    second = run(root, path, out)
    assert (second.status, second.written) == (1, 0)
    assert second.error.startswith(f"{lines_file(out)}: another run is writing it.")
    assert end(process)[0] == 0
    assert lines(out) == expected_lines(root, tree)


def test_a_full_disk_stops_the_run_and_leaves_whole_lines(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, yanshou: Yanshou
) -> None:
    tree, out = jobs(30, 3), tmp_path / "out"
    root, path = photo_tree(tree), script(answers(tree))

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    ran = yanshou(*arguments(root, path, out), preexec_fn=small_disk, env=unmeasured())
    assert (ran.returncode, "Traceback" in ran.stderr) == (1, False)
    assert f"error: {lines_file(out)}: cannot be written: File too large" in ran.stderr
    assert lines_file(out).read_bytes().endswith(b"\n")
    assert 0 < len(lines(out)) < 30
    assert run(root, path, out).status == 0
    assert lines(out) == expected_lines(root, tree)
