"""Reading the groups of an evaluation: each group of any file once, with warnings about gaps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.lines import BAD, CABLES, GROUNDING, SHIELD, fault, stage_a_line, verdict, write_lines
from support.training_rows import write_dataset

from yanshou.errors import DamagedFileError, InputError, UsageError
from yanshou.evaluate import evaluate
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.judged_groups import read_judged
from yanshou.evaluate.judged_set import NOT_JUDGED
from yanshou.missions import load_missions
from yanshou.schema.records import GroupKey

MISSIONS = load_missions()
Judged = Callable[..., Path]


def read(file: Path, *stage_a_files: Path) -> list[JudgedGroup]:
    return list(read_judged([file], stage_a_files or None, MISSIONS).groups)


def test_a_group_holds_what_each_file_says_about_it(judged: Judged) -> None:
    line = stage_a_line("QC-1", "fail", BAD)
    (group,) = read(judged([verdict("QC-1", "fail", "pass", 0.97, reason="看起来不错")], [line]))
    assert group.key == GroupKey(GROUNDING, "fail", "QC-1")
    assert (group.images, group.summaries) == (tuple(line["images"]), (BAD,))
    assert (group.verdict, group.file_verdict, group.reason, group.p_pass) == ("pass", "pass", "看起来不错", 0.97)
    assert group.rules is not None
    assert (group.rules_verdict, group.fault, group.outcome) == ("fail", None, "false release")
    assert "没有看到" in group.rules.reason


def test_a_fault_is_the_reason_for_a_missing_verdict(judged: Judged) -> None:
    groups = read(
        judged(
            [verdict("QC-1")], [stage_a_line("QC-1"), stage_a_line("QC-2")], [fault("QC-2", message="out of memory")]
        )
    )
    assert [(group.verdict, group.fault) for group in groups] == [("pass", None), (None, "generate: out of memory")]


def test_the_latest_of_several_attempts_counts(judged: Judged) -> None:
    old, new = fault("QC-1", message="old"), fault("QC-1", message="new", timestamp="2026-01-19T09:30:00+08:00")
    (group,) = read(judged([], [stage_a_line("QC-1")], [old, new, {**new, "message": "and this"}]))
    assert group.fault == "generate: new; generate: and this"


def test_a_verdict_counts_beside_a_leftover_fault(judged: Judged) -> None:
    (group,) = read(judged([verdict("QC-1")], None, [fault("QC-1")]))
    assert (group.verdict, group.fault) == ("pass", None)


def test_a_verdict_about_other_summaries_does_not_count(judged: Judged) -> None:
    """Whatever the clocks say: the summaries of QC-1 are a century newer than its verdict."""
    lines = [stage_a_line("QC-1", timestamp="2126-01-01T00:00:00+08:00"), stage_a_line("QC-2", "pass", BAD)]
    found = read_judged([judged([verdict("QC-1"), verdict("QC-2")], lines, bind=False)], None, MISSIONS)
    one, other = found.groups
    assert (one.verdict, one.fault) == ("pass", None)
    assert (other.verdict, other.p_pass, other.outcome) == (None, None, "error")
    assert other.fault == "its summaries are not those it was judged from"
    (warning,) = found.warnings
    assert warning.startswith(f"group QC-2 ({GROUNDING}, pass): its summaries are not those it was judged from: ")


def test_verdicts_that_name_no_summaries_count_and_are_counted(judged: Judged) -> None:
    said = [verdict(f"QC-{number}", summaries_sha256=None) for number in range(3)]
    del said[0]["summaries_sha256"]  # as an earlier version wrote it
    lines = [stage_a_line(f"QC-{number}", "pass", BAD) for number in range(4)]
    result = evaluate(
        [judged([*said, verdict("QC-3")], [*lines[:3], stage_a_line("QC-3")], bind=False)], None, MISSIONS
    )
    assert [group.verdict for group in result.groups] == ["pass"] * 4
    (warning,) = result.warnings
    assert warning.startswith("3 verdicts do not name the summaries they were judged from (key summaries_sha256)")
    assert result.to_dict()["unbound_verdicts"] == 3


def row(group: str, solution: str = "通过", mission: str = GROUNDING) -> dict[str, Any]:
    """A line of a dataset."""
    messages = [{"role": "system", "content": "你是"}, {"role": "user", "content": "检查项"}]
    return {"messages": messages, "solution": solution, "group_id": group, "mission": mission, "summaries": []}


def test_an_evaluation_can_be_limited_to_the_groups_of_a_dataset(judged: Judged, tmp_path: Path) -> None:
    """Several rows about a group count once. The same id with the other label is another group."""
    lines = [("QC-1", "pass"), ("QC-1", "fail"), ("QC-2", "pass"), ("QC-3", "fail")]
    file = judged([verdict(*line) for line in lines], [stage_a_line(*line) for line in lines])
    data = write_dataset(tmp_path / "data", train=[row("QC-2"), row("QC-2")], val=[row("QC-1", "不通过")])
    train, val = data / "train.jsonl", data / "val.jsonl"
    found = read_judged([file], None, MISSIONS, [val])
    assert [(group.key.group_id, group.key.label) for group in found.groups] == [("QC-1", "fail")]
    assert found.warnings == (f"only the 1 groups of {val} are evaluated; 3 others are left out",)
    both = read_judged([file], None, MISSIONS, [train, val]).groups
    assert [(group.key.group_id, group.key.label) for group in both] == [("QC-1", "fail"), ("QC-2", "pass")]


def test_a_group_of_the_dataset_in_no_other_file_is_an_error(judged: Judged, tmp_path: Path) -> None:
    file = judged([verdict("QC-1")], [stage_a_line("QC-1")])
    val = write_lines(tmp_path / "val.jsonl", [row("QC-1"), row("QC-9"), row("QC-8", mission=CABLES)])
    with pytest.raises(InputError, match=r"val.jsonl: 1 groups are in none of the other files, first .*QC-9.*Give the"):
        read_judged([file], None, MISSIONS, [val])

    write_lines(val, [row("QC-1"), row("QC-8", mission=CABLES)])
    found = read_judged([file], None, MISSIONS, [val])
    assert len(found.groups) == 1
    assert "BBU线缆布放: 1 groups without a file of verdicts are left out" in found.warnings


def test_a_file_that_is_not_a_dataset_is_an_error(judged: Judged, tmp_path: Path) -> None:
    file = judged([verdict("QC-1")], [stage_a_line("QC-1")])
    with pytest.raises(DamagedFileError, match=r"_verdicts.jsonl:1: key messages is missing"):
        read_judged([file], None, MISSIONS, [file])


def test_groups_that_failed_in_stage_a_are_evaluated(judged: Judged) -> None:
    torn = fault("QC-2", step="load", message="a.jpg is empty")
    groups = read(judged([verdict("QC-1")], None, (), [torn]))
    assert [(group.key.group_id, group.fault) for group in groups] == [("QC-1", None), ("QC-2", "load: a.jpg is empty")]


def test_a_group_with_neither_verdict_nor_fault_is_named_and_counted(judged: Judged) -> None:
    file = judged([verdict("QC-1")], [stage_a_line("QC-1"), stage_a_line("QC-2", "fail")])
    found = read_judged([file], None, MISSIONS)
    assert [group.fault for group in found.groups] == [None, NOT_JUDGED]
    assert list(found.warnings) == [
        f"group QC-2 ({GROUNDING}, fail): neither a verdict nor a fault: counted as an error, not released. Judge it: "
        "run `yanshou judge` again, or the program that gave the verdicts"
    ]


def test_a_verdict_without_summaries_is_named_and_counted(judged: Judged) -> None:
    found = read_judged([judged([verdict("QC-1"), verdict("QC-2")], [stage_a_line("QC-1")])], None, MISSIONS)
    assert [group.rules_verdict for group in found.groups] == ["pass", None]
    assert [f"group QC-2 ({GROUNDING}, pass)" in warning for warning in found.warnings] == [True]


def test_warnings_of_one_kind_name_five_groups_at_most(judged: Judged) -> None:
    lines = [stage_a_line(f"QC-{number}") for number in range(100)]
    found = read_judged([judged([verdict("QC-0")], lines)], None, MISSIONS)
    assert len(found.groups) == 100
    assert len(found.warnings) == 6
    assert found.warnings[-1].startswith("94 more groups")


def test_one_id_under_both_labels_makes_two_groups(judged: Judged) -> None:
    assert len(read(judged([verdict("QC-1", "pass"), verdict("QC-1", "fail")]))) == 2


def test_missions_that_were_not_judged_are_left_out_with_a_warning(judged: Judged, tmp_path: Path) -> None:
    other = write_lines(tmp_path / "other.jsonl", [stage_a_line("QC-9", mission=SHIELD)])
    file = judged([verdict("QC-1")])
    found = read_judged([file], [tmp_path / f"{GROUNDING}_stage_a.jsonl", other], MISSIONS)
    assert [group.key.group_id for group in found.groups] == ["QC-1"]
    assert found.warnings == ("挡风板安装检查: 1 groups without a file of verdicts are left out",)


def test_an_empty_file_of_verdicts_counts_for_the_mission_in_its_name(judged: Judged) -> None:
    assert [group.fault for group in read(judged([], [stage_a_line("QC-1")]))] == [NOT_JUDGED]


def test_stage_a_files_of_other_groups_are_refused(judged: Judged) -> None:
    with pytest.raises(InputError, match="no line for any of the 1 groups with a verdict"):
        read(judged([verdict("QC-1")], [stage_a_line("QC-2")]))


def test_a_group_judged_twice_is_refused_with_both_places(judged: Judged) -> None:
    file = judged([verdict("QC-1"), verdict("QC-1", says="fail")], [stage_a_line("QC-1")])
    with pytest.raises(DamagedFileError, match=r"verdicts\.jsonl:2: group QC-1 .* is already at .*verdicts\.jsonl:1"):
        read(file)


@pytest.mark.parametrize("name", [f"{GROUNDING}_verdicts.errors.jsonl", f"{GROUNDING}_stage_a.jsonl", "groups.csv"])
def test_a_file_of_another_kind_given_for_the_verdicts_is_wrong_usage(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is not a file of verdicts"):
        read(tmp_path / name)


def test_an_unknown_mission_in_an_errors_file_is_named_with_file_and_line(judged: Judged) -> None:
    file = judged([verdict("A")], None, [fault("A"), fault("B") | {"mission": "门禁检查"}])
    with pytest.raises(InputError) as error:
        read(file)
    place = file.with_name(f"{GROUNDING}_verdicts.errors.jsonl:2")
    assert str(error.value).startswith(f"{place}: group B (门禁检查, pass): unknown mission '门禁检查'. Known")


def test_a_damaged_line_is_named(judged: Judged) -> None:
    with pytest.raises(DamagedFileError, match=r"_verdicts\.jsonl:1: key p_pass is 1\.5.*yanshou judge"):
        read(judged([verdict("QC-1", p=1.5)]))


def test_files_without_groups_are_an_error(judged: Judged) -> None:
    with pytest.raises(InputError, match="no group to evaluate"):
        read(judged([]))


IDS = st.sets(st.tuples(st.integers(0, 5), st.sampled_from(["pass", "fail", None])), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(IDS, IDS, IDS, IDS)
def test_every_group_counts_once_and_totals_add_up(
    judged: Judged, verdicts: set, lines: set, faults: set, torn: set
) -> None:  # type: ignore[type-arg]
    """Each group of any file is counted once, in one cell, for any combination of files that mention it."""
    everything = verdicts | lines | faults | torn
    if not everything or (verdicts and not verdicts & lines):
        return
    write = [[make(f"QC-{number}", label) for number, label in found] for make, found in (
        (verdict, verdicts), (stage_a_line, lines), (fault, faults), (fault, torn))]  # fmt: skip
    result = evaluate([judged(*write)], None, MISSIONS)
    assert {(int(g.key.group_id[3:]), g.key.label) for g in result.groups} == everything
    assert len(result.groups) == len(everything)
    assert all((group.verdict is None) == (group.fault is not None) for group in result.groups)
    for _, _, counts in result.overall.rows():
        assert counts.groups == len(everything) == counts.judged + counts.errors + counts.unlabelled
        assert counts.unlabelled == sum(label is None for _, label in everything)
    assert result.overall.judge.judged == sum(label is not None for _, label in verdicts)
    assert result.overall.rules.judged == sum(label is not None for _, label in lines)
