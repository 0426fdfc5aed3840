"""The report says which checkpoint, threshold and prompts made the verdicts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.judged_files import amend
from support.lines import GROUNDING, verdict
from support.parsed_page import read, report

from yanshou.evaluate import evaluate
from yanshou.missions import load_missions
from yanshou.report import write_report
from yanshou.report.translations import TRANSLATIONS

MISSIONS = load_missions()
Judged = Callable[..., Path]


def test_the_rules_have_no_curve_and_no_threshold(judged: Judged, tmp_path: Path) -> None:
    file = judged([verdict("QC-1", "pass", "pass", None), verdict("QC-2", "fail", "pass", None)])
    amend(file, checkpoint="rules", rule={"text": "x"})
    page = report([file], tmp_path)
    assert not page.named("figure")
    assert page.texts[TRANSLATIONS["zh"]["curve_none"]] == 1
    assert page.texts[TRANSLATIONS["zh"]["threshold_rules"]] == 1
    assert page.texts[TRANSLATIONS["zh"]["rules_checkpoint"]] >= 1
    assert [group["p"] for group in page.data["groups"]] == [None, None]


def test_checkpoint_prompts_and_threshold_are_shown(judged: Judged, tmp_path: Path) -> None:
    file = judged([verdict("QC-1", "pass"), verdict("QC-2", "fail")])
    amend(
        file,
        checkpoint="4f0c" * 16,
        prompts={"system": "你是验收员", "rule": "必须看到"},
        threshold=0.7,
        dtype="bfloat16",
    )
    summaries = file.with_name(f"{GROUNDING}_stage_a.jsonl")
    shutil.copy(file.with_suffix(".run.json"), summaries.with_suffix(".run.json"))
    amend(summaries, checkpoint="77aa" * 16, prompts={"system": "你是图像员", "user": "请描述"})
    page = report([file], tmp_path)
    assert page.texts["4f0c" * 16] == 2  # in the header and in the origin
    assert page.texts["77aa" * 16] == 1
    assert page.inside["pre"][:2] == ["你是验收员", "必须看到"]
    assert {"你是图像员", "请描述"} <= set(page.inside["pre"])
    assert any('"dtype": "bfloat16"' in text for text in page.inside["pre"])
    assert page.texts["通过概率 ≥ 0.7 判为通过（判定时设定）"] == 1


def test_an_adapter_is_part_of_the_checkpoint(judged: Judged, tmp_path: Path) -> None:
    file = judged([verdict("QC-1", "pass"), verdict("QC-2", "fail")])
    amend(file, checkpoint="4f0c" * 16, adapter="77aa" * 16)
    page = report([file], tmp_path)
    assert page.texts[f"{'4f0c' * 16} + {'77aa' * 16}"] == 2
    assert not any('"adapter"' in text for text in page.inside["pre"])


@pytest.mark.parametrize("threshold", [pytest.param(10**400, id="huge"), -1, 1.5, True, False, "1", [1], {}])
def test_a_recorded_threshold_that_is_no_probability_counts_as_unknown(
    judged: Judged, tmp_path: Path, threshold: object
) -> None:
    file = judged([verdict("QC-1", "pass"), verdict("QC-2", "fail")])
    amend(file, checkpoint="4f0c" * 16, threshold=threshold)
    page = report([file], tmp_path)
    assert page.data["threshold"] is None
    assert page.texts[TRANSLATIONS["zh"]["unknown"]] == 2  # threshold, and the origin of the Stage-A file


@pytest.mark.parametrize("damage", ["", "{", '{"settings": 1}'])
def test_without_a_readable_run_file_the_origin_is_unknown(judged: Judged, tmp_path: Path, damage: str) -> None:
    file = judged([verdict("QC-1")])
    file.with_suffix(".run.json").write_text(damage)
    path = write_report(evaluate([file], [file.with_name(f"{GROUNDING}_stage_a.jsonl")], MISSIONS), tmp_path)
    assert read(path).texts[TRANSLATIONS["zh"]["unknown"]] == 4  # checkpoint, threshold, and both files' origin


def test_a_servers_model_stands_in_for_a_checkpoint(judged: Judged, tmp_path: Path) -> None:
    file = judged([verdict("QC-1", "pass", "pass", None), verdict("QC-2", "fail", "fail", None)])
    amend(file, model="qwen3.5-vl", threshold=None, prompts={})
    page = report([file], tmp_path)
    assert page.texts["qwen3.5-vl"] >= 1
    assert page.texts[TRANSLATIONS["zh"]["threshold_none"]] == 1
    assert page.texts[TRANSLATIONS["zh"]["curve_none"]] == 1


def test_the_names_of_folders_come_before_fingerprints_and_times_are_in_words(judged: Judged, tmp_path: Path) -> None:
    file = judged([verdict("QC-1", "pass"), verdict("QC-2", "fail")])
    amend(file, checkpoint="4f0c" * 16, adapter="77aa" * 16)
    path = file.with_suffix(".run.json")
    folders = {"checkpoint_folder": "/models/qwen3-vl-4b-bbu", "adapter_folder": "/runs/checkpoint-200"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "environment": folders}))
    page = report([file], tmp_path)
    assert page.texts["qwen3-vl-4b-bbu + checkpoint-200"] == 2  # in the header and in the origin
    assert page.texts["2026年1月18日 09:30（UTC+8）"] == 1
