"""The groups of verdicts and decisions files, with what the machine says about each."""

import os
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from support.decision_lines import decided
from support.judged_files import write_judged
from support.lines import GOOD, GROUNDING, SHIELD, Line, fault, stage_a_line, verdict, write_lines

from yanshou.errors import InputError, UsageError
from yanshou.evaluate.judged_set import NOT_JUDGED
from yanshou.missions import load_missions
from yanshou.review.judged_files import NOT_DECIDED, FilesRead, read_files
from yanshou.schema.records import OTHER_SUMMARIES, GroupKey

MISSIONS = load_missions()


def read(*files: Path, stage_a: tuple[Path, ...] = ()) -> FilesRead:
    return read_files(files, stage_a, MISSIONS)


def write_decisions(verdicts: Path, *lines: Line) -> Path:
    return write_lines(verdicts.with_name(verdicts.name.replace("_verdicts", "_decisions")), lines)


def said(found: FilesRead) -> dict[str, tuple[Any, ...]]:
    return {group.key.group_id: (group.verdict, group.decision, group.p_pass, group.fault) for group in found.groups}


def test_verdicts_with_photos_and_rules(tmp_path: Path) -> None:
    (one,) = read(write_judged(tmp_path, [verdict("QC-1", "fail", p=0.9)])).groups
    assert one.key == GroupKey(GROUNDING, "fail", "QC-1")
    assert (one.verdict, one.reason, one.p_pass, one.rules_verdict, one.decision) == (
        "pass",
        "有图片_1",
        0.9,
        "pass",
        None,
    )
    assert one.images == (f"/photos/{GROUNDING}/审核不通过/QC-1/fail_1.jpg",)
    assert one.summaries == (GOOD,)


def test_new_jobs_have_no_label(tmp_path: Path) -> None:
    (one,) = read(write_judged(tmp_path, [verdict("QC-1", None)])).groups
    assert one.key == GroupKey(GROUNDING, None, "QC-1")


def test_decisions_take_verdict_and_reason_from_beside_them(tmp_path: Path) -> None:
    verdicts = write_judged(tmp_path, [verdict("QC-1", None, p=0.97), verdict("QC-2", None, p=0.5)])
    file = write_decisions(verdicts, decided("QC-1"), decided("QC-2", "review", p_pass=0.5))
    found = read(file)
    assert said(found) == {"QC-1": ("pass", "release", 0.97, None), "QC-2": ("pass", "review", 0.5, None)}
    assert [group.reason for group in found.groups] == ["有图片_1", "有图片_1"]
    assert found.warnings == ()


def test_empty_file_of_decisions_leaves_its_groups_undecided(tmp_path: Path) -> None:
    file = write_decisions(write_judged(tmp_path, [verdict("QC-1", None, p=0.97)]))
    assert file.stat().st_size == 0
    assert said(read(file)) == {"QC-1": ("pass", None, 0.97, NOT_DECIDED)}


def test_decisions_without_verdicts_beside_them(tmp_path: Path) -> None:
    verdicts = write_judged(tmp_path, [verdict("QC-1", None)])
    file = write_decisions(verdicts, decided("QC-1"))
    verdicts.unlink()
    found = read(file)
    assert said(found) == {"QC-1": (None, "release", 0.97, None)}
    assert found.groups[0].reason == "放行"  # the decision's own
    assert [f"{verdicts.name} is not beside it, so the verdicts" in warning for warning in found.warnings] == [True]


def test_files_of_both_kinds_over_missions(tmp_path: Path) -> None:
    verdicts = write_judged(tmp_path, [verdict("QC-1", None, mission=SHIELD)], mission=SHIELD)
    decisions = write_decisions(write_judged(tmp_path, [verdict("QC-2", None, p=0.97)]), decided("QC-2"))
    assert said(read(verdicts, decisions)) == {
        "QC-1": ("pass", None, 0.5, None),
        "QC-2": ("pass", "release", 0.97, None),
    }


def test_mission_by_both_kinds_is_refused(tmp_path: Path) -> None:
    verdicts = write_judged(tmp_path, [verdict("QC-1", None)])
    decisions = write_decisions(verdicts, decided("QC-1"))
    with pytest.raises(UsageError, match=f"^{GROUNDING} is in .*_verdicts.jsonl and in .*_decisions.jsonl. Give the"):
        read(verdicts, decisions)


def test_decisions_under_another_name_are_known_by_their_first_line(tmp_path: Path) -> None:
    verdicts = write_judged(tmp_path, [verdict("QC-1", None)])
    file = write_lines(tmp_path / "mine.jsonl", [decided("QC-1")])
    found = read(file, stage_a=(tmp_path / f"{GROUNDING}_stage_a.jsonl",))
    assert said(found) == {"QC-1": (None, "release", 0.97, None)}
    verdicts.rename(tmp_path / "judged.jsonl")
    assert len(read(tmp_path / "judged.jsonl", stage_a=(tmp_path / f"{GROUNDING}_stage_a.jsonl",)).groups) == 1


