"""Guarantees of `yanshou.storage.run_file`: which runs may continue the lines on disk, and what they record."""

from pathlib import Path
from typing import Any

import pytest
from support.storage_runs import (
    MAY_CHANGE,
    SETTINGS,
    STEM,
    lines,
    open_run,
    record,
    run_file,
    snapshot,
    write_groups,
    written,
)

from yanshou.errors import DamagedFileError, ResumeError
from yanshou.schema.records import StageARecord
from yanshou.storage.run_file import read_earlier


def refusal(folder: Path, **changes: Any) -> str:
    """The message with which a run is refused."""
    with pytest.raises((ResumeError, DamagedFileError)) as error, open_run(folder, **changes):
        pass
    return str(error.value)


# --- settings


def test_other_settings_are_refused_showing_each_difference_and_nothing_is_touched(tmp_path: Path) -> None:
    write_groups(tmp_path, 1)
    (tmp_path / f"{STEM}.jsonl").write_bytes(written(1) + written(2)[:60])
    before = snapshot(tmp_path)
    other = {
        "checkpoint": "77aa",
        "sampling": {"max_new_tokens": 256, "temperature": 0.7, "top_p": 0.9},
        "allow_truncated": False,
        "prompt": SETTINGS["prompt"].replace("只写这一行", "写两行"),
    }
    assert refusal(tmp_path, settings=other) == (
        f"{tmp_path}/{STEM}.run.json: the lines so far were made with other settings:\n"
        '  checkpoint: file has "4f0c", this run has "77aa"\n'
        "  sampling.temperature: file has 0.0, this run has 0.7\n"
        "  sampling.top_p: file has nothing, this run has 0.9\n"
        '  prompt: file has …看不清的写 需复核。只写这一行。", this run has …看不清的写 需复核。写两行。"\n'
        "  Use the same settings, choose another --output-dir, or start over with --fresh, which keeps the old files "
        "under another name."
    )
    assert snapshot(tmp_path) == before
    with open_run(tmp_path):  # the lock is free again
        pass


def test_the_cures_of_a_failed_group_may_change_and_are_recorded(tmp_path: Path) -> None:
    write_groups(tmp_path, 1)
    cured = SETTINGS | {"allow_truncated": True, "sampling": {"max_new_tokens": 512, "temperature": 0.0}}
    write_groups(tmp_path, 2, settings=cured)
    assert run_file(tmp_path)["settings"] == cured
    assert "sampling.max_new_tokens: file has 512, this run has 256 (may only grow)" in refusal(tmp_path)


def test_settings_are_free_as_long_as_there_is_no_line(tmp_path: Path) -> None:
    write_groups(tmp_path)
    write_groups(tmp_path, 1, settings=SETTINGS | {"checkpoint": "77aa"})
    assert run_file(tmp_path)["settings"]["checkpoint"] == "77aa"


def test_settings_are_compared_as_the_file_holds_them(tmp_path: Path) -> None:
    write_groups(tmp_path, 1, settings={"missions": ("a", "b"), "empty": {}})
    write_groups(tmp_path, 2, settings={"missions": ["a", "b"], "empty": {}})
    assert lines(tmp_path) == written(1, 2)


# --- environments


def test_a_run_can_read_the_environments_of_the_lines_so_far(tmp_path: Path) -> None:
    run, file = tmp_path / f"{STEM}.run.json", tmp_path / f"{STEM}.jsonl"
    for number, slots in enumerate((8, 4, 4, 2), 1):
        write_groups(tmp_path, number, environment={"slots": slots})
    assert [one["slots"] for one in read_earlier(run, file, StageARecord, SETTINGS, MAY_CHANGE).environments] == [
        2,
        4,
        8,
    ]
    file.unlink()
    assert read_earlier(run, file, StageARecord, SETTINGS).environments == []


def test_another_environment_is_a_warning_and_recorded(tmp_path: Path) -> None:
    write_groups(tmp_path, 1)
    elsewhere = {"device": "cpu", "versions": {"torch": "2.9"}}
    with open_run(tmp_path, environment=elsewhere) as files:
        assert files.run.warnings == [
            f"{files.run.path}: this run differs from the lines so far, which stay:\n"
            '  device: file has "cuda:0", this run has "cpu"'
        ]
    with open_run(tmp_path, environment=elsewhere) as files:
        assert files.run.warnings == []
    assert run_file(tmp_path)["environment"] == elsewhere
    (earlier,) = run_file(tmp_path)["earlier_environments"]
    assert earlier["environment"]["device"] == "cuda:0"


def test_who_answered_is_recorded_without_a_warning(tmp_path: Path) -> None:
    alone = {"device": "cpu"}
    shared = {**alone, "workers": 2, "ray": "2.60.0", "hosts": 1}
    write_groups(tmp_path, 1, environment=alone)
    with open_run(tmp_path, environment=shared) as files:
        assert files.run.warnings == []
    with open_run(tmp_path, environment={**shared, "workers": 3, "device": "cuda"}) as files:
        assert files.run.warnings == [
            f"{files.run.path}: this run differs from the lines so far, which stay:\n"
            '  device: file has "cpu", this run has "cuda"'
        ]
    record = run_file(tmp_path)
    assert record["environment"]["workers"] == 3
    assert [one["environment"].get("workers") for one in record["earlier_environments"]] == [None, 2]


# --- damage


def test_lines_without_a_run_file_are_refused_untouched(tmp_path: Path) -> None:
    for content in (written(1), b"one line of another program without a line break"):
        (tmp_path / f"{STEM}.jsonl").write_bytes(content)
        assert f"because {STEM}.run.json is missing beside it. Put it back, choose another" in refusal(tmp_path)
        assert lines(tmp_path) == content


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "blank"),
        ('{"format": 1, "yan', "incomplete"),
        ("[]\n", "not an object"),
        ('{"format": 1}\n', "key yanshou is missing"),
    ],
)
def test_a_damaged_run_file_is_an_error_with_a_cure(tmp_path: Path, content: str, what: str) -> None:
    write_groups(tmp_path, 1)
    (tmp_path / f"{STEM}.run.json").write_text(content)
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}/{STEM}.run.json: {what}")
    assert "Restore the file, choose another --output-dir, or start over with --fresh" in message
    assert lines(tmp_path) == written(1)


@pytest.mark.parametrize(("content", "found"), [("{}", "missing"), ('{"format": 2}', "2"), ('{"format": "1"}', "1")])
def test_a_run_file_of_another_format_is_refused_in_one_sentence(tmp_path: Path, content: str, found: str) -> None:
    write_groups(tmp_path, 1)
    (tmp_path / f"{STEM}.run.json").write_text(content)
    assert refusal(tmp_path) == (
        f"{tmp_path}/{STEM}.run.json was written by another version of yanshou (format {found}, this version writes "
        "1). Use that version, choose another --output-dir, or start over with --fresh, which keeps the old files "
        "under another name."
    )
    write_groups(tmp_path, 2, fresh=True)
    assert lines(tmp_path) == written(2)


def test_an_older_run_file_that_the_moved_files_left_behind_refuses_nothing(tmp_path: Path) -> None:
    """As after a kill between the renames of --fresh."""
    write_groups(tmp_path, 1)
    (tmp_path / f"{STEM}.jsonl").unlink()
    write_groups(tmp_path, 2, settings=SETTINGS | {"checkpoint": "77aa"})
    assert record(2).key.group_id in lines(tmp_path).decode()
