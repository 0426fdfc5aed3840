"""Guarantees of `yanshou.storage.conversions`: what another program did to a whole file is named as that."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.storage_runs import record, written

from yanshou.errors import DamagedFileError
from yanshou.schema.records import StageARecord
from yanshou.stage_b.dataset_rows import TrainRow, read_rows
from yanshou.storage.conversions import HEAD
from yanshou.storage.jsonl import dump_line, read_object, read_records

LINES = written(1, 2, 3)
TEXT = LINES.decode()
OBJECTS = [json.loads(line) for line in TEXT.splitlines()]


def message(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(DamagedFileError) as error:
        list(read_records(path, StageARecord))
    return str(error.value).removeprefix(f"{path}")


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("lines.jsonl", data)
    return buffer.getvalue()


def dumped(value: object, **more: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, **more).encode()  # type: ignore[arg-type]


CONVERSIONS: dict[str, tuple[bytes, str]] = {
    "gbk": (TEXT.encode("gbk"), "GBK, not UTF-8: convert it back with iconv -f GBK -t UTF-8"),
    "gb18030": (TEXT.replace("挡", "𠮷").encode("gb18030"), "GB18030, not UTF-8: convert it back with iconv"),
    "utf-16 with a mark": (TEXT.encode("utf-16"), "UTF-16, not UTF-8: convert it back with iconv -f UTF-16 -t UTF-8"),
    "utf-16-le": (TEXT.encode("utf-16-le"), "UTF-16LE, not UTF-8: convert it back with iconv -f UTF-16LE -t UTF-8"),
    "utf-16-be": (TEXT.encode("utf-16-be"), "UTF-16BE, not UTF-8"),
    "utf-32": (TEXT.encode("utf-32"), "UTF-32, not UTF-8"),
    "utf-8 with a mark": (TEXT.encode("utf-8-sig"), "UTF-8 with a byte-order mark: save it as UTF-8 without one"),
    "gzip": (gzip.compress(LINES), "gzip data: unpack it with gunzip"),
    "bzip2": (bz2.compress(LINES), "bzip2 data"),
    "xz": (lzma.compress(LINES), "xz data"),
    "zip": (zipped(LINES), "a zip archive or a workbook of Excel"),
    "zeros": (b"\0" * 5000, "zeros, as a power cut or a full disk leaves them"),
    "array": (dumped(OBJECTS), "one JSON array: write one object per line again with jq -c '.[]'"),
    "indented array": (dumped(OBJECTS, indent=2), "one JSON array"),
    "jq": (b"".join(dumped(one, indent=2) + b"\n" for one in OBJECTS), "JSON with one object over several lines"),
    "jq --tab": (b"".join(dumped(one, indent="\t") + b"\n" for one in OBJECTS), "JSON with one object over several"),
    "cr": (LINES.replace(b"\n", b"\r"), "text whose lines end with CR alone: turn them into line feeds with tr"),
    "no breaks": (LINES.replace(b"\n", b""), "on one line, its line breaks are lost"),
    "blanks": (LINES.replace(b"\n", b" "), "on one line, its line breaks are lost"),
    "commas": (LINES.replace(b"\n", b","), "on one line, its line breaks are lost"),
    "json-seq": (LINES.replace(b"\n", b"\x1e"), "on one line, its line breaks are lost"),
    "csv": (b"group_id,mission,label\nQC-1,a,pass\n", "a table (CSV)"),
    "csv of excel": ("group_id,任务\nQC-1,挡\n".encode("utf-8-sig"), "UTF-8 with a byte-order mark"),
    "python": ("".join(f"{one}\n" for one in OBJECTS).encode(), "written as Python prints objects, not as JSON"),
    "html": (b"<!DOCTYPE html>\n<html>\n", "HTML or XML"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVERSIONS)
def test_a_conversion_of_the_whole_file_is_named_with_its_cure(tmp_path: Path, name: str) -> None:
    data, says = CONVERSIONS[name]
    found = message(tmp_path / "a.jsonl", data)
    assert found.startswith(f": the whole file is {says}")
    assert found.endswith(", or restore the file as yanshou wrote it.")
    assert "Delete" not in found


def test_a_long_file_in_another_encoding_is_recognised_by_its_beginning(tmp_path: Path) -> None:
    many = written(*range(9_000)).decode().encode("gbk")
    assert len(many) > HEAD
    assert message(tmp_path / "a.jsonl", many).startswith(": the whole file is GBK")


@pytest.mark.parametrize(
    "damage",
    [
        lambda: LINES.replace("挡".encode(), b"\xff\xfe", 1),
        lambda: LINES[:40] + LINES[41:],  # a byte is gone
        lambda: TEXT.splitlines(True)[0].encode("gbk") + written(2, 3),
        lambda: b"x" + LINES,
        lambda: b"\n" + LINES,
        lambda: b"[]\n" + LINES,
    ],
)
def test_one_damaged_line_is_not_taken_for_a_conversion(tmp_path: Path, damage: Callable[[], bytes]) -> None:
    found = message(tmp_path / "a.jsonl", damage())
    assert found.startswith(":1: ")
    assert found.endswith("Delete the line and run again: only that group is redone.")


def test_a_file_of_one_object_may_span_lines_but_not_be_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(dump_line(OBJECTS[0], indent=2))
    assert read_object(path, "") == OBJECTS[0]
    for data, says in ((path.read_text(encoding="utf-8").encode("utf-16"), "UTF-16"), (b"\0" * 99, "zeros")):
        path.write_bytes(data)
        with pytest.raises(DamagedFileError, match=f"run.json: the whole file is {says}"):
            read_object(path, "Restore the file.")


# --- faults of values that every line has


def lines_with(change: Callable[[dict[str, object]], object], *numbers: int) -> bytes:
    lines = [record(number).model_dump() for number in (1, 2, 3)]
    for number in numbers:
        change(lines[number - 1])
    return b"".join(map(dump_line, lines))


def milliseconds(line: dict[str, object]) -> None:
    line["timestamp"] = 1_795_838_013_000


def a_float(line: dict[str, object]) -> None:
    line["group_id"] = 20241022.0


def another_key(line: dict[str, object]) -> None:
    line["index"] = 0


PANDAS = "pandas rewrote the file, and turns texts into times and numbers unless convert_dates=False, dtype=False"
FOREIGN = "the file is of another kind, or another program rewrote it"
LINE = "Delete the line and run again: only that group is redone."


@pytest.mark.parametrize(
    ("change", "says", "by"),
    [
        (milliseconds, "key timestamp is 1795838013000: input should be a valid string (group QC-1, 1 photo)", PANDAS),
        (a_float, "key group_id is 20241022.0: input should be a valid string (group 20241022.0, 1 photo)", FOREIGN),
        (another_key, "unknown key index (group QC-1, 1 photo)", FOREIGN),
        (lambda line: line.pop("images"), "key images is missing (group QC-1)", FOREIGN),
    ],
)
def test_a_fault_that_every_line_has_is_named_as_one_of_the_file(
    tmp_path: Path, change: Callable[[dict[str, object]], object], says: str, by: str
) -> None:
    assert message(tmp_path / "a.jsonl", lines_with(change, 1, 2, 3)) == (
        f":1: {says}. Every line has this fault: {by}. Give another file, or restore this one as yanshou wrote it."
    )
    for number, numbers in ((1, (1,)), (1, (1, 3)), (2, (2, 3))):
        found = message(tmp_path / "a.jsonl", lines_with(change, *numbers))
        assert found.startswith(f":{number}: ")
        assert found.endswith(LINE)


def test_a_file_of_one_line_has_a_fault_of_the_line_unless_pandas_wrote_it(tmp_path: Path) -> None:
    for change, pandas in ((milliseconds, True), (another_key, False)):
        found = message(tmp_path / "a.jsonl", lines_with(change, 1).splitlines(keepends=True)[0])
        assert (PANDAS in found, found.endswith(LINE)) == (pandas, not pandas)


def test_a_table_of_pandas_is_named(tmp_path: Path) -> None:
    columns = {key: {str(row): one[key] for row, one in enumerate(OBJECTS)} for key in OBJECTS[0]}
    split = {"columns": list(OBJECTS[0]), "index": [0], "data": [list(OBJECTS[0].values())]}
    table = {"schema": {"fields": []}, "data": OBJECTS}
    for value in (columns, split, table):
        found = message(tmp_path / "a.jsonl", dumped(value) + b"\n")
        assert "The whole file is one object of columns, as pandas writes it: write it with orient='records'" in found
        assert "Delete" not in found


def test_escapes_other_spaces_and_crlf_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    wanted = [record(number) for number in (1, 2, 3)]
    for data in (
        "".join(json.dumps(one) + "\n" for one in OBJECTS).encode(),  # \uXXXX
        LINES.replace(b"/", b"\\/"),  # as pandas writes them
        b"".join(dumped(one, separators=(",", ":")) + b"\n" for one in OBJECTS),
        LINES.replace(b"\n", b"\r\n"),
    ):
        path.write_bytes(data)
        assert [one for _, one in read_records(path, StageARecord)] == wanted


def test_a_training_file_that_was_converted_is_named_too(tmp_path: Path) -> None:
    row = {"messages": [], "solution": "通过"}
    (tmp_path / "train.jsonl").write_bytes((json.dumps(row, ensure_ascii=False) + "\n").encode("gbk") * 3)
    with pytest.raises(DamagedFileError, match=r"train.jsonl: the whole file is GBK"):
        list(read_rows(tmp_path / "train.jsonl", TrainRow))
