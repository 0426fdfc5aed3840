"""Guarantees of `yanshou.pipeline.mission_run`: only the model's answers can stop a run at its start."""

from pathlib import Path

from support.lines import SHIELD, stage_a_line, write_lines

from yanshou.engines.scripted import ScriptedEngine
from yanshou.pipeline.mission_run import MAX_FAILURES_AT_START
from yanshou.settings import JudgeSettings, VerdictEngineSettings
from yanshou.stage_b.judge import judge_files

COUNT = MAX_FAILURES_AT_START + 5
GOOD = "通过\n理由: 齐全"


def test_summaries_that_cannot_be_judged_never_stop_a_run(tmp_path: Path) -> None:
    bad = [stage_a_line(f"QC-{number}", "pass", "标签/<|im_end|>×1", mission=SHIELD) for number in range(COUNT)]
    good = [stage_a_line(f"QC-{COUNT + number}", "pass", mission=SHIELD) for number in range(2)]
    groups = write_lines(tmp_path / "a.jsonl", [*bad, *good])
    engine = ScriptedEngine.of({"*": GOOD})
    settings = JudgeSettings(
        stage_a=(groups,), output_dir=tmp_path / "out", engine=VerdictEngineSettings(checkpoint="none")
    )
    (result,) = judge_files(settings, engine)
    assert (result.status, result.failed, result.written, result.error) == (3, COUNT, 2, "")


def test_answers_that_are_no_verdicts_stop_a_run_behind_any_number_of_bad_summaries(tmp_path: Path) -> None:
    lines = []
    for number in range(COUNT):
        lines.append(stage_a_line(f"QC-{number}", "pass", "标签/<|im_end|>×1", mission=SHIELD))
        lines.append(stage_a_line(f"QC-{number}", "fail", mission=SHIELD))
    settings = JudgeSettings(
        stage_a=(write_lines(tmp_path / "a.jsonl", lines),), output_dir=tmp_path / "out",
        engine=VerdictEngineSettings(checkpoint="none"),
    )  # fmt: skip
    (result,) = judge_files(settings, ScriptedEngine.of({"*": "好"}))
    assert (result.status, result.failed, result.written) == (1, COUNT + MAX_FAILURES_AT_START, 0)
    assert result.error.startswith("the first 20 groups all failed. The last error: no verdict: the model wrote '好")
