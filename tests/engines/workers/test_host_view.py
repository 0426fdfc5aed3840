"""A host says what a worker on it would find, and what to do about what it would not."""

import socket
from pathlib import Path

from yanshou.engines.checkpoint import find
from yanshou.engines.workers.host_view import view


def test_a_host_names_its_checkpoint_and_its_first_photo(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "挡风板安装检查" / "审核通过" / "QC-1"
    folder.mkdir(parents=True)
    (folder / "10.jpg").write_bytes(b"12")
    (folder / "9.jpg").write_bytes(b"1234")
    found = view(str(tiny), None, tmp_path)
    assert (found.host, found.faults) == (socket.gethostname(), ())
    assert found.fingerprints == find(str(tiny)).fingerprints()
    assert found.first_photo == "挡风板安装检查/审核通过/QC-1/9.jpg, 4 bytes"


def test_what_is_missing_is_a_fault_with_its_cure(tmp_path: Path) -> None:
    found = view(str(tmp_path / "none"), None, tmp_path)
    no_checkpoint, no_photo = found.faults
    assert "no such folder" in no_checkpoint
    assert no_photo == f"{tmp_path}: no photo in it. Mount the photos there under this path."
    (unread,) = view(None, None, tmp_path / "none").faults
    assert unread.startswith(f"{tmp_path / 'none'}: cannot be read (No such file or directory)")
    assert (found.fingerprints, found.first_photo) == ({}, "")
