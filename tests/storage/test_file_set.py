"""Guarantees of `yanshou.storage.file_set`: files of two sets never lie side by side, wherever a process is killed."""

import resource
from pathlib import Path

import pytest
from support.processes import in_child, killed_before_each_change

from yanshou.errors import OutputError
from yanshou.storage.file_set import is_unfinished, replace_together

NAMES = ("train.jsonl", "val.jsonl", "dataset.card.json")


def files(folder: Path, content: bytes, *names: str) -> dict[Path, bytes]:
    return {folder / name: content for name in names or NAMES}


def content(folder: Path) -> list[bytes]:
    """What the files hold that are there."""
    return [(folder / name).read_bytes() for name in NAMES if (folder / name).exists()]


def test_a_set_is_replaced_and_no_draft_is_left(tmp_path: Path) -> None:
    for one in (b"old", b"new"):
        replace_together(files(tmp_path, one))
        assert content(tmp_path) == [one] * 3
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)
        assert not is_unfinished(tmp_path / NAMES[-1])


@pytest.mark.parametrize("names", [NAMES, NAMES[:2], NAMES[2:]])
def test_a_kill_at_any_step_leaves_files_of_one_set(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Either whole, or the set says that it is not; the same call again completes it."""
    found = set()
    last = tmp_path / names[-1]
    replace_together(files(tmp_path, b"old", *names))
    for _ in killed_before_each_change(tmp_path, lambda: replace_together(files(tmp_path, b"new", *names))):
        left = content(tmp_path)
        assert len(set(left)) <= 1
        assert is_unfinished(last) == (not last.exists()) == (len(left) < len(names))
        found.add((len(left), *set(left)))
        replace_together(files(tmp_path, b"old", *names))
    assert content(tmp_path) == [b"new"] * len(names)
    assert (len(names), b"old") in found
    assert {(count, b"old") for count in range(1, len(names))} <= found
    assert {(count, b"new") for count in range(1, len(names))} <= found


def test_a_first_set_is_killed_at_any_step(tmp_path: Path) -> None:
    """A file of another program may have one of the names."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / NAMES[1]).write_bytes(b"another")
    for _ in killed_before_each_change(folder, lambda: replace_together(files(folder, b"new"))):
        assert set(content(folder)) in ({b"another"}, set(), {b"new"})
        for path in folder.iterdir():
            path.unlink()
        (folder / NAMES[1]).write_bytes(b"another")
    assert content(folder) == [b"new"] * 3


def test_a_full_disk_leaves_the_old_set(tmp_path: Path) -> None:
    replace_together(files(tmp_path, b"old"))

    def fill() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        try:
            replace_together(files(tmp_path, b"new") | files(tmp_path, b"long" * 3, NAMES[-1]))
        except OutputError as error:
            return str(error)
        return "no error"

    assert in_child(fill).startswith(f"{tmp_path / NAMES[-1]}: cannot be written: File too large")
    assert content(tmp_path) == [b"old"] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)


def test_a_folder_in_the_place_of_a_file_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    (tmp_path / NAMES[1]).mkdir()
    (tmp_path / NAMES[0]).write_bytes(b"old")
    with pytest.raises(OutputError, match=r"val.jsonl: cannot be written: Is a directory"):
        replace_together(files(tmp_path, b"new"))
    assert (tmp_path / NAMES[0]).read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.jsonl", "val.jsonl"]


def test_a_pipe_or_a_link_in_the_place_of_a_draft_is_not_written_into(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"stays")
    (tmp_path / f".{NAMES[0]}.new").symlink_to(other)
    replace_together(files(tmp_path, b"new"))
    assert other.read_bytes() == b"stays"
    assert content(tmp_path) == [b"new"] * 3
