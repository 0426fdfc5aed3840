"""Guarantees of `yanshou.storage.run_files`: the files on disk, whatever happens to a run."""

import random
import resource
import time
from pathlib import Path

import pytest
from support.processes import FORK, in_child
from support.storage_runs import (
    ENVIRONMENT,
    SETTINGS,
    STEM,
    failing,
    fault,
    lines,
    open_run,
    record,
    run_file,
    snapshot,
    write_groups,
    written,
)

from yanshou.errors import LockedError, OutputError

# --- what a run leaves, and how the next one continues


def test_a_run_writes_lines_and_the_settings_that_made_them(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    with open_run(folder) as files:
        files.append(record(1))
        assert lines(folder) == written(1)
        assert run_file(folder)["status"] == "running"
        files.finish("finished", {"written": 1})
    run = run_file(folder)
    assert {key: run[key] for key in ("format", "status", "counts", "runs", "settings", "environment")} == {
        "format": 1,
        "status": "finished",
        "counts": {"written": 1},
        "runs": 1,
        "settings": SETTINGS,
        "environment": ENVIRONMENT,
    }
    assert list(run)[:3] == ["format", "yanshou", "status"]
    assert sorted(snapshot(folder)) == sorted(
        [f".{STEM}.lock", f"{STEM}.errors.jsonl", f"{STEM}.jsonl", f"{STEM}.run.json"]
    )


def test_a_resume_knows_what_is_done_and_adds_the_rest(tmp_path: Path) -> None:
    write_groups(tmp_path, 1, 2)
    with open_run(tmp_path) as files:
        assert files.lines.done == {record(1).key: "1.jpg", record(2).key: "2.jpg"}
        files.append(record(3))
        assert files.lines.done[record(3).key] == "3.jpg"
    assert lines(tmp_path) == written(1, 2, 3)
    assert run_file(tmp_path)["runs"] == 2
    assert run_file(tmp_path)["status"] == "running"  # without `finish`, as after a kill


def test_a_full_disk_is_an_error_and_the_next_run_continues(tmp_path: Path) -> None:
    write_groups(tmp_path, 1)
    limit = len(written(1, 2)) + 20

    def fill() -> str:
        with open_run(tmp_path) as files:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            files.append(record(2))
            try:
                files.append(record(3))
            except OutputError as error:
                assert record(3).key not in files.lines.done
                return str(error)
        return "no error"

    assert "cannot be written: File too large" in in_child(fill)
    assert lines(tmp_path) == written(1, 2)
    write_groups(tmp_path, 3)
    assert lines(tmp_path) == written(1, 2, 3)


def test_fresh_moves_the_old_files_aside_and_never_over_older_ones(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_groups(tmp_path, number, fresh=True, settings=SETTINGS | {"checkpoint": f"{number}"})
    with open_run(tmp_path, fresh=True) as files:
        assert files.lines.done == {}
    old = [path.read_bytes() for path in tmp_path.glob(f"{STEM}.jsonl.*.old")]
    assert sorted(old) == [written(1), written(2), written(3)]
    for kind in ("jsonl", "errors.jsonl", "run.json"):
        assert len(list(tmp_path.glob(f"{STEM}.{kind}.*.old"))) == 3


# --- two runs, and runs that are killed


def test_a_second_run_on_the_same_file_is_refused_and_other_missions_are_not_disturbed(tmp_path: Path) -> None:
    other = "BBU接地线检查_stage_a"

    def second() -> str:
        write_groups(tmp_path, 7, stem=other)
        try:
            write_groups(tmp_path, 8, fresh=True)
        except LockedError as error:
            return str(error)
        return "no error"

    with open_run(tmp_path) as files:
        files.append(record(1))
        assert in_child(second) == (
            f"{tmp_path}/{STEM}.jsonl: another run is writing it. Wait until that ends, or choose another --output-dir."
        )
        with pytest.raises(LockedError), open_run(tmp_path):
            pass
        files.append(record(2))
    assert lines(tmp_path) == written(1, 2)
    assert (tmp_path / f"{other}.jsonl").read_bytes() == written(7)


def test_the_lock_is_free_again_after_a_run_that_ended_in_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_run(tmp_path):
        raise ZeroDivisionError
    write_groups(tmp_path, 1)
    assert lines(tmp_path) == written(1)


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written: "), open_run(tmp_path / "file"):
        pass


GROUPS = range(120)


def run_all(folder: Path) -> None:
    """A run over all groups; every tenth fails."""
    with open_run(folder) as files:
        for number in GROUPS:
            if record(number).key in files.lines.done:
                continue
            time.sleep(0.002)
            if number % 10 == 0:
                files.fail([fault(number, "a"), fault(number, "b")])
            else:
                files.append(record(number))
        files.finish("finished", {"written": len(files.lines.done)})


def test_a_run_killed_at_twenty_moments_ends_like_one_left_alone(tmp_path: Path) -> None:
    chance = random.Random(0)
    kills = 0
    for _ in range(20):
        child = FORK.Process(target=run_all, args=(tmp_path / "killed",))
        child.start()
        time.sleep(chance.uniform(0.005, 0.06))
        child.kill()
        child.join()
        kills += child.exitcode == -9
    run_all(tmp_path / "killed")
    run_all(tmp_path / "alone")
    assert kills >= 5
    assert lines(tmp_path / "killed") == lines(tmp_path / "alone") == written(*(n for n in GROUPS if n % 10))
    assert failing(tmp_path / "killed") == failing(tmp_path / "alone")
    assert run_file(tmp_path / "killed")["counts"] == {"written": 108}
    assert set(snapshot(tmp_path / "killed")) - set(snapshot(tmp_path / "alone")) <= {
        f".{STEM}.run.json.tmp",
        f".{STEM}.errors.jsonl.tmp",
    }
