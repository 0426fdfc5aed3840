"""Guarantees of `yanshou.storage.lines_file`: every line is checked, and each group has one."""

from pathlib import Path

import pytest
from support.storage_runs import STEM, lines, open_run, record, run_file, write_groups, written

from yanshou.errors import DamagedFileError
from yanshou.schema.records import StageARecord
from yanshou.storage import lines_file as module
from yanshou.storage.jsonl import dump_line
from yanshou.storage.lines_file import LinesFile


def damage(folder: Path, mission: str = record(1).mission) -> str:
    with pytest.raises(DamagedFileError) as error, open_run(folder, mission=mission):
        pass
    return str(error.value)


def test_one_id_under_both_labels_is_two_groups(tmp_path: Path) -> None:
    with open_run(tmp_path) as files:
        files.append(record(1))
        files.append(record(1).model_copy(update={"label": "fail"}))
        files.append(record(1).model_copy(update={"label": None}))
    with open_run(tmp_path) as files:
        assert [key.label for key in files.lines.done] == ["pass", "fail", None]


def test_a_torn_last_line_is_cut_and_its_group_redone(tmp_path: Path) -> None:
    write_groups(tmp_path, 1)
    for length in range(1, len(written(2)), 7):
        (tmp_path / f"{STEM}.jsonl").write_bytes(written(1) + written(2)[:length])
        with open_run(tmp_path) as files:
            assert list(files.lines.done) == [record(1).key]
            files.append(record(2))
        assert lines(tmp_path) == written(1, 2)


def test_a_damaged_middle_line_is_an_error_and_stays_where_it_is(tmp_path: Path) -> None:
    write_groups(tmp_path, 1, 2, 3)
    damaged = written(1) + written(2).replace("图片_1".encode(), "图片_2".encode()) + written(3)
    (tmp_path / f"{STEM}.jsonl").write_bytes(damaged)
    assert f"{STEM}.jsonl:2: key 图片_1 is missing (group QC-2, 1 photo). Delete" in damage(tmp_path)
    assert lines(tmp_path) == damaged


def test_a_group_on_two_lines_is_an_error_naming_both_and_no_run_file_is_written(tmp_path: Path) -> None:
    write_groups(tmp_path, 1, 2)
    before = run_file(tmp_path)
    (tmp_path / f"{STEM}.jsonl").write_bytes(written(1, 2, 1))
    assert "jsonl:3: group QC-1 (label pass) is already on line 1" in damage(tmp_path)
    assert (lines(tmp_path), run_file(tmp_path)) == (written(1, 2, 1), before)


def test_a_line_of_another_mission_is_an_error_naming_both(tmp_path: Path) -> None:
    write_groups(tmp_path, 1)
    message = damage(tmp_path, mission="另一个检查项")
    assert (
        f"{STEM}.jsonl:1: group QC-1 is of mission '{record(1).mission}', but this file is for 另一个检查项." in message
    )


# --- replacing all lines


def renamed(one: StageARecord) -> StageARecord:
    return one.model_copy(update={"images": ["/elsewhere/1.jpg"]})


def replace_lines(file: LinesFile[StageARecord]) -> None:
    file.replace([renamed(one) for one in file.records()])


def test_replaced_lines_are_appended_to(tmp_path: Path) -> None:
    write_groups(tmp_path, 1)
    with open_run(tmp_path) as files:
        replace_lines(files.lines)
        files.append(record(2))
    assert lines(tmp_path) == dump_line(renamed(record(1))) + dump_line(record(2))


def test_a_run_killed_before_lines_are_replaced_leaves_the_old_ones_and_says_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_groups(tmp_path, 1)

    def killed(path: Path, data: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "replace_file", killed)
    with pytest.raises(KeyboardInterrupt), open_run(tmp_path) as files:
        replace_lines(files.lines)
    assert lines(tmp_path) == written(1)
    assert run_file(tmp_path)["status"] == "running"
