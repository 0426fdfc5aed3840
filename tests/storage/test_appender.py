"""Guarantees of `yanshou.storage.appender`: whole lines, and nothing of another program's is overwritten."""

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from support.processes import in_child
from support.storage_runs import written

from yanshou.errors import OutputError
from yanshou.schema.records import StageARecord
from yanshou.storage.appender import SYNC_EVERY_S, Appender
from yanshou.storage.file_end import FileEnd, find_end
from yanshou.storage.jsonl import dump_line

ONE, TWO = dump_line({"n": 1, "text": "挡风板×1"}), dump_line({"n": 2})


def opened(path: Path) -> Appender:
    return Appender(path, find_end(path, StageARecord))


def test_appended_lines_follow_those_of_earlier_runs(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for number in (1, 2):
        with opened(path) as file:
            file.append_bytes(written(number))
            assert path.read_bytes().endswith(written(number))  # at once, not at close
    assert path.read_bytes() == written(1, 2)


@pytest.mark.parametrize("before", [b"", written(1)])
def test_an_incomplete_last_line_is_cut_off(tmp_path: Path, before: bytes) -> None:
    path, line = tmp_path / "a.jsonl", written(2)
    for length in range(0, len(line) - 1, 11):
        path.write_bytes(before + line[:length])
        with opened(path) as file:
            file.append_bytes(written(3))
        assert path.read_bytes() == before + written(3)


def test_a_whole_last_line_gets_the_break_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(written(1, 2)[:-1])
    with opened(path) as file:
        file.append_bytes(written(3))
    assert path.read_bytes() == written(1, 2, 3)


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_lines_that_end_with_crlf_stay_so(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.jsonl"
    whole = written(1, 2).replace(b"\n", b"\r\n")
    path.write_bytes(whole[: len(whole) - cut])
    with opened(path) as file:
        file.append_bytes(written(3) + written(4))
    assert path.read_bytes() == written(1, 2, 3, 4).replace(b"\n", b"\r\n")


@pytest.mark.parametrize("limit", range(len(ONE), len(ONE) + len(TWO)))
def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "a.jsonl"

    def fill() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with opened(path) as file:
            file.append_bytes(ONE)
            try:
                file.append_bytes(TWO)
            except OutputError as error:
                return str(error)
        return "no error"

    assert in_child(fill) == (
        f"{path}: cannot be written: File too large. The file system or ulimit -f allows no larger file. Raise the "
        "limit or choose another folder, then run again: what is already written is kept."
    )
    assert path.read_bytes() == ONE


def test_an_interrupt_in_the_middle_of_a_line_leaves_no_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path / "a.jsonl") as file:
        file.append_bytes(ONE)
        real = file._file

        class Half:
            """The file, interrupted after five bytes."""

            def write(self, data: bytes) -> int:
                real.write(data[:5])
                raise KeyboardInterrupt

            def __getattr__(self, name: str) -> object:
                return getattr(real, name)

        monkeypatch.setattr(file, "_file", Half())
        with pytest.raises(KeyboardInterrupt):
            file.append_bytes(TWO)
        monkeypatch.undo()
    assert (tmp_path / "a.jsonl").read_bytes() == ONE


def test_lines_reach_the_disk_every_few_seconds_and_at_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    clock = [0.0]
    monkeypatch.setattr("os.fsync", synced.append)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    with opened(tmp_path / "a.jsonl") as file:
        file.append_bytes(ONE)
        assert len(synced) == 0
        clock[0] += SYNC_EVERY_S + 1
        file.append_bytes(TWO)
        assert len(synced) == 1
    assert len(synced) == 2


def test_a_file_that_cannot_be_opened_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"Is a directory\. A folder has the file's name\. Move it away"):
        Appender(tmp_path, FileEnd())
    with pytest.raises(OutputError, match=r"No such file or directory\. Its folder is missing\."):
        Appender(tmp_path / "none" / "a.jsonl", FileEnd())


# --- another program in the same file


def appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"from elsewhere\n")


def truncated(path: Path) -> None:
    os.truncate(path, 5)


def edited_in_place(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace("挡风板".encode(), b"BBU"))


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())  # of the same size
    other.rename(path)


def moved(path: Path) -> None:
    path.rename(path.with_name("moved"))


def replaced_by_another_kind(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES = {
    appended: f"was changed by another program during the run. It has {len(ONE) + 15} bytes; this run left {len(ONE)}.",
    truncated: f"was changed by another program during the run. It has 5 bytes; this run left {len(ONE)}.",
    edited_in_place: f"was changed by another program during the run. It has {len(ONE) - 6} bytes",
    replaced: "was replaced during the run.",
    moved: "was deleted or moved during the run.",
    Path.unlink: "was deleted or moved during the run.",
    replaced_by_another_kind: "was replaced during the run.",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_by_another_program_is_noticed_and_nothing_overwritten(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "a.jsonl"
    with opened(path) as file:
        file.append_bytes(ONE)
        change(path)
        left = {entry.name: entry.is_file() and entry.read_bytes() for entry in tmp_path.iterdir()}
        with pytest.raises(OutputError) as error:
            file.append_bytes(TWO)
    assert f"{path}: the file {CHANGES[change]}" in str(error.value)
    assert {entry.name: entry.is_file() and entry.read_bytes() for entry in tmp_path.iterdir()} == left


def test_a_change_between_reading_and_opening_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(written(1) + written(2)[:40])
    end = find_end(path, StageARecord)
    appended(path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="was changed by another program"):
        Appender(path, end)
    assert path.read_bytes() == before


def test_two_writers_that_share_a_lock_that_does_nothing_notice_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with opened(path) as first, opened(path) as second:
        first.append_bytes(ONE)
        with pytest.raises(OutputError, match="was changed by another program"):
            second.append_bytes(ONE)
        first.append_bytes(TWO)
    assert path.read_bytes() == ONE + TWO


def test_a_write_at_the_same_moment_stops_the_run_and_keeps_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    with opened(path) as file:
        monkeypatch.setattr(file, "check", lambda: appended(path))  # just after the check
        with pytest.raises(OutputError, match="written by another program at the same time"):
            file.append_bytes(ONE)
    assert path.read_bytes() == b"from elsewhere\n" + ONE


# --- fsync


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_fsync_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.fsync", refuse)
    with opened(tmp_path / "a.jsonl") as file:
        file.append_bytes(ONE)
        assert file.sync() is False
    assert (tmp_path / "a.jsonl").read_bytes() == ONE


def test_a_failing_disk_at_fsync_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    file = opened(tmp_path / "a.jsonl")
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(
        OutputError, match=r"Input/output error\. The disk or its network reports a fault \(see dmesg\)"
    ):
        file.close()
