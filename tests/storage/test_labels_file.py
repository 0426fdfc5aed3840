"""Labels files: the latest word on each group, from spreadsheets and from programs; every fault with its place."""

import json
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.label_rows import MORNING, NOON, as_csv, row
from support.lines import CABLES, GROUNDING

from yanshou.errors import InputError
from yanshou.missions import load_missions
from yanshou.schema.label_row import LabelsUsed
from yanshou.schema.records import GroupKey, Label
from yanshou.storage.jsonl import dump_line
from yanshou.storage.labels_file import COLUMNS, Labels, read_labels

KNOWN = load_missions()
HEADER = ",".join(COLUMNS)
GROUP = GroupKey(GROUNDING, "pass", "QC-1")


def read(folder: Path, content: str | bytes, name: str = "labels.csv") -> Labels:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_labels([path], KNOWN)


def message(folder: Path, content: str | bytes, name: str = "labels.csv") -> str:
    with pytest.raises(InputError) as error:
        read(folder, content, name)
    return str(error.value).removeprefix(f"{folder}/")


def test_the_latest_row_counts_and_the_folders_label_without_a_row(tmp_path: Path) -> None:
    labels = read(tmp_path, as_csv(row("fail", NOON), row("pass"), row("unsure", group="QC-2")))
    assert labels.label_of(GROUP) == "fail"
    assert labels.label_of(GROUP._replace(group_id="QC-2")) is None
    assert [labels.is_unsure(GROUP._replace(group_id=group)) for group in ("QC-1", "QC-2", "QC-3")] == [0, 1, 0]
    assert labels.label_of(GROUP._replace(group_id="QC-3")) == "pass"
    assert labels.label_of(GROUP._replace(label="fail")) == "fail"  # the same id under the other label


def test_times_are_compared_across_offsets(tmp_path: Path) -> None:
    rows = row("fail", "2026-02-03T09:00:00+08:00"), row("pass", "2026-02-03T02:00:00Z")  # 10:00 in China
    assert read(tmp_path, as_csv(*rows)).label_of(GROUP) == "pass"


def test_equal_times_with_different_labels_name_both_lines(tmp_path: Path) -> None:
    rows = row("fail"), row("pass", "2026-02-03T01:30:00Z")
    assert message(tmp_path, as_csv(*rows)) == (
        f"labels.csv:3: group QC-1 ({GROUNDING}, pass) is pass, and fail at {tmp_path}/labels.csv:2, both at "
        "2026-02-03T01:30:00+00:00. Add a row with a later time, or delete one of the two."
    )
    assert read(tmp_path, as_csv(*rows, row("fail", NOON))).label_of(GROUP) == "fail"
    assert read(tmp_path, as_csv(row("fail"), row("fail", who="Wang"))).label_of(GROUP) == "fail"


def test_a_spreadsheets_file_is_read_as_it_is(tmp_path: Path) -> None:
    content = (
        "\ufeffComment,When , mission,group_id,label_given,label,who\r\n"
        f'"blurred, see ""2""\n",{MORNING},BBU线缆布放要求, QC-1 ,通过,不通过,李\r\n'
        ",,,,,,\r\n"
        f",{NOON},{GROUNDING},QC-2,,审核通过,李\r\n"
    )
    labels = read(tmp_path, content, "标签.CSV")
    assert labels.label_of(GroupKey(CABLES, "pass", "QC-1")) == "fail"
    assert labels.label_of(GroupKey(GROUNDING, None, "QC-2")) == "pass"
    assert [placed.place.rpartition(":")[2] for placed in labels.latest.values()] == ["2", "5"]
    (file,) = labels.files
    assert (file.file, file.sha256) == ("标签.CSV", sha256(content.encode()).hexdigest())


def test_json_lines_say_the_same(tmp_path: Path) -> None:
    labels = read(tmp_path, b"".join(map(dump_line, [row("fail"), row("pass", given=None, note="")])), "a.jsonl")
    assert labels.label_of(GROUP) == "fail"
    assert labels.label_of(GROUP._replace(label=None)) == "pass"


