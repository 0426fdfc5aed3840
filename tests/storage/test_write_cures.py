"""Guarantees of `yanshou.storage.write_cures`: each cause has its own cure; room is asked for where it is short."""

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.processes import in_child

from yanshou.errors import OutputError
from yanshou.storage.appender import Appender
from yanshou.storage.atomic import replace_file, write_error
from yanshou.storage.file_end import FileEnd


def says(code: int) -> str:
    return str(write_error(Path("/nowhere/a.jsonl"), OSError(code, os.strerror(code))))


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.EACCES, "Change the owner or the permissions"),
        (errno.EPERM, "the file is protected (see lsattr)"),
        (errno.EROFS, "mounted read-only"),
        (errno.EIO, "The disk or its network reports a fault (see dmesg)"),
        (errno.ENAMETOOLONG, "Choose a folder with a shorter path"),
        (errno.EMFILE, "Raise the limit (ulimit -n)"),
        (errno.ENFILE, "Raise the limit (ulimit -n)"),
        (errno.ELOOP, "Remove the link"),
        (errno.ENOTDIR, "A part of the path is a file"),
        (errno.EISDIR, "A folder has the file's name"),
        (errno.ENOENT, "Its folder is missing"),
        (errno.ESTALE, "Mount it again"),
        (errno.ENOTCONN, "Mount it again"),
        (errno.EOPNOTSUPP, "object storage and some network mounts cannot"),
        (errno.EINVAL, "refuses the call or the name"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EBUSY, "Another program uses it"),
        (errno.EDOM, "Check the disk and the path"),
    ],
)
def test_each_cause_has_its_own_cure(code: int, cure: str) -> None:
    message = says(code)
    assert message.startswith(f"/nowhere/a.jsonl: cannot be written: {os.strerror(code)}. ")
    assert cure in message
    assert message.endswith("then run again: what is already written is kept.")
    assert "Make room" not in message
    assert "GiB" not in message


def test_room_is_asked_for_where_it_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    message = str(write_error(tmp_path / "a", full))
    assert " GiB are free there. Make room or choose another folder, then run again" in message
    assert "Make room or choose" in says(errno.ENOSPC)  # also where the disk is gone
    assert "Your quota there is used up. Make room" in says(errno.EDQUOT)
    monkeypatch.setattr("os.statvfs", lambda path: SimpleNamespace(f_files=10, f_favail=0, f_bavail=9, f_frsize=4096))
    assert "takes no further files (df -i)" in str(write_error(tmp_path / "a", full))


def name_too_long(folder: Path) -> Path:
    return folder / ("n" * 300)


def below_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "a"


def circle(folder: Path) -> Path:
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    return folder / "a"


@pytest.mark.parametrize(
    ("make", "cure"), [(name_too_long, "shorter path"), (below_a_file, "is a file"), (circle, "Remove the link")]
)
def test_real_errors_get_their_cures(tmp_path: Path, make: Callable[[Path], Path], cure: str) -> None:
    with pytest.raises(OutputError, match=cure):
        Appender(make(tmp_path), FileEnd())


def test_too_many_open_files_are_named(tmp_path: Path) -> None:
    def run() -> str:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        try:
            replace_file(tmp_path / "a", b"")
        except OutputError as error:
            return str(error)
        return "no error"

    assert "Too many open files. Raise the limit (ulimit -n)" in in_child(run)
