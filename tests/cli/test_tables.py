"""Promises of `yanshou.cli.tables`: every figure is shown, and names are shown as they are."""

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from yanshou.cli.run_table import run_table, started
from yanshou.cli.tables import dataset_tables, evaluation_tables, score_tables
from yanshou.evaluate import Counts, Evaluation
from yanshou.evaluate.baseline_comparison import Comparison, Difference
from yanshou.evaluate.calibration import Calibration
from yanshou.evaluate.figures import EvaluationFigures
from yanshou.evaluate.judges import Judge
from yanshou.evaluate.summaries import compare
from yanshou.evaluate.worth import Worth
from yanshou.pipeline.mission_result import MissionResult
from yanshou.schema.prompt import Prompt
from yanshou.schema.records import GroupKey, Label
from yanshou.settings import DatasetSettings
from yanshou.stage_b.card import DataFile, build_card
from yanshou.stage_b.examples import Example
from yanshou.stage_b.shortcut import Shortcut
from yanshou.stage_b.sides import Sides
from yanshou.storage.line_place import LinePlace


def cells(tables: Sequence[Table], width: int = 160) -> list[list[str]]:
    """The words of each line that is not blank."""
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(*tables, sep="\n")
    return [row.split() for row in console.export_text().splitlines() if row.strip()]


SHIELD, CABLES, SCREWS = "挡风板安装检查", "BBU线缆布放", "BBU安装方式检查（正装）"


def test_run_table_has_one_row_per_mission_that_was_started() -> None:
    results = [
        MissionResult(
            SHIELD, written=11_000, failed=2, skipped=7, photos=37_400, rotated=31, seconds=100.0, waited_s=4
        ),
        MissionResult("[red]自己的", groups=9, skipped=9),
        MissionResult("refused", groups=9, error="other settings"),
    ]
    assert rows_of(results) == [
        ["mission", "written", "failed", "skipped as done", "photos", "rotated", "images/s", "waited for photos"],
        [SHIELD, "11000", "2", "7", "37400", "31", "374.00", "4%"],
        ["[red]自己的", "0", "0", "9", "0", "0", "–", "–"],
    ]


def test_run_table_counts_dead_workers_where_there_are_some() -> None:
    results = [MissionResult(SHIELD, written=4, worker_deaths=2), MissionResult(CABLES, written=3)]
    assert rows_of(results) == [
        ["mission", "written", "failed", "skipped as done", "dead workers"],
        [SHIELD, "4", "0", "0", "2"],
        [CABLES, "3", "0", "0", "0"],
    ]


@pytest.mark.parametrize("unit", ["photos", "verdicts"])
def test_run_table_has_no_speed_where_no_model_answered(unit: str) -> None:
    results = [MissionResult(SHIELD, groups=9, written=4, skipped=5), MissionResult(CABLES, groups=9, error="broken")]
    assert rows_of(results, unit) == [["mission", "written", "failed", "skipped as done"], [SHIELD, "4", "0", "5"]]
    assert started([MissionResult(CABLES, groups=9, error="broken")]) == []


def rows_of(results: list[MissionResult], unit: str = "photos") -> list[list[str]]:
    console = Console(file=io.StringIO(), width=100)
    console.print(run_table(results, unit))
    text = console.file.getvalue()
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def test_score_tables_have_a_dash_for_a_share_of_nothing() -> None:
    key = GroupKey("BBU接地线检查", "pass", "QC-1")
    result = compare({key: {"图片_1": "电线/捆扎整齐×3，标签/甲×1"}}, {key: {"图片_1": "电线/捆扎整齐×2"}})
    missions = "mission groups not written photos identical precision recall F1 unknown odd ×N"
    assert cells(score_tables(result)) == [
        missions.split(),
        ["BBU接地线检查", "1", "0", "1", "0.0%", "100.0%", "50.0%", "66.7%", "0", "0"],
        ["all", "1", "0", "1", "0.0%", "100.0%", "50.0%", "66.7%", "0", "0"],
        ["类别", "entries", "written", "precision", "recall", "F1"],
        ["电线", "3", "2", "100.0%", "66.7%", "80.0%"],
        ["标签", "1", "0", "–", "0.0%", "0.0%"],
    ]


def example(line: str, group: str, label: Label, tokens: int, mission: str = "[red]甲") -> Example:
    place = LinePlace(Path("a.jsonl"), 1)
    return Example(mission, label, group, (line,), ("1.jpg",), Prompt("", ""), "", place, tokens)


def test_dataset_tables_have_one_row_per_mission_and_one_for_all() -> None:
    train = [example("A", "QC-1", "pass", tokens=1459), example("A", "QC-2", "fail", tokens=9)]
    sides = Sides(train, [example("B", "QC-3", "pass", tokens=9)])
    files = {name: DataFile(groups=1, rows=1, sha256="0") for name in ("train.jsonl", "val.jsonl")}
    settings = DatasetSettings(stage_a=("a.jsonl",), output_dir="out")
    rows = cells(dataset_tables(build_card(settings, sides, files, [])))
    assert ["[red]甲", "3", "2", "1", "2", "1", "3", "0.0%", "3", "100.0%"] in rows
    assert ["[red]甲", "9", "1459", "1459", "1", "2", "66.67%", "–"] in rows
    assert sum(words[:1] == ["all"] for words in rows) == 3
    assert ["[red]甲", "1", "2", "100.0%", "50.0%", "[1.3–50.0]"] in rows


