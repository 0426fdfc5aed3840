"""Figures belong to one judge: its name, two judges of one mission, and judges of several missions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.judged_files import amend, write_judged
from support.lines import GROUNDING, SHIELD, stage_a_line, verdict, write_lines

from yanshou.errors import InputError
from yanshou.evaluate import evaluate
from yanshou.evaluate.judges import Judge
from yanshou.missions import load_missions
from yanshou.schema.run_record import RunRecord

MISSIONS = load_missions()
Judged = Callable[..., Path]
MADE = {"checkpoint": "4f0c21ab" * 8, "dtype": "bfloat16", "prompts": {"system": "s", "focus": "f", "rule": "r"}}


def run_record(settings: dict[str, Any], environment: dict[str, Any] | None = None) -> RunRecord:
    times = {"started": "2026-01-18T09:30:00+08:00", "updated": "2026-01-18T09:30:00+08:00"}
    return RunRecord(
        format=1, yanshou="0", status="finished", counts={}, runs=1, settings=settings,
        environment=environment or {}, earlier_environments=[], **times,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "environment", "kind", "name"),
    [
        ({"checkpoint": "4f0c21ab99"}, {"checkpoint_folder": "/models/qwen-bbu"}, "checkpoint", "qwen-bbu 4f0c21ab"),
        ({"checkpoint": "4f0c21ab99"}, {}, "checkpoint", "4f0c21ab"),
        (
            {"checkpoint": "4f0c21ab99", "adapter": "77aa90ff00"},
            {"checkpoint_folder": "/models/qwen-bbu", "adapter_folder": "/run/checkpoint-200"},
            "checkpoint",
            "checkpoint-200 77aa90ff + 4f0c21ab",
        ),
        (
            {"checkpoint": "4f0c21ab99"},
            {"checkpoint_folder": "/hub/models--Qwen--Qwen3-VL-4B/snapshots/1f2e3d"},
            "checkpoint",
            "Qwen/Qwen3-VL-4B 4f0c21ab",
        ),
        ({"model": "qwen3-vl-30b"}, {"engine": "endpoint", "checkpoint_folder": "/x"}, "model", "qwen3-vl-30b"),
        ({"checkpoint": "rules", "rule": {"text": "x"}}, {}, "rules", "rules"),
        ({"stage_a": ["a.jsonl"]}, {}, "unknown", "unknown judge"),
    ],
)
def test_a_judge_is_named_by_what_judged(
    settings: dict[str, Any], environment: dict[str, Any], kind: str, name: str
) -> None:
    judge = Judge.of(run_record(settings, environment))
    assert (judge.kind, judge.name) == (kind, name)


@pytest.fixture
def two_files(tmp_path: Path) -> tuple[Path, Path]:
    """Two files of verdicts of one mission, each with a group of its own, and the same settings."""
    files = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        file = write_judged(folder, [verdict(f"QC-{number}", "pass"), verdict(f"QC-{number}b", "fail")])
        amend(file, **MADE, threshold=0.5 * number, sampling={"max_new_tokens": 100 * number, "seed": 0})
        files.append(file)
    return files[0], files[1]


def test_one_judge_in_two_files_of_a_mission_is_one_row(two_files: tuple[Path, Path]) -> None:
    """A threshold and the length of an answer are no part of a judge, as for a resume of `judge`."""
    result = evaluate(two_files, None, MISSIONS)
    assert [(row.what, row.name, row.counts.groups) for row in result.missions[GROUNDING].rows()] == [
        ("judge", "4f0c21ab", 4), ("rules", "rules", 4), ("always_pass", "always pass", 4),
    ]  # fmt: skip
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"checkpoint": "rules"}, "4f0c21ab (A) and rules (B). They differ in: checkpoint"),
        ({"checkpoint": "77aa"}, "4f0c21ab (A) and 77aa (B). They differ in: checkpoint"),
        ({"adapter": "77aa"}, "4f0c21ab (A) and 77aa + 4f0c21ab (B). They differ in: adapter"),
        ({"dtype": "float32"}, "4f0c21ab (A) and 4f0c21ab (B). They differ in: dtype"),
        ({"prompts": {"system": "s", "focus": "f", "rule": "q"}}, "They differ in: prompts.rule"),
    ],
)
def test_two_judges_of_one_mission_are_refused(two_files: tuple[Path, Path], other: dict[str, Any], named: str) -> None:
    first, second = two_files
    amend(second, **other)
    with pytest.raises(InputError) as error:
        evaluate(two_files, None, MISSIONS)
    text = str(error.value).replace(str(first), "A").replace(str(second), "B")
    assert text.startswith(f"{GROUNDING}: two judges gave its verdicts")
    assert named in text
    assert "one at a time" in text


def test_a_file_without_a_known_judge_is_not_pooled_with_one_of_a_checkpoint(two_files: tuple[Path, Path]) -> None:
    two_files[1].with_suffix(".run.json").unlink()
    stage_a = [file.with_name(f"{GROUNDING}_stage_a.jsonl") for file in two_files]
    with pytest.raises(InputError, match=r"4f0c21ab .* and unknown judge"):
        evaluate(two_files, stage_a, MISSIONS)


def two_missions(tmp_path: Path, *settings: dict[str, Any]) -> list[Path]:
    files = [
        write_judged(tmp_path, [verdict("QC-1", mission=mission)], mission=mission) for mission in (GROUNDING, SHIELD)
    ]
    for file, made in zip(files, settings, strict=True):
        amend(file, **made)
    return files


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        (MADE, {**MADE, "prompts": {"system": "s", "focus": "g", "rule": "q"}}, "4f0c21ab"),
        (
            {"checkpoint": "rules", "rule": {"text": "x", "require": [["BBU设备"]]}},
            {"checkpoint": "rules", "rule": {"text": "y", "require": [["光纤"]], "forbid": ["*/露铜"]}},
            "rules",
        ),
    ],
)
def test_missions_of_one_judge_have_a_total_although_their_prompts_differ(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any], name: str
) -> None:
    result = evaluate(two_missions(tmp_path, one, other), None, MISSIONS)
    assert result.overall is not None
    assert (result.overall.judged_by.name, result.overall.judge.groups, result.warnings) == (name, 2, ())


def test_missions_of_two_judges_have_no_total(tmp_path: Path) -> None:
    result = evaluate(two_missions(tmp_path, MADE, {"checkpoint": "rules", "rule": {"text": "x"}}), None, MISSIONS)
    assert result.overall is None
    assert [part.rows()[0].name for part in result.missions.values()] == ["4f0c21ab", "rules"]
    (warning,) = result.warnings
    assert warning.endswith(f"no row for all of them ({GROUNDING}: 4f0c21ab; {SHIELD}: rules)")
    found = json.loads(json.dumps(result.to_dict()))
    assert found["overall"] is None
    assert found["missions"][SHIELD]["judged_by"] == {"kind": "rules", "name": "rules"}
    assert found["missions"][GROUNDING]["judged_by"]["checkpoint"] == MADE["checkpoint"]


def test_the_rules_have_one_row_where_they_judged(judged: Judged) -> None:
    """Unless they decide otherwise today: their mission's file may have changed."""
    rules = {"checkpoint": "rules", "rule": {"text": "x"}}
    file = judged([verdict("QC-1", "pass", "pass", None)])
    amend(file, **rules)
    assert [row.name for row in evaluate([file], None, MISSIONS).missions[GROUNDING].rows()] == [
        "rules", "always pass",
    ]  # fmt: skip
    file = judged([verdict("QC-1", "pass", "fail", None)])
    amend(file, **rules)
    assert [row.name for row in evaluate([file], None, MISSIONS).missions[GROUNDING].rows()] == [
        "rules", "rules now", "always pass",
    ]  # fmt: skip


