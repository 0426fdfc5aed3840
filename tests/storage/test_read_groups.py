"""Groups from files of lines: each once, under its mission's own name; damage is named with file, line and group."""

import json
from pathlib import Path

import pytest
from support.lines import stage_a_line, write_lines

from yanshou.errors import DamagedFileError, InputError, UsageError
from yanshou.missions import load_missions
from yanshou.schema.records import GroupKey, GroupRecord, StageARecord, VerdictRecord
from yanshou.storage.read_groups import read_groups

KNOWN = load_missions()


def groups(path: Path, *groups: tuple[str, str, str | None]) -> Path:
    keys = ("group_id", "mission", "label")
    path.write_text("".join(json.dumps(dict(zip(keys, group, strict=True))) + "\n" for group in groups))
    return path


def read(*paths: Path, any_mission: bool = False) -> list[tuple[str, str]]:
    return [
        (f"{place.path.name}:{place.line}", str(record.key))
        for place, record in read_groups(paths, GroupRecord, KNOWN, any_mission=any_mission)
    ]


def test_groups_come_in_the_files_order_with_their_places(tmp_path: Path) -> None:
    first = groups(tmp_path / "a", ("QC-2", "BBU线缆布放要求", "pass"), ("QC-1", "挡风板安装检查", None))
    second = groups(tmp_path / "b", ("QC-1", "挡风板安装检查", "fail"))
    assert read(first, second) == [
        ("a:1", "QC-2 (BBU线缆布放, pass)"),
        ("a:2", "QC-1 (挡风板安装检查, no label)"),
        ("b:1", "QC-1 (挡风板安装检查, fail)"),
    ]


def test_a_file_given_twice_is_read_once(tmp_path: Path) -> None:
    file, link = groups(tmp_path / "a", ("QC-1", "挡风板安装检查", "pass")), tmp_path / "b"
    link.symlink_to(file)
    assert len(read(file, link, file)) == 1


def test_a_repeated_group_is_named_with_both_places(tmp_path: Path) -> None:
    file = groups(tmp_path / "a", ("QC-1", "BBU线缆布放", "pass"), ("QC-1", "BBU线缆布放要求", "pass"))
    with pytest.raises(DamagedFileError, match=r"/a:2: group QC-1 \(BBU线缆布放, pass\) is already at .*/a:1"):
        read(file)


def test_groups_of_two_runs_can_be_compared_if_they_are_of_a_kind_that_compare_takes(tmp_path: Path) -> None:
    first, second = (write_lines(tmp_path / name, [stage_a_line("QC-1", "pass")]) for name in ("a b", "c"))
    with pytest.raises(DamagedFileError) as error:
        list(read_groups([first, second], StageARecord, KNOWN))
    assert f"compared by `yanshou compare '{first}' {second}`" in str(error.value)
    assert "Keep one of the two lines" not in str(error.value)
    files = [groups(tmp_path / name, ("QC-1", "BBU线缆布放", "pass")) for name in ("d", "e")]
    with pytest.raises(DamagedFileError, match=r"already at .*/d:1\. Give the files of one run only\.$"):
        read(*files)


def test_an_unknown_mission_is_named_with_its_place_or_kept(tmp_path: Path) -> None:
    file = groups(tmp_path / "a", ("QC-1", "门禁检查", "pass"))
    with pytest.raises(InputError, match=r"/a:1: group QC-1 .*unknown mission '门禁检查'. Known missions: "):
        read(file)
    assert read(file, any_mission=True) == [("a:1", "QC-1 (门禁检查, pass)")]


@pytest.mark.parametrize("record_type", [StageARecord, VerdictRecord])
def test_files_of_another_kind_are_wrong_usage_not_damage(tmp_path: Path, record_type: type[GroupRecord]) -> None:
    endings = {StageARecord: ("_stage_a", "_verdicts"), VerdictRecord: ("_verdicts", "_stage_a")}
    own, other = endings[record_type]
    for name in (f"a{own}.errors.jsonl", f"a{own}.removed.jsonl", f"a{own}.run.json", f"a{other}.jsonl", "groups.csv"):
        file = groups(tmp_path / name, ("QC-1", "BBU线缆布放", "pass"))
        with pytest.raises(UsageError, match=rf"is not a file of .* Give <mission>{own}\.jsonl"):
            list(read_groups([file], record_type, KNOWN))


def test_a_byte_order_mark_is_named_and_no_line_has_to_be_deleted(tmp_path: Path) -> None:
    file = groups(tmp_path / "a", ("QC-1", "BBU线缆布放", "pass"))
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    with pytest.raises(DamagedFileError, match=r"/a: the whole file is UTF-8 with a byte-order mark: save it"):
        read(file)


def test_a_damaged_line_names_the_command_that_writes_it_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"group_id": "QC-1"}\n')
    with pytest.raises(DamagedFileError, match=r"/a:1: key mission is missing \(group QC-1\). .*`yanshou summarize`"):
        read(tmp_path / "a")


def test_control_characters_of_an_id_are_escaped() -> None:
    key = GroupKey("门禁检查", "pass", "\x1b[2J\nQC\udcff")
    assert str(key) == "\\x1b[2J\\nQC\\xff (门禁检查, pass)"


def test_a_very_long_id_or_mission_is_shortened(tmp_path: Path) -> None:
    for group in (("Q" * 10_000_000, "门禁", "pass"), ("QC-1", "门" * 1_000_000, "pass")):
        with pytest.raises(InputError) as error:
            read(groups(tmp_path / "a", group))
        assert len(str(error.value)) < 1000