FAULTS = {
    "mission,group_id,label_given,label,who\n": (
        "labels.csv:1: column when is missing among 'mission, group_id, label_given, label, who'. The first row is "
        f"{HEADER}."
    ),
    HEADER.replace(",", ";"): (
        f"labels.csv:1: column mission is missing among '{HEADER.replace(',', ';')}'. Cells are separated by ';': use "
        "commas."
    ),
    f"{HEADER},label\n": "labels.csv:1: column label is there twice. Delete one.",
    f"{HEADER}\n": "labels.csv: no row. Give a file with at least one row of labels.",
    "": "labels.csv: no row. Give a file with at least one row of labels.",
    f"{HEADER}\nm,QC-1,pass,fail,Li,{MORNING},x\n": (
        "labels.csv:2: 7 cells for 6 columns. Quote a cell that holds a comma."
    ),
    f'{HEADER}\nm,QC-1,pass,fail,"Li,{MORNING}\n': (
        "labels.csv:2: not CSV: unexpected end of data. Close every quoted cell, and double quotes in it."
    ),
    as_csv(row("ok")): (
        "labels.csv:2: key label is 'ok': expected pass, fail or unsure (通过, 不通过 or 不确定) (group QC-1). Correct "
        "the row."
    ),
    as_csv(row("fail", given="unsure")): (
        "labels.csv:2: key label_given is 'unsure': expected pass, fail (通过, 不通过), or nothing for a group without "
        "a label (group QC-1). Correct the row."
    ),
    as_csv(row("fail", "2026/2/3 9:30")): (
        "labels.csv:2: key when is '2026/2/3 9:30': expected ISO 8601, as 2026-02-03T09:30:00+08:00. Excel rewrites "
        "dates: format the column as text before typing (group QC-1). Correct the row."
    ),
    as_csv(row("fail", "2026-02-03 09:30")): (
        "labels.csv:2: key when is '2026-02-03 09:30': the offset from UTC is missing. In China add +08:00, as "
        "2026-02-03T09:30:00+08:00 (group QC-1). Correct the row."
    ),
    as_csv(row("fail", who=" ")): "labels.csv:2: key who is ' ': expected a text (group QC-1). Correct the row.",
    as_csv(row("fail", group="")): "labels.csv:2: key group_id is '': expected a text. Correct the row.",
}


@pytest.mark.parametrize("content", FAULTS)
def test_a_fault_is_named_with_its_line_and_cure(tmp_path: Path, content: str) -> None:
    assert message(tmp_path, content) == FAULTS[content]


def test_a_fault_of_json_lines_is_named(tmp_path: Path) -> None:
    without = {name: value for name, value in row("fail").items() if name != "label_given"}
    lines = json.dumps(row("fail")) + "\n" + json.dumps(without)
    assert message(tmp_path, lines, "a.jsonl") == "a.jsonl:2: key label_given is missing (group QC-1). Correct the row."
    assert "a.jsonl:1: not JSON at character 1" in message(tmp_path, as_csv(row("fail")), "a.jsonl")
    assert "key when is 1770082200" in message(tmp_path, json.dumps(row("fail", when=1770082200)), "a.jsonl")
    assert "key label is None" in message(tmp_path, json.dumps({**row("fail"), "label": None}), "a.jsonl")


def test_other_encodings_and_files_are_named_with_what_to_do_in_a_spreadsheet(tmp_path: Path) -> None:
    assert message(tmp_path, as_csv(row("fail", who="李")).encode("gbk")) == (
        "labels.csv: the whole file is GBK, not UTF-8: in Excel, save it as CSV UTF-8 (comma delimited), or convert it "
        "back with iconv -f GBK -t UTF-8."
    )
    assert "the whole file is UTF-16LE, not UTF-8" in message(tmp_path, as_csv(row("fail")).encode("utf-16-le"))
    assert "in Excel, save it as CSV UTF-8" in message(tmp_path, b"PK\x03\x04rest")
    assert message(tmp_path, as_csv(row("fail", who="x李")).encode() + b"\xff").startswith("labels.csv:3: not UTF-8")
    assert message(tmp_path, "", "labels.xlsx") == (
        "labels.xlsx: a labels file ends with .csv or .jsonl. Rename it, or give another file."
    )
    with pytest.raises(InputError, match=r"none\.csv: cannot be read: No such file or directory. Check the path"):
        read_labels([tmp_path / "none.csv"], KNOWN)


