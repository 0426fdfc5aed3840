"""Guarantees of `yanshou.storage.file_end`: only what can be one half-written record is torn."""

import os
import re
from pathlib import Path

import pytest
from support.storage_runs import fault, record, written

from yanshou.errors import InputError
from yanshou.schema.records import Fault, StageARecord, VerdictRecord
from yanshou.storage.file_end import FileEnd, find_end
from yanshou.storage.jsonl import dump_line

LINE = written(2)


def end_of(path: Path, data: bytes) -> FileEnd:
    path.write_bytes(data)
    return find_end(path, StageARecord)


@pytest.mark.parametrize("before", [b"", written(1), written(*range(100))], ids=["none", "one", "many"])
def test_every_beginning_of_a_record_is_torn_and_names_its_group_where_it_can(tmp_path: Path, before: bytes) -> None:
    for length in range(1, len(LINE) - 1):
        end = end_of(tmp_path / "a", before + LINE[:length])
        assert (end.size, end.torn, end.missing) == (len(before) + length, length, b""), LINE[:length]
        assert end.group == "QC-2"[: max(length - len('{"group_id": "'), 0)]
    assert end_of(tmp_path / "a", before + LINE) == FileEnd(len(before + LINE))
    assert end_of(tmp_path / "a", before + LINE[:-1]).missing == b"\n"


def test_names_that_are_not_utf8_and_long_lines_may_be_torn_too(tmp_path: Path) -> None:
    odd = record(2).model_copy(update={"images": ["/data/\udcff\udcfe\\udcff.jpg"], "raw_texts": ["挡" * 40_000]})
    line = dump_line(odd)
    for length in range(len(line) - 100_000, len(line) - 1, 3_001):
        assert end_of(tmp_path / "a", line[:length]).torn == length
    for length in range(60, 240, 3):
        assert end_of(tmp_path / "a", line[:length]).torn == length


@pytest.mark.parametrize(
    "tail",
    [
        b"[" + written(1)[:-1] + b", " + written(2)[:-1] + b"]",  # one array
        written(1)[:-1] + written(2)[:-1],  # the line breaks are lost
        written(1)[:-1] + b"\r" + written(2)[:40],  # CR alone
        written(1)[:-1] + b" " + written(2)[:40],
        written(1)[:-1] + b"," + written(2)[:-1],
        written(1)[:40] + written(2)[:-1],  # two halves in one line
        written(1)[:40] + written(2)[:40],
        b'{"group_id":"QC-2","mission":"x"',  # as another program writes it
        b'{"clean_texts": ["x"], "group_id": "QC-2"',  # sorted keys
        b'{"group_id": "QC-2", "label": "pa',  # a key is left out
        b'{"group_id": "QC-2"}',  # whole, but no record of this kind
        b'{"group_id": {"0": "QC-2"',  # columns
        b"{'group_id': 'QC-2'",
        b"xxx",
        b" ",
        b"\t\t",
        "组".encode("gbk"),
        LINE[:60].decode(errors="ignore").encode("utf-16"),
        LINE[:50] + b"\xff" + LINE[50:60],
        LINE[:50] + b"\x01" + LINE[50:60],
        b"\0" * 20 + LINE[:40],
        b"\xef\xbb\xbf" + LINE[:40],
    ],
)  # fmt: skip
def test_nothing_else_is_torn(tmp_path: Path, tail: bytes) -> None:
    for before in (b"", written(1)):
        assert end_of(tmp_path / "a", before + tail) == FileEnd(len(before + tail))


def test_zeros_that_a_power_cut_leaves_are_torn(tmp_path: Path) -> None:
    one = written(1)
    assert end_of(tmp_path / "a", one + b"\0" * 4096) == FileEnd(len(one) + 4096, 4096)
    assert end_of(tmp_path / "a", one + LINE[:70] + b"\0" * 99).torn == 70 + 99
    end = end_of(tmp_path / "a", one[:-1] + b"\0" * 9)
    assert (end.keep, end.torn, end.missing) == (len(one) - 1, 9, b"\n")


def test_each_kind_of_file_has_its_own_beginning(tmp_path: Path) -> None:
    line = dump_line(fault(1))
    (tmp_path / "a").write_bytes(line[:-30])
    assert find_end(tmp_path / "a", Fault).torn == len(line) - 30
    assert find_end(tmp_path / "a", VerdictRecord).torn == 0


def test_a_missing_file_is_empty_and_a_repair_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    assert find_end(path, StageARecord) == FileEnd()
    assert end_of(path, written(1)).repairs(path) == []
    assert end_of(path, written(1) + LINE[:40]).repairs(path) == [
        f"{path}: cut off 40 bytes of an incomplete last line (group QC-2), left by a killed run"
    ]
    assert end_of(path, written(1, 2)[:-1]).repairs(path) == [
        f"{path}: the last line (group QC-2) had no line break, which is added"
    ]


def test_a_pipe_or_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(InputError, match=f"^{re.escape(str(path))}: not a file but a folder, a pipe or a device"):
            find_end(path, StageARecord)
