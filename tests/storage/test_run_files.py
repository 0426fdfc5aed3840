"""Guarantees of `yanshou.storage.run_files`: the files on disk, whatever happens to a run."""

import errno
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

from yanshou.errors import DamagedFileError, LockedError, OutputError, ResumeError
from yanshou.storage.jsonl import dump_line

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
        assert list(files.lines.done) == [record(1).key, record(2).key]
        assert [files.lines.freshness(key) for key in files.lines.done] == ["1.jpg", "2.jpg"]
        files.append(record(3))
        assert files.lines.fits(record(3).key, "3.jpg")
        assert not files.lines.fits(record(3).key, "4.jpg")
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


# --- a run that is refused changes nothing


ARRAY = b"[" + b", ".join(written(number)[:-1] for number in (1, 2, 3)) + b"]"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (f"{STEM}.jsonl", ARRAY),
        (f"{STEM}.jsonl", written(1, 2, 3).replace(b"\n", b"\r")),
        (f"{STEM}.jsonl", written(1) + b"[]\n" + written(2)[:50]),  # a torn line behind a damaged one
        (f"{STEM}.jsonl", written(1, 1) + written(2)[:50]),
        (f"{STEM}.jsonl", written(1) + b"what is this"),
        (f"{STEM}.errors.jsonl", b"{}\n"),
        (f"{STEM}.errors.jsonl", dump_line(fault(4)) + b"what is this"),
        (f"{STEM}.run.json", b"{}"),
    ],
)
@pytest.mark.parametrize("link", [None, "symlink_to", "hardlink_to"])
def test_a_refused_run_leaves_every_file_as_it_was(tmp_path: Path, name: str, data: bytes, link: str | None) -> None:
    write_groups(tmp_path, 1, 2)
    (tmp_path / f"{STEM}.jsonl").write_bytes(written(1, 2) + written(3)[:40])  # what would be cut
    (tmp_path / f"{STEM}.errors.jsonl").write_bytes(dump_line(fault(5))[:40])
    (tmp_path / name).write_bytes(data)
    if link:
        (tmp_path / name).rename(tmp_path / "linked")
        getattr(tmp_path / name, link)(tmp_path / "linked")
    before = snapshot(tmp_path)
    for settings in (SETTINGS, SETTINGS | {"checkpoint": "other"}):
        with pytest.raises((DamagedFileError, ResumeError)), open_run(tmp_path, settings=settings):
            pass
        assert snapshot(tmp_path) == before
        assert (tmp_path / name).is_symlink() == (link == "symlink_to")


def test_the_end_of_the_lines_is_not_repaired_in_a_folder_that_takes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines and lock may be writable in a folder that is not."""
    write_groups(tmp_path, 1)
    (tmp_path / f"{STEM}.jsonl").write_bytes(written(1) + written(2)[:40])
    before = snapshot(tmp_path)

    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("yanshou.storage.atomic.TemporaryFile", refuse)  # the tests may run as root
    with pytest.raises(OutputError, match=f"^{tmp_path}: cannot be written: Permission denied"), open_run(tmp_path):
        pass
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("data", [ARRAY, written(1, 2).replace(b"\n", b"\r"), written(1)[:-1]])
def test_lines_without_a_line_break_do_not_bypass_the_check_of_settings(tmp_path: Path, data: bytes) -> None:
    write_groups(tmp_path, 1)
    (tmp_path / f"{STEM}.jsonl").write_bytes(data)
    with (
        pytest.raises(ResumeError, match="made with other settings"),
        open_run(tmp_path, settings=SETTINGS | {"prompt": "?"}),
    ):
        pass
    assert lines(tmp_path) == data


# --- what is repaired is said


def test_what_a_resume_repairs_is_a_warning(tmp_path: Path) -> None:
    write_groups(tmp_path, 1)
    (tmp_path / f"{STEM}.jsonl").write_bytes(written(1) + written(2)[:60])
    (tmp_path / f"{STEM}.errors.jsonl").write_bytes(dump_line(fault(3))[:-1])
    with open_run(tmp_path) as files:
        assert files.warnings == [
            f"{tmp_path}/{STEM}.jsonl: cut off 60 bytes of an incomplete last line (group QC-2), left by a killed run",
            f"{tmp_path}/{STEM}.errors.jsonl: the last line (group QC-3) had no line break, which is added",
        ]
        files.append(record(2))
    assert lines(tmp_path) == written(1, 2)
    assert failing(tmp_path) == [("QC-3", fault(3).message)]
    with open_run(tmp_path) as files:
        assert files.warnings == []


def test_a_file_system_without_fsync_is_a_warning_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("os.fsync", refuse)
    with open_run(tmp_path) as files:
        for number in (1, 2):
            files.append(record(number))
        files.fail([fault(3)])
        files.finish("finished", {})
        assert len(files.warnings) == 1
        assert "cannot be told to write to the disk at once (fsync)" in files.warnings[0]
    assert lines(tmp_path) == written(1, 2)


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


def lock_file(folder: Path) -> Path:
    return folder / f".{STEM}.lock"


def second_run(folder: Path) -> str:
    """What a run in another process that writes groups 2 and 3 is told; "" where it ends well."""

    def run() -> str:
        try:
            write_groups(folder, 2, 3)
        except (LockedError, OutputError) as error:
            return str(error)
        return ""

    return str(in_child(run))


def test_a_deleted_lock_file_lets_no_second_run_in_once_the_first_has_written(tmp_path: Path) -> None:
    with open_run(tmp_path) as files:
        lock_file(tmp_path).unlink()
        files.append(record(1))
        assert "another run is writing it" in second_run(tmp_path)
        lock_file(tmp_path).unlink()
        files.fail([fault(9)])
        assert "another run is writing it" in second_run(tmp_path)
        files.append(record(2))
    assert lines(tmp_path) == written(1, 2)


def test_a_run_stops_where_a_second_one_came_in_through_a_deleted_lock(tmp_path: Path) -> None:
    with open_run(tmp_path) as files:
        files.append(record(1))
        lock_file(tmp_path).unlink()
        assert second_run(tmp_path) == ""
        after = snapshot(tmp_path)
        for write in (
            lambda: files.append(record(2)),
            lambda: files.append(record(4)),
            lambda: files.fail([fault(5)]),
            lambda: files.finish("stopped", {}),
        ):
            with pytest.raises(OutputError, match="during the run"):
                write()
        assert snapshot(tmp_path) == after
    assert lines(tmp_path) == written(1, 2, 3)
    assert run_file(tmp_path)["status"] == "finished"


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