def test_dataset_tables_do_not_break_the_name_of_a_mission_in_120_columns() -> None:
    lines: dict[Label, str] = {"pass": "螺丝、光纤插头/BBU安装螺丝,符合要求×1", "fail": "光纤/弯曲半径合理×1"}
    groups = [
        example(line, f"QC-{label}-{number}", label, tokens=1_459, mission=SCREWS)
        for number in range(20)
        for label, line in lines.items()
    ]
    files = {name: DataFile(groups=20, rows=20, sha256="0") for name in ("train.jsonl", "val.jsonl")}
    card = build_card(DatasetSettings(stage_a=("a.jsonl",), output_dir="out"), Sides(groups[2:], groups[:2]), files, [])
    rows = cells(dataset_tables(card), 120)
    assert sum(row[:1] == [SCREWS] for row in rows) == 4  # the tables


def test_a_long_feature_is_folded_and_never_cut() -> None:
    lines: dict[Label, str] = {"pass": "光纤弯曲半径很合理" * 5 + "×1", "fail": "光纤弯曲半径不合理" * 5 + "×1"}
    groups = [
        example(line, f"QC-{label}-{number}", label, tokens=9) for number in range(9) for label, line in lines.items()
    ]
    files = {name: DataFile(groups=9, rows=9, sha256="0") for name in ("train.jsonl", "val.jsonl")}
    card = build_card(DatasetSettings(stage_a=("a.jsonl",), output_dir="out"), Sides(groups[2:], groups[:2]), files, [])
    console = Console(file=io.StringIO(), width=80, record=True)
    console.print(dataset_tables(card)[-1])
    text = console.export_text()
    assert "光纤" in text
    assert "…" not in text


def evaluation(judge: Counts) -> Evaluation:
    figures = EvaluationFigures(judge, rules=judge, always_pass=judge)
    return Evaluation(
        groups=(), overall=figures, missions={"[bold]": figures}, worth={}, threshold=None, promises=None, policy=None,
        confidence=0.95, verdict_files=(), stage_a_files=(), unbound=0, warnings=(), runs={},
    )  # fmt: skip


def test_evaluation_tables_compare_judge_rules_and_always_pass_for_every_mission() -> None:
    counts = Counts(passes_released=1, fails_released=1, fails_blocked=2)
    figures = "75.0% [30.1–95.4] 83.3% 0.58 1: 33.3% [6.1–79.2] 0: 0.0% [0.0–79.3]"
    assert [" ".join(row) for row in cells(evaluation_tables(evaluation(counts)))] == [
        "mission groups judged errors no label human passes human fails judge",
        "[bold] 4 4 0 0 1 3 unknown judge",
        "all 4 4 0 0 1 3 unknown judge",
        "mission verdicts accuracy balanced MCC false releases false blocks",
        *(
            f"{who} {figures}"
            for who in ("[bold] unknown judge", "rules", "always pass", "all unknown judge", "rules", "always pass")
        ),
    ]


def test_evaluation_tables_show_what_the_figures_are_worth() -> None:
    shortcut = Shortcut(
        feature="需复核", auc=0.9, low=0.8, more_in="pass", in_passes=0.97, in_fails=0.17, passes=60, fails=40,
        features=9, in_rule=False,
    )  # fmt: skip
    comparison = Comparison(
        groups=100, released=50, fails_released=9, fails_released_by_baseline=8, verdicts={}, auc=0.71,
        baseline_auc=0.75, auc_difference=Difference(-0.04, -0.1, 0.02),
        balanced_accuracy=Difference(-0.01, -0.05, 0.03),
    )  # fmt: skip
    calibration = Calibration(bins=(), auc=0.71, brier=0.2, base_rate_brier=0.24)
    parts = {
        "甲": Worth(comparison, 40, calibration, (), shortcut),
        "乙": Worth(None, 3, None, (), shortcut.model_copy(update={"low": 0.5})),
        "丙": Worth(None, 0, None, (), None),
    }
    rows = cells(evaluation_tables(replace(evaluation(Counts()), worth=parts)))
    assert [" ".join(row) for row in rows[-4:]] == [
        "mission AUC learned AUC AUC difference Brier Brier if constant strongest feature feature AUC",
        "甲 0.71 0.75 -0.04 [-0.10, +0.02] 0.20 0.24 需复核 0.90",
        "乙 – – – – – – –",  # the feature may predict the label by chance
        "丙 – – – – – – –",
    ]


def test_evaluation_tables_fit_into_120_columns() -> None:
    """No line is broken, also with a long name of a judge and five figures of groups."""
    judge = Judge("checkpoint", "checkpoint-200 77aa90ff + 4f0c21ab", {})
    counts = Counts(passes_released=10_000, passes_blocked=1_000, fails_released=10_000, fails_blocked=1)
    figures = EvaluationFigures(counts, rules=counts, always_pass=counts, learned=counts, judged_by=judge)
    found = replace(evaluation(counts), missions={SCREWS: figures}, overall=None)
    rows = cells(evaluation_tables(found), 120)
    assert [row[0] for row in rows] == ["mission", SCREWS, "mission", SCREWS, "rules", "always", "learned"]
    assert rows[1][-4:] == ["checkpoint-200", "77aa90ff", "+", "4f0c21ab"]
    assert rows[3][-3:] == ["1000:", "9.1%", "[8.6–9.6]"]


def test_evaluation_tables_have_dashes_where_no_group_has_a_label() -> None:
    rows = cells(evaluation_tables(evaluation(Counts(unlabelled=1))))
    assert ["all", "unknown", "judge", "–", "–", "–", "–", "–"] in rows
