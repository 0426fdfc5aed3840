"""Guarantees of `yanshou.storage.lock`."""

from pathlib import Path

import pytest

from yanshou.errors import LockedError, OutputError
from yanshou.storage.lock import locked


def test_a_second_run_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    file, folder = tmp_path / "out" / ".lock", tmp_path / "out"
    with locked(file, folder):
        with pytest.raises(LockedError) as error, locked(file, folder):
            pass
        assert str(error.value) == (
            f"{folder}: another run is writing it. Wait until that ends, or choose another --output-dir."
        )
    with pytest.raises(ZeroDivisionError), locked(file, folder):
        raise ZeroDivisionError
    with locked(file, folder):
        pass


def test_an_error_under_the_lock_is_not_reported_as_one_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked(tmp_path / ".lock", tmp_path):
        (tmp_path / "none").read_bytes()


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "out"
    with (
        pytest.raises(OutputError, match=f"{folder}: cannot be written: Not a directory"),
        locked(folder / "l", folder),
    ):
        pass
