"""Guarantees of `yanshou.storage.errors_file`: the file holds what fails now, even after kills."""

from pathlib import Path

import pytest
from support.storage_runs import STEM, failing, fault, open_run, record, write_groups

from yanshou.errors import DamagedFileError
from yanshou.storage.errors_file import read_faults
from yanshou.storage.jsonl import dump_line


def test_the_errors_file_holds_what_fails_now(tmp_path: Path) -> None:
    with open_run(tmp_path) as files:
        files.fail([fault(1, "a"), fault(1, "b", photo=None)])
        files.fail([fault(2, "c")])
        files.fail([fault(3, "d")])
        assert failing(tmp_path) == [("QC-1", "a"), ("QC-1", "b"), ("QC-2", "c"), ("QC-3", "d")]  # at once
    with open_run(tmp_path) as files:
        files.append(record(1))
        files.fail([fault(2, "e")])
        files.finish("finished", {}, present={record(1).key, record(2).key})  # the folder of 3 is gone
    assert failing(tmp_path) == [("QC-2", "e")]


def test_the_latest_attempt_of_a_killed_run_counts(tmp_path: Path) -> None:
    for message in ("first", "second", "third"):  # all in one second, and no run comes to its end
        with open_run(tmp_path) as files:
            files.fail([fault(1, f"{message} a"), fault(1, f"{message} b")])
    with open_run(tmp_path) as files:
        files.fail([fault(2)])
        files.append(record(2))
    with open_run(tmp_path):
        assert failing(tmp_path) == [("QC-1", "third a"), ("QC-1", "third b")]


def test_attempts_are_distinguished_by_their_time(tmp_path: Path) -> None:
    write_groups(tmp_path)
    old = [fault(1, message).model_copy(update={"timestamp": "2026-01-18T09:30:00+08:00"}) for message in "ab"]
    new = fault(1, "c").model_copy(update={"timestamp": "2026-01-18T09:29:00+08:00"})  # the clock was put back
    (tmp_path / f"{STEM}.errors.jsonl").write_bytes(b"".join(map(dump_line, [*old, new])) + dump_line(new)[:90])
    with open_run(tmp_path):
        assert failing(tmp_path) == [("QC-1", "c")]


def test_a_written_group_that_fails_in_this_run_stays_in_the_errors_file(tmp_path: Path) -> None:
    write_groups(tmp_path, 1)
    with open_run(tmp_path) as files:
        files.fail([fault(1, "the photos have changed since")])
        files.finish("finished", {"failed": 1})
    assert failing(tmp_path) == [("QC-1", "the photos have changed since")]


def test_a_damaged_errors_file_is_an_error_with_a_cure(tmp_path: Path) -> None:
    write_groups(tmp_path, 1)
    (tmp_path / f"{STEM}.errors.jsonl").write_bytes(b"{}\n")
    with (
        pytest.raises(DamagedFileError, match=r"errors.jsonl:1: key group_id is missing. Delete the line: the group"),
        open_run(tmp_path),
    ):
        pass


def test_a_missing_file_holds_no_faults(tmp_path: Path) -> None:
    assert list(read_faults(tmp_path / "none.errors.jsonl")) == []
