"""Guarantees of `yanshou.storage.atomic`: a file is the old one or the new one, and nothing old is overwritten."""

import os
import resource
from pathlib import Path

import pytest
from support.processes import in_child

from yanshou.errors import OutputError
from yanshou.storage.atomic import move_aside, replace_file, replacing, unused_path

ONE, TWO = b"one\n", b"two\n"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- replacing


def test_a_replaced_file_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    replace_file(path, ONE)

    def fill() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3, 3))
        try:
            replace_file(path, TWO * 10)
        except OutputError as error:
            return str(error)
        return "no error"

    assert in_child(fill).startswith(f"{path}: cannot be written: File too large")
    assert path.read_bytes() == ONE
    assert names(tmp_path) == ["run.json"]
    replace_file(path, TWO)
    assert path.read_bytes() == TWO


def test_a_pipe_or_a_link_in_the_drafts_place_is_not_written_into(tmp_path: Path) -> None:
    path, draft, other = tmp_path / "run.json", tmp_path / ".run.json.tmp", tmp_path / "other"
    other.write_bytes(ONE)
    draft.symlink_to(other)
    replace_file(path, TWO)
    os.mkfifo(draft)
    reader = os.open(draft, os.O_RDONLY | os.O_NONBLOCK)  # without one, a writer would wait for ever
    try:
        replace_file(path, TWO)
    finally:
        os.close(reader)
    assert (path.is_symlink(), path.is_file(), path.read_bytes(), other.read_bytes()) == (False, True, TWO, ONE)
    assert names(tmp_path) == ["other", "run.json"]


def test_a_draft_takes_the_files_place_only_where_writing_it_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with replacing(path) as draft:
        draft.write_bytes(ONE)
        assert not path.exists()
    assert path.read_bytes() == ONE

    def fails() -> None:
        with replacing(path) as draft:
            draft.write_bytes(TWO)
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"/a\.jpg: cannot be written: No space left"):
        fails()
    assert (path.read_bytes(), names(tmp_path)) == (ONE, ["a.jpg"])


# --- moving aside


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no picture"), OutputError("another file")])
def test_whatever_ends_the_writing_leaves_no_draft(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "report.zip"
    replace_file(path, ONE)

    def fails() -> None:
        with replacing(path) as draft:
            draft.write_bytes(TWO)
            raise error

    with pytest.raises(type(error)):
        fails()
    assert (names(tmp_path), path.read_bytes()) == (["report.zip"], ONE)


def test_files_are_moved_aside_beside_themselves_and_missing_ones_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(ONE)
    (tmp_path / "link").symlink_to("nowhere")
    move_aside([tmp_path / "a", tmp_path / "b", tmp_path / "link"])
    moved_file, moved_link = names(tmp_path)
    assert (moved_file.startswith("a.2"), moved_link.startswith("link.2")) == (True, True)
    assert {moved_file[-4:], moved_link[-4:]} == {".old"}


def test_files_are_moved_into_a_new_folder_each_time(tmp_path: Path) -> None:
    for content in (ONE, TWO):
        (tmp_path / "a").write_bytes(content)
        move_aside([tmp_path / "a", tmp_path / "b"], tmp_path / "old")
    move_aside([tmp_path / "a"], tmp_path / "old")  # nothing is there: no folder is made
    first, second = sorted(tmp_path.glob("old-*"))
    assert {(first / "a").read_bytes(), (second / "a").read_bytes()} == {ONE, TWO}


def test_an_unused_path_gets_the_first_free_number(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert unused_path(path, ".old").name == "a.old"
    for name in ("a.old", "a-2.old"):
        (tmp_path / name).touch()
    assert unused_path(path, ".old").name == "a-3.old"
