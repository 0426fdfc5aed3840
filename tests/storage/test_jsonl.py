"""Guarantees of `yanshou.storage.jsonl`."""

import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.lines import SHIELD, stage_a_line

from yanshou.errors import DamagedFileError, InputError
from yanshou.schema.records import StageARecord
from yanshou.storage.jsonl import REDO, dump_line, read_lines, read_object, read_records

ONE = dump_line({"n": 1, "text": "挡风板×1"})


def record(number: int, photos: int = 1) -> StageARecord:
    texts = [f"螺丝×{n}" for n in range(1, photos + 1)]
    return StageARecord(**stage_a_line(f"QC-TEMP-20241022-{number:07}", "pass", *texts, mission=SHIELD))


# Any text that a line can hold: model text, and file names with bytes that are not UTF-8.
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\udc80\udcff"))
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.dictionaries(TEXT, VALUE), max_size=4))
def test_written_lines_read_as_they_were(tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.getbasetemp() / "round.jsonl"
    path.write_bytes(b"".join(map(dump_line, lines)))
    assert list(read_lines(path)) == list(enumerate(lines, 1))


def test_a_line_is_readable_text_with_its_keys_in_order() -> None:
    line = dump_line(record(1))
    assert line.decode().startswith(
        '{"group_id": "QC-TEMP-20241022-0000001", "mission": "挡风板安装检查", "label": "pass"'
    )
    assert line.count(b"\n") == 1


def test_a_file_name_that_is_not_utf8_survives_writing_and_reading(tmp_path: Path) -> None:
    odd = record(1).model_copy(update={"images": [b"/data/\xff\xfe.jpg".decode(errors="surrogateescape")]})
    (tmp_path / "a.jsonl").write_bytes(dump_line(odd))
    assert list(read_records(tmp_path / "a.jsonl", StageARecord)) == [(1, odd)]


def test_a_repeated_key_among_many_is_found_in_time_in_proportion(tmp_path: Path) -> None:
    """Counting each key among all others would take hours."""
    path = tmp_path / "a.jsonl"
    keys = ", ".join(f'"图片_{number}": ""' for number in [*range(200_000), 199_999])
    path.write_text(f'{{"per_image": {{{keys}}}}}\n', encoding="utf-8")
    with pytest.raises(DamagedFileError, match=r"a\.jsonl:1: key 图片_199999 occurs twice"):
        list(read_lines(path))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"\n", "blank"),
        (b"  \r\n", "blank"),
        (b'{"n": }\n', "not JSON at character 7, expecting value: '{\"n\": }\\n'"),
        (b'{"n": 1} {"n": 2}\n', 'not JSON at character 10, extra data: \'{"n": 1} {"n": 2}\\n\''),
        (b"\0\0\0\n", "not JSON at character 1, expecting value: '\\x00\\x00\\x00\\n'"),
        (b'{"n": "\xff"}\n', 'not UTF-8 at byte 8: b\'{"n": "\\xff"}\\n\''),
        (b"[1, 2]\n", "not an object but [1, 2]"),
        (b'{"n": NaN}\n', "NaN is not a JSON number"),
        (b'{"n": -Infinity}\n', "-Infinity is not a JSON number"),
        (b'{"n": 1e999}\n', "1e999 is too large a number"),
        (b'{"n": {"m": 1, "m": 2}}\n', "key m occurs twice"),
        (b"[" * 100_000 + b"\n", "nested too deeply: '[[["),
        (b'{"n": 1, "te', 'incomplete, because the run that wrote it was killed: \'{"n": 1, "te\''),
    ],
)
def test_a_damaged_line_is_an_error_naming_file_line_and_cure(tmp_path: Path, line: bytes, what: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(ONE + line)
    lines = read_lines(path)
    assert next(lines) == (1, {"n": 1, "text": "挡风板×1"})
    with pytest.raises(DamagedFileError) as error:
        next(lines)
    assert str(error.value).startswith(f"{path}:2: {what}")
    assert str(error.value).endswith(f". {REDO}")
    assert len(str(error.value)) < 300 + len(str(path))


HUGE = b"x" * 5_000_000


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (HUGE + b"\n", "not JSON at character 1, expecting value: 'xxxxxxxxxxxxxxx'"),
        (b'{"n": "' + HUGE + b"\n", "not JSON at character 5000008, invalid control character at: 'xxxxxxxxxxxxxxx"),
        (b'{"n": "' + HUGE + b'\xff"}\n', "not UTF-8 at byte 5000008: b'xxxxxxxxxxxxxxx\\xff\"}\\n'"),
        (b'"' + HUGE + b'"\n', "not an object but 'xxx"),
        (b'{"%s": 1, "%s": 2}\n' % (HUGE, HUGE), "key xxx"),
        (b"\0" * 5_000_000 + b"\n", "not JSON at character 1, expecting value: '\\x00\\x00"),
        (b'{"n": "' + HUGE, "incomplete, because the run that wrote it was killed: '{\"n\": \"xxx"),
        (dump_line({**record(1).model_dump(), HUGE.decode(): 1}), "unknown key xxx"),
        (dump_line({**record(1).model_dump(), "label": HUGE.decode()}), "key label is 'xxx"),
        (dump_line({**record(1).model_dump(), "clean_texts": [HUGE.decode()]}), "图片_1 is '螺丝×1' in "),
        (dump_line({"group_id": HUGE.decode()}), "key mission is missing (group xxx"),
    ],
    ids=str.split("garbage cut bytes string keys zeros torn key value text group"),
)  # fmt: skip
def test_a_huge_damaged_line_gets_a_short_message(tmp_path: Path, line: bytes, what: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(dump_line(record(2)) + line)
    with pytest.raises(DamagedFileError) as error:
        list(read_records(path, StageARecord))
    assert str(error.value).startswith(f"{path}:2: {what}")
    assert str(error.value).endswith(f". {REDO}")
    assert len(str(error.value)) < 300 + len(str(path))


def test_a_damaged_record_is_named_with_its_group_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "挡风板安装检查_stage_a.jsonl"
    fields = record(7, photos=4).model_dump()
    del fields["per_image"]["图片_3"]
    path.write_bytes(dump_line(record(6)) + dump_line(fields))
    with pytest.raises(DamagedFileError) as error:
        list(read_records(path, StageARecord))
    assert str(error.value) == (
        f"{path}:2: key 图片_3 is missing (group QC-TEMP-20241022-0000007, 4 photos). "
        "Delete the line and run again: only that group is redone."
    )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"timestamp": ...}, "key timestamp is missing (group QC-TEMP-20241022-0000001, 1 photo)"),
        ({"verdict": "pass"}, "unknown key verdict (group"),
        ({"label": "maybe"}, "key label is 'maybe': input should be 'pass' or 'fail' (group"),
        ({"clean_texts": [1]}, "key clean_texts.0 is 1: input should be a valid string (group"),
    ],
)
def test_a_key_that_no_run_writes_is_named(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    fields = {key: value for key, value in (record(1).model_dump() | change).items() if value is not ...}
    (tmp_path / "a.jsonl").write_bytes(dump_line(fields))
    with pytest.raises(DamagedFileError) as error:
        list(read_records(tmp_path / "a.jsonl", StageARecord))
    assert f":1: {what}" in str(error.value)


def test_a_file_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file or directory"):
        list(read_lines(tmp_path / "none.jsonl"))


def test_an_object_is_read_from_a_regular_file_only(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.run.json")
    (tmp_path / "device.run.json").symlink_to("/dev/null")
    for path in (tmp_path / "device.run.json", tmp_path / "pipe.run.json", tmp_path):
        with pytest.raises(InputError) as error:
            read_object(path, "Restore the file.")
        assert str(error.value) == f"{path}: not a regular file. Restore the file."
    with pytest.raises(InputError, match="No such file or directory"):
        read_object(tmp_path / "none.run.json", "")


def test_reading_holds_one_line_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(dump_line(record(1, photos=10)) * 5_000)  # 5 MB
    tracemalloc.start()
    assert sum(1 for _ in read_lines(path)) == 5_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000