def test_verdicts_of_another_program_need_no_run_file(tmp_path: Path) -> None:
    """The smallest line: no checksum of the summaries and no run file; one file holds two missions."""
    lines, verdicts = [], []
    for number, mission in enumerate([GROUNDING, GROUNDING, SHIELD]):
        label = "fail" if number else "pass"
        lines.append(stage_a_line(f"QC-{number}", label, mission=mission))
        verdicts.append({
            "group_id": f"QC-{number}", "mission": mission, "label": label, "verdict": "pass", "reason": "外部模型",
            "p_pass": 0.9 if number else None, "raw_text": None, "timestamp": "2026-01-18T09:30:00+08:00",
        })  # fmt: skip
    stage_a = write_lines(tmp_path / "any_stage_a.jsonl", lines)
    file = write_lines(tmp_path / "other-program.jsonl", verdicts)
    with pytest.raises(InputError, match=r"its Stage-A files are unknown.*--stage-a"):
        evaluate([file], None, MISSIONS)
    result = evaluate([file], [stage_a], MISSIONS)
    assert result.overall is not None
    assert (result.overall.judge.false_release.count, result.overall.judge.groups) == (2, 3)
    assert result.overall.rows()[0].name == "unknown judge"
    assert [warning.split(" (")[0] for warning in result.warnings] == [
        "3 verdicts do not name the summaries they were judged from"
    ]


def test_several_files_without_a_known_judge_are_taken_as_one_with_a_warning(tmp_path: Path) -> None:
    result = evaluate(two_missions(tmp_path, {}, {}), None, MISSIONS)
    assert result.overall is not None
    assert result.warnings[0].startswith("who judged is unknown for 2 files of verdicts")


@pytest.mark.parametrize("run_file", ["names nobody", "missing"])
def test_two_files_of_one_mission_without_a_known_judge_are_refused(
    two_files: tuple[Path, Path], run_file: str
) -> None:
    for file in two_files:
        amend(file, checkpoint=None)
        if run_file == "missing":
            file.with_suffix(".run.json").unlink()
    stage_a = [file.with_name(f"{GROUNDING}_stage_a.jsonl") for file in two_files]
    with pytest.raises(InputError, match=rf"{GROUNDING}: who gave its verdicts is unknown for .*one at a time"):
        evaluate(two_files, stage_a, MISSIONS)
    assert evaluate(two_files[:1], stage_a[:1], MISSIONS).missions[GROUNDING].judged_by.kind == "unknown"
