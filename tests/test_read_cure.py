"""The advice about what cannot be read fits its cause."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from yanshou.errors import InputError
from yanshou.inputs.listing import sub_folders
from yanshou.missions import load_missions
from yanshou.read_cure import FAULTY, FORBIDDEN, NO_SERVER, read_cure
from yanshou.storage.jsonl import read_errors


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.EACCES, FORBIDDEN), (errno.EIO, FAULTY), (errno.ESTALE, NO_SERVER), (errno.ENOENT, "Give another.")],
)
def test_the_path_is_blamed_only_where_it_may_be_wrong(number: int, advice: str) -> None:
    assert read_cure(OSError(number, os.strerror(number)), "Give another.") == advice


def _lines(path: Path) -> None:
    with read_errors(path), path.open():
        pass


@pytest.mark.parametrize("read", [_lines, sub_folders, lambda path: load_missions([path])])
def test_a_file_without_permission_is_no_wrong_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    """The tests may run as root, who may read everything."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    for owner, name in ((Path, "open"), (Path, "read_bytes"), (os, "scandir")):
        monkeypatch.setattr(owner, name, refuse)
    with pytest.raises(InputError, match=rf"Permission denied\)?\. {FORBIDDEN}"):
        read(tmp_path / "x.toml")
