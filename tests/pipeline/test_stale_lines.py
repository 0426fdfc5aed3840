"""Guarantees of `yanshou.pipeline.stale_lines`: what `--prune` moves, what it refuses, and what it never touches."""

import json
import shutil
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.lines import SHIELD
from support.stage_a_runs import (
    PASS,
    PhotoTree,
    Script,
    arguments,
    end,
    faults,
    ids,
    jobs,
    lines_file,
    run,
    run_file,
    start,
    until,
)

from yanshou.cli import main
from yanshou.cli.reporter import file_summary
from yanshou.pipeline.mission_result import MissionResult
from yanshou.storage.jsonl import read_lines


def removed(out: Path) -> list[str]:
    path = out / f"{SHIELD}_stage_a.removed.jsonl"
    return [line["group_id"] for _, line in read_lines(path)] if path.exists() else []


@pytest.fixture
def stale_job(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> tuple[Path, Path, Path]:
    """Input, script and output of a run over six groups, of which QC-2 and QC-5 were deleted since."""
    root, path, out = photo_tree(jobs(6)), script(), tmp_path / "out"
    run(root, path, out)
    delete(root, 2, 5)
    return root, path, out


def delete(root: Path, *numbers: int) -> None:
    for number in numbers:
        shutil.rmtree(root / SHIELD / PASS / f"QC-{number}")


def test_prune_moves_stale_lines_and_the_status_is_0(stale_job: tuple[Path, Path, Path]) -> None:
    out = stale_job[2]
    result = run(*stale_job, prune=True)
    assert (result.status, result.stale, result.pruned, result.late_warnings) == (0, 0, 2, [])
    assert (ids(out), removed(out)) == (["QC-1", "QC-3", "QC-4", "QC-6"], ["QC-2", "QC-5"])
    assert {"stale": 0, "pruned": 2}.items() <= run_file(out)["counts"].items()
    moved = f"stale lines moved to {out}/{SHIELD}_stage_a.removed.jsonl: 2"
    assert file_summary([result]) == [f"4 of 4 groups are in {lines_file(out)}; {moved}"]
    again = run(*stale_job, prune=True)
    assert (again.status, again.pruned, removed(out)) == (0, 0, ["QC-2", "QC-5"])


def test_a_pruned_group_that_comes_back_is_done_again_and_may_be_pruned_again(
    stale_job: tuple[Path, Path, Path], photo_tree: PhotoTree
) -> None:
    root, _, out = stale_job
    run(*stale_job, prune=True)
    photo_tree({f"{SHIELD}/{PASS}/QC-2": 2})
    assert (run(*stale_job).written, ids(out)) == (1, ["QC-1", "QC-3", "QC-4", "QC-6", "QC-2"])
    delete(root, 2, 3)
    assert run(*stale_job, prune=True).pruned == 2
    assert (ids(out), removed(out)) == (["QC-1", "QC-4", "QC-6"], ["QC-2", "QC-5", "QC-3", "QC-2"])


def test_more_than_half_of_a_file_is_moved_only_on_explicit_demand(stale_job: tuple[Path, Path, Path]) -> None:
    root, _, out = stale_job
    delete(root, 1)
    assert run(*stale_job, limit=1).status == 0  # a limited run in between changes nothing
    delete(root, 3)
    before = lines_file(out).read_bytes()
    for prune in (False, True):  # --prune is no advice where it would move nothing
        result = run(*stale_job, prune=prune)
        assert (result.status, result.stale, result.pruned) == (3, 4, 0)
        assert result.late_warnings[0].endswith(
            " --prune moves at most half of a file's lines, and these are 4 of 6: is a disk or a folder missing? Put "
            "it back, or use --prune-all."
        )
    assert (lines_file(out).read_bytes(), removed(out)) == (before, [])
    result = run(*stale_job, prune_all=True)
    assert (result.status, result.pruned, ids(out)) == (0, 4, ["QC-4", "QC-6"])


def test_half_of_a_file_is_moved(stale_job: tuple[Path, Path, Path]) -> None:
    delete(stale_job[0], 1)
    assert (run(*stale_job, prune=True).pruned, ids(stale_job[2])) == (3, ["QC-3", "QC-4", "QC-6"])


def test_failing_groups_keep_their_status_and_their_faults(
    stale_job: tuple[Path, Path, Path], photo_tree: PhotoTree
) -> None:
    root, _, out = stale_job
    photo_tree({f"{SHIELD}/{PASS}/QC-9": 1})
    (root / SHIELD / PASS / "QC-9" / "1.jpg").write_bytes(b"")
    result = run(*stale_job, prune=True)
    assert (result.status, result.failed, result.stale, result.pruned) == (3, 1, 0, 2)
    assert [group for group, *_ in faults(out)] == ["QC-9"]


def test_photos_that_changed_are_an_error_and_no_stale_line(stale_job: tuple[Path, Path, Path]) -> None:
    root, _, out = stale_job
    (root / SHIELD / PASS / "QC-1" / "1.jpg").rename(root / SHIELD / PASS / "QC-1" / "3.jpg")
    result = run(*stale_job, prune=True)
    assert (result.failed, result.stale, result.pruned) == (1, 0, 2)
    assert "QC-1" in ids(out)
    assert faults(out)[0][2].endswith("its line was written from 1.jpg; now there are 3.jpg")


def test_an_interrupted_run_moves_nothing_and_its_resume_does(
    stale_job: tuple[Path, Path, Path], photo_tree: PhotoTree, script: Script
) -> None:
    root, _, out = stale_job
    photo_tree({f"{SHIELD}/{PASS}/QC-{number}": 1 for number in range(10, 40)})
    path = script(delay_s=0.05)
    shutil.rmtree(out)
    photo_tree({f"{SHIELD}/{PASS}/QC-{number}": 1 for number in (2, 5)})
    run(root, path, out, limit=6)
    delete(root, 2, 5)
    process = start(root, path, out, SHIELD, "--batch-size", "2", "--prune")
    until(lambda: len(lines_file(out).read_bytes().splitlines()) > 8, process)
    process.send_signal(signal.SIGINT)
    assert end(process)[0] == 130
    assert (removed(out), "stale" in run_file(out)["counts"]) == ([], False)
    assert run(root, path, out, prune=True).pruned == 2
    assert (removed(out), len(ids(out))) == (["QC-2", "QC-5"], 34)


def test_the_command_line_names_stale_lines_even_when_quiet(stale_job: tuple[Path, Path, Path]) -> None:
    out = stale_job[2]
    ran = CliRunner().invoke(main, arguments(*stale_job, SHIELD, "--quiet"))
    assert (ran.exit_code, ran.stdout) == (3, "")
    assert ran.stderr == (
        f"warning: {lines_file(out)}: 2 lines are stale: the input no longer holds QC-2 (pass); QC-5 (pass). Put the "
        f"groups back, or move the lines to {SHIELD}_stage_a.removed.jsonl with --prune.\n"
    )
    table = CliRunner().invoke(main, arguments(*stale_job)).stderr.splitlines()
    assert [table[0].split()[-1], table[1].split()[-1]] == ["stale", "2"]
    (row,) = json.loads(CliRunner().invoke(main, arguments(*stale_job, SHIELD, "--json")).stdout)
    assert (row["status"], row["stale"], row["elsewhere"], row["pruned"]) == (3, 2, 0, 0)
    ran = CliRunner().invoke(main, arguments(*stale_job, SHIELD, "--json", "--prune"))
    (row,) = json.loads(ran.stdout)
    assert (ran.exit_code, row["stale"], row["pruned"]) == (0, 0, 2)
    assert row["removed"] == str(out / f"{SHIELD}_stage_a.removed.jsonl")


@pytest.mark.parametrize("option", ["--prune", "--prune-all"])
def test_prune_with_a_limit_is_wrong_usage(stale_job: tuple[Path, Path, Path], option: str) -> None:
    before = {path: path.read_bytes() for path in stale_job[2].iterdir()}
    ran = CliRunner().invoke(main, arguments(*stale_job, SHIELD, option, "--limit", "3"))
    assert ran.exit_code == 2
    assert "--prune needs all groups of the input, and --limit leaves some out" in ran.stderr
    assert {path: path.read_bytes() for path in stale_job[2].iterdir()} == before


def test_stale_lines_decide_the_status_behind_errors_only() -> None:
    assert [result.status for result in (
        MissionResult("a", stale=0, elsewhere=5), MissionResult("a", stale=1), MissionResult("a", stale=1, error="no"),
    )] == [0, 3, 1]  # fmt: skip