@pytest.mark.parametrize("name", ["_stage_a.jsonl", "_verdicts.errors.jsonl", "_verdicts.run.json"])
def test_files_beside_are_refused(tmp_path: Path, name: str) -> None:
    write_judged(tmp_path, [verdict("QC-1", None)])
    with pytest.raises(UsageError, match=r"is not a file of verdicts\. Give <mission>_verdicts.jsonl"):
        read(tmp_path / f"{GROUNDING}{name}")


def test_what_was_not_judged_and_what_was_not_decided_are_faults(tmp_path: Path) -> None:
    lines = [stage_a_line(name, None) for name in ("QC-1", "QC-2", "QC-3")]
    verdicts = write_judged(tmp_path, [verdict("QC-1", None, p=0.97)], lines, [fault("QC-2", None)])
    assert said(read(verdicts)) == {
        "QC-1": ("pass", None, 0.97, None),
        "QC-2": (None, None, None, "generate: out of memory"),
        "QC-3": (None, None, None, NOT_JUDGED),
    }
    later = write_decisions(verdicts, decided("QC-1"), decided("QC-2", "review", p_pass=None))
    assert said(read(later)) == {
        "QC-1": ("pass", "release", 0.97, None),
        "QC-2": (None, "review", None, "generate: out of memory"),
        "QC-3": (None, None, None, NOT_DECIDED),
    }


def test_verdict_about_other_summaries_does_not_count(tmp_path: Path) -> None:
    lines = [stage_a_line("QC-1", None, "电线/分布散乱×1"), stage_a_line("QC-2", None)]
    verdicts = write_judged(tmp_path, [verdict("QC-1", None), verdict("QC-2", None)], lines, bind=False)
    decisions = write_decisions(verdicts, decided("QC-1"), decided("QC-2", p_pass=0.5))
    assert said(read(verdicts))["QC-1"] == (None, None, None, OTHER_SUMMARIES)
    assert said(read(decisions))["QC-1"] == (None, "release", None, OTHER_SUMMARIES)


def test_groups_without_a_line_have_no_photos(tmp_path: Path) -> None:
    verdicts = write_judged(
        tmp_path, [verdict("QC-1", None), verdict("QC-3", None)], [stage_a_line("QC-1", None)],
        stage_a_faults=[fault("QC-2", None, "a.jpg: the file is empty", step="load")],
    )  # fmt: skip
    found = read(verdicts)
    assert list(said(found)) == ["QC-1"]
    assert {key.group_id: why for key, why in found.without_line.items()} == {
        "QC-2": "load: a.jpg: the file is empty",
        "QC-3": "no line of Stage-A",
    }
    decisions = write_decisions(verdicts, decided("QC-1", p_pass=0.5), decided("QC-4", "review", p_pass=None))
    assert {key.group_id for key in read(decisions).without_line} == {"QC-2", "QC-3", "QC-4"}


def test_nothing_to_review(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"_verdicts.jsonl: no group to review\. Check the files\."):
        read(write_judged(tmp_path, []))


def test_verdicts_from_a_pipe(tmp_path: Path) -> None:
    verdicts, pipe = write_judged(tmp_path, [verdict("QC-1", None)]), tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    writer = Thread(target=lambda: pipe.write_bytes(verdicts.read_bytes()))
    writer.start()
    assert len(read(pipe, stage_a=(tmp_path / f"{GROUNDING}_stage_a.jsonl",)).groups) == 1
    writer.join()


def test_no_line_for_any_group(tmp_path: Path) -> None:
    verdicts = write_judged(tmp_path, [verdict("QC-1", None)], [])
    with pytest.raises(
        InputError, match=r"no line for any of the 1 groups .* name the judged Stage-A files with --stage-a"
    ):
        read(verdicts)


def test_unknown_stage_a_files(tmp_path: Path) -> None:
    verdicts = write_judged(tmp_path, [verdict("QC-1", None)])
    decisions = write_decisions(verdicts, decided("QC-1"))
    verdicts.with_suffix(".run.json").unlink()
    for file in (verdicts, decisions):
        with pytest.raises(InputError, match=r"its Stage-A files are unknown, because .*_verdicts.run.json is missing"):
            read(file)
    assert len(read(decisions, stage_a=(tmp_path / f"{GROUNDING}_stage_a.jsonl",)).groups) == 1


def test_decision_from_another_p_pass(tmp_path: Path) -> None:
    decisions = write_decisions(write_judged(tmp_path, [verdict("QC-1", None, p=0.2)]), decided("QC-1"))
    found = read(decisions)
    assert said(found) == {"QC-1": ("pass", "release", 0.97, None)}
    assert [warning.startswith("1 decisions were made from another p_pass") for warning in found.warnings] == [True]
