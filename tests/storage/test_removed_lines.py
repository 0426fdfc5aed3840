"""Guarantees of `yanshou.storage.removed_lines`: a line is in one of the two files once, whenever a run is killed."""

import os
import signal
from pathlib import Path

import pytest
from support.processes import FORK
from support.storage_runs import MISSION, STEM, lines, open_run, record, write_groups, written

from yanshou.errors import DamagedFileError, OutputError
from yanshou.schema.records import GroupKey
from yanshou.storage import removed_lines

STALE = {2: record(2).key, 4: record(4).key}


def removed(folder: Path) -> bytes:
    return (folder / f"{STEM}.removed.jsonl").read_bytes()


def move(folder: Path, groups: dict[int, GroupKey]) -> None:
    with open_run(folder) as files:
        files.remove(groups)
        files.finish("finished", {})


def test_lines_move_as_they_are_and_the_run_goes_on(tmp_path: Path) -> None:
    write_groups(tmp_path, 1, 2, 3, 4, 5)
    odd = lines(tmp_path).replace(b'", "mission"', b'" , "mission"')  # another program's spaces
    (tmp_path / f"{STEM}.jsonl").write_bytes(odd)
    with open_run(tmp_path) as files:
        files.remove(STALE)
        assert set(files.lines.done) == {record(number).key for number in (1, 3, 5)}
        files.append(record(2))
        files.append(record(6))
    kept = odd.splitlines(keepends=True)
    assert lines(tmp_path) == kept[0] + kept[2] + kept[4] + written(2, 6)
    assert removed(tmp_path) == kept[1] + kept[3]


def test_a_link_stays_and_the_file_behind_it_loses_the_lines(tmp_path: Path) -> None:
    write_groups(tmp_path, 1, 2, 3)
    link = tmp_path / f"{STEM}.jsonl"
    stored = link.rename(tmp_path / "stored")
    link.symlink_to(stored)
    with open_run(tmp_path) as files:
        files.remove({2: record(2).key})
        files.append(record(4))
        files.lines.replace([record(1), record(3), record(4)])
        files.append(record(5))
    assert (link.is_symlink(), stored.read_bytes(), removed(tmp_path)) == (True, written(1, 3, 4, 5), written(2))


def test_a_line_with_another_content_is_another_line(tmp_path: Path) -> None:
    write_groups(tmp_path, 1, 2)
    move(tmp_path, {2: record(2).key})
    with open_run(tmp_path) as files:
        files.append(record(2).model_copy(update={"timestamp": "2026-02-01T00:00:00+08:00"}))
    move(tmp_path, {2: record(2).key})
    assert lines(tmp_path) == written(1)
    assert len(removed(tmp_path).splitlines()) == 2
    assert removed(tmp_path).startswith(written(2))


@pytest.mark.parametrize("moment", range(4, 16))
def test_a_kill_at_any_moment_loses_nothing_and_doubles_nothing(tmp_path: Path, moment: int) -> None:
    """The process is killed before one of its writes to a file; the next run that moves the lines ends the move."""
    write_groups(tmp_path, 1, 2, 3, 4, 5)
    child = FORK.Process(target=lambda: killed_at(tmp_path, moment))
    child.start()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL)
    there = lines(tmp_path) + (removed(tmp_path) if (tmp_path / f"{STEM}.removed.jsonl").exists() else b"")
    assert all(written(number) in there for number in range(1, 6))
    with open_run(tmp_path) as files:
        stale = {number: one.key for number, one in files.lines.numbered() if one.key in STALE.values()}
        if stale:
            files.remove(stale)
    assert (lines(tmp_path), removed(tmp_path)) == (written(1, 3, 5), written(2, 4))


def killed_at(folder: Path, moment: int) -> None:
    """Moves the lines, and kills its own process before the write, rename or fsync of this number."""
    left = iter(range(moment))

    def before(name: str) -> None:
        real = getattr(os, name)

        def call(*args: object, **options: object) -> object:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)

        setattr(os, name, call)

    with open_run(folder) as files:
        for name in ("fsync", "replace", "rename", "fstat", "stat"):
            before(name)
        files.remove(STALE)
    os._exit(0)


def test_a_torn_line_at_the_end_of_the_removed_file_is_written_again(tmp_path: Path) -> None:
    write_groups(tmp_path, 1, 2, 3, 4, 5)
    (tmp_path / f"{STEM}.removed.jsonl").write_bytes(written(2) + written(4)[:-30])
    move(tmp_path, STALE)
    assert (lines(tmp_path), removed(tmp_path)) == (written(1, 3, 5), written(2, 4))


def test_a_damaged_removed_file_is_no_reason_to_redo_a_group(tmp_path: Path) -> None:
    write_groups(tmp_path, 1, 2, 3)
    (tmp_path / f"{STEM}.removed.jsonl").write_bytes(b"hello\n")
    with pytest.raises(DamagedFileError, match=r"removed\.jsonl:1: not JSON .* or move this file away"):
        move(tmp_path, {2: record(2).key})
    assert (lines(tmp_path), removed(tmp_path)) == (written(1, 2, 3), b"hello\n")


def test_a_full_disk_leaves_the_lines_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_groups(tmp_path, 1, 2, 3, 4, 5)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with open_run(tmp_path) as files:
        monkeypatch.setattr(removed_lines.os, "fsync", full)
        with pytest.raises(OutputError, match="No space left"):
            files.remove(STALE)
        monkeypatch.undo()
    assert lines(tmp_path) == written(1, 2, 3, 4, 5)
    move(tmp_path, STALE)
    assert (lines(tmp_path), removed(tmp_path)) == (written(1, 3, 5), written(2, 4))


def test_fresh_moves_the_removed_lines_aside(tmp_path: Path) -> None:
    write_groups(tmp_path, 1, 2, 3, 4, 5)
    move(tmp_path, STALE)
    write_groups(tmp_path, 2, fresh=True)
    assert not (tmp_path / f"{STEM}.removed.jsonl").exists()
    assert [path.read_bytes() for path in tmp_path.glob(f"{MISSION}*.removed.jsonl.*.old")] == [written(2, 4)]
