"""Which files can be compared, and which groups are the same."""

from pathlib import Path

import pytest
from support.compared_files import run_compare, write_side
from support.lines import GOOD, fault, stage_a_line, truth_line, verdict, write_lines

from yanshou.compare.pairs import failed_groups, kind_of, read_pairs
from yanshou.compare.summaries_compared import Summaries
from yanshou.errors import DamagedFileError, UsageError
from yanshou.missions import load_missions
from yanshou.schema.records import GroupKey, StageARecord, VerdictRecord

MISSIONS = load_missions()


def test_the_kind_is_what_the_first_line_is_whatever_the_name(tmp_path: Path) -> None:
    assert kind_of(write_lines(tmp_path / "fp8.jsonl", [stage_a_line("QC-1")])) is StageARecord
    assert kind_of(write_lines(tmp_path / "foreign.jsonl", [verdict("QC-1")])) is VerdictRecord


def test_an_empty_file_is_of_the_kind_that_its_name_says(tmp_path: Path) -> None:
    assert kind_of(write_lines(tmp_path / "m_stage_a.jsonl", [])) is StageARecord
    assert kind_of(write_lines(tmp_path / "m_verdicts.jsonl", [])) is VerdictRecord
    with pytest.raises(UsageError, match="neither a Stage-A file nor a file of verdicts"):
        kind_of(write_lines(tmp_path / "m.jsonl", []))


@pytest.mark.parametrize(("kind", "command"), [("stage_a", "summarize"), ("verdicts", "judge")])
def test_a_damaged_first_line_names_the_command_that_wrote_it(tmp_path: Path, kind: str, command: str) -> None:
    path = tmp_path / f"m_{kind}.jsonl"
    path.write_text("{\n")
    with pytest.raises(DamagedFileError, match=f"m_{kind}.jsonl:1: .* run `yanshou {command}` again"):
        kind_of(path)


def test_files_of_other_kinds_are_named(tmp_path: Path) -> None:
    lines = write_side(tmp_path / "a", [stage_a_line("QC-1")])
    verdicts = write_side(tmp_path / "b", [verdict("QC-1")], "verdicts")
    truth = write_lines(tmp_path / "truth.jsonl", [truth_line("QC-1", "pass", GOOD)])
    errors = write_lines(tmp_path / "m_stage_a.errors.jsonl", [fault("QC-1")])
    mixed = run_compare(lines, verdicts, tmp_path / "out")
    assert mixed.exit_code == 2
    assert "m_stage_a.jsonl is a file of summaries" in mixed.stderr
    assert "m_verdicts.jsonl one of verdicts. Give two files of one kind" in mixed.stderr
    for other, cure in ((truth, "`yanshou score`"), (errors, "Give two files <mission>_stage_a.jsonl")):
        refused = run_compare(lines, other, tmp_path / "out")
        assert refused.exit_code == 2
        assert f"{other} is neither" in refused.stderr
        assert cure in refused.stderr
    assert not (tmp_path / "out").exists()


def test_one_file_twice_and_other_numbers_of_files_are_wrong_usage(tmp_path: Path) -> None:
    lines = write_side(tmp_path / "a", [stage_a_line("QC-1")])
    link = tmp_path / "link.jsonl"
    link.symlink_to(lines)
    assert "is given twice" in run_compare(lines, link, tmp_path / "out").stderr
    three = run_compare(lines, lines, tmp_path / "out", str(lines))
    assert three.exit_code == 2
    assert "two files are compared, A and B, and 3 are given" in three.stderr


def test_mission_label_and_id_make_a_pair_and_an_alias_is_the_mission(tmp_path: Path) -> None:
    a = write_side(
        tmp_path / "a",
        [stage_a_line("QC-1", mission="BBU线缆布放要求"), stage_a_line("QC-2"), stage_a_line("QC-3", "fail")],
    )
    b = write_side(tmp_path / "b", [stage_a_line("QC-2", "fail"), stage_a_line("QC-1", mission="BBU线缆布放")])
    pairs = read_pairs(a, b, StageARecord, MISSIONS, Summaries.of)
    assert [(one and one.key[1:], other and other.key[1:]) for one, other in pairs] == [
        (None, ("fail", "QC-2")), (("pass", "QC-1"), ("pass", "QC-1")), (("pass", "QC-2"), None),
        (("fail", "QC-3"), None),
    ]  # fmt: skip


def test_no_group_in_common_is_an_error_that_shows_both_sides(tmp_path: Path) -> None:
    a = write_side(tmp_path / "a", [stage_a_line("QC-1"), stage_a_line("QC-2")])
    b = write_side(tmp_path / "b", [stage_a_line("QC-1", None)])
    result = run_compare(a, b, tmp_path / "out")
    assert result.exit_code == 1
    assert "has 2 groups, first QC-1 (BBU接地线检查, pass)" in result.stderr
    assert "has 1 groups, first QC-1 (BBU接地线检查, no label)" in result.stderr


def test_the_groups_that_failed_are_those_of_the_errors_file(tmp_path: Path) -> None:
    a = write_side(tmp_path, [stage_a_line("QC-1")])
    assert failed_groups(a, MISSIONS) == frozenset()
    write_lines(tmp_path / "m_stage_a.errors.jsonl", [fault("QC-2", mission="BBU线缆布放要求"), fault("QC-2", "fail")])
    assert failed_groups(a, MISSIONS) == {
        GroupKey("BBU线缆布放", "pass", "QC-2"), GroupKey("BBU接地线检查", "fail", "QC-2"),
    }  # fmt: skip