def test_what_the_rows_do_is_counted_and_rows_without_a_group_are_named(tmp_path: Path) -> None:
    keys = [GROUP._replace(group_id=f"QC-{number}") for number in range(6)] + [GroupKey(GROUNDING, None, "QC-9")]
    labels = read(tmp_path, as_csv(
        row("pass", group="QC-0"), row("fail", group="QC-1"), row("unsure", group="QC-2"),
        row("fail", group="QC-9", given=None), row("fail", group="QC-3", given="fail"), row("fail", mission="门禁检查"),
    ))  # fmt: skip
    used = labels.used(keys)
    assert used == LabelsUsed(files=list(labels.files), confirmed=1, pass_to_fail=1, added=1, unsure=1)
    assert (used.groups, used.corrected) == (4, 1)
    assert str(used) == (
        "4 groups: 1 confirmed, 1 from pass to fail, 0 from fail to pass, 1 without a label before, 1 unsure"
    )
    assert labels.warnings(keys) == [
        f"labels of 1 groups that are not there, so they have no effect: {tmp_path}/labels.csv:6: group QC-3 "
        f"({GROUNDING}, fail). Check mission, group_id and label_given, which is the folder's label",
        "labels of 1 groups are about missions without a group here: 门禁检查",
    ]
    assert "; and 1 more. Check" in Labels({GROUP._replace(group_id=str(n)): next(iter(labels.latest.values()))
                                            for n in range(4)}).warnings(keys)[0]  # fmt: skip
    assert Labels().warnings(keys) == []
    assert Labels().used(keys) is None


times = st.builds(
    lambda minutes, hours: datetime(2026, 2, 3, tzinfo=timezone(timedelta(hours=hours))) + timedelta(minutes=minutes),
    st.integers(0, 500), st.integers(-11, 13),
)  # fmt: skip
answers = st.sampled_from(["pass", "fail", "unsure"])
random_rows = st.lists(
    st.tuples(st.sampled_from("ABC"), st.sampled_from(["pass", "fail", None]), answers, times), min_size=1, max_size=12
)


def outcome(path: Path, content: bytes) -> dict[GroupKey, Label | None] | str:
    path.write_bytes(content)
    try:
        labels = read_labels([path], KNOWN)
    except InputError as error:
        return "contradiction" if "both at" in str(error) else str(error)
    return {key: labels.label_of(key) for key in labels.latest}


@settings(max_examples=60, deadline=None)
@given(random_rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_and_the_format_have_no_effect(rows: list[Any], random: Any) -> None:
    said = [row(label, when.isoformat(), group, folder) for group, folder, label, when in rows]
    expected: dict[GroupKey, Label | None] | str = {}
    for group, folder, _, _ in rows:
        about = [(when, label) for other, its, label, when in rows if (other, its) == (group, folder)]
        last = {label for when, label in about if when == max(about)[0]}
        if len(last) > 1:
            expected = "contradiction"
            break
        (label,) = last
        expected[GroupKey(GROUNDING, folder, group)] = None if label == "unsure" else label
    shuffled = random.sample(said, len(said))
    with TemporaryDirectory() as path:
        assert outcome(Path(path) / "a.csv", as_csv(*said).encode()) == expected
        assert outcome(Path(path) / "b.csv", as_csv(*shuffled).encode("utf-8-sig")) == expected
        assert outcome(Path(path) / "c.jsonl", b"".join(map(dump_line, shuffled))) == expected
