"""Guarantees of Stage-B for groups that leave their Stage-A files: no verdict about them stays unnoticed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from support.lines import GROUNDING, SHIELD, stage_a_line, write_lines

from yanshou.cli import main
from yanshou.engines.scripted import ScriptedEngine
from yanshou.pipeline.mission_result import MissionResult
from yanshou.settings import JudgeSettings, VerdictEngineSettings
from yanshou.stage_b.judge import judge_files
from yanshou.storage.jsonl import read_lines

GOOD = "通过\n理由: 齐全"


def stage_a(path: Path, *groups: int | tuple[int, str], mission: str = SHIELD) -> Path:
    """A Stage-A file of these groups: QC-1 for 1, labelled pass unless another label is given."""
    path.parent.mkdir(exist_ok=True)
    labelled = [(group, "pass") if isinstance(group, int) else group for group in groups]
    return write_lines(path, [stage_a_line(f"QC-{number}", label, mission=mission) for number, label in labelled])


def judge(out: Path, *files: Path, **options: Any) -> MissionResult:
    (result,) = judge_all(out, *files, **options)
    return result


def judge_all(out: Path, *files: Path, **options: Any) -> list[MissionResult]:
    return judge_files(JudgeSettings(stage_a=files, output_dir=out, engine=None, **options))


def ids(out: Path, ending: str = "jsonl", mission: str = SHIELD) -> Sequence[str]:
    path = out / f"{mission}_verdicts.{ending}"
    return [line["group_id"] for _, line in read_lines(path)] if path.exists() else []


def test_verdicts_whose_group_left_the_file_are_stale_and_pruned(tmp_path: Path) -> None:
    file, out = tmp_path / "a.jsonl", tmp_path / "out"
    assert judge(out, stage_a(file, 1, 2, 3, 4)).status == 0
    result = judge(out, stage_a(file, 1, 4, (3, "fail")))
    assert (result.status, result.written, result.skipped, result.stale, result.elsewhere) == (3, 1, 2, 2, 0)
    assert result.late_warnings == [
        f"{out}/{SHIELD}_verdicts.jsonl: 2 lines are stale: the input no longer holds QC-2 (pass); QC-3 (pass), which "
        f"is now QC-3 (fail). Put the groups back, or move the lines to {SHIELD}_verdicts.removed.jsonl with "
        "--prune."
    ]
    result = judge(out, file, prune=True)
    assert (result.status, result.stale, result.pruned) == (0, 0, 2)
    assert (ids(out), ids(out, "removed.jsonl")) == (["QC-1", "QC-4", "QC-3"], ["QC-2", "QC-3"])


def test_verdicts_of_files_that_are_not_given_are_never_stale(tmp_path: Path) -> None:
    """Not even after a run over one of the files has become the last one in the run file."""
    first, second, out = stage_a(tmp_path / "a.jsonl", 1, 2, 3), stage_a(tmp_path / "b.jsonl", 4, 5), tmp_path / "out"
    judge(out, first, second)
    for _ in range(2):
        result = judge(out, second, prune_all=True)
        assert (result.status, result.stale, result.elsewhere, result.pruned) == (0, 0, 3, 0)
    stage_a(tmp_path / "a.jsonl", 1, 3)
    assert judge(out, second, prune=True).stale == 0
    result = judge(out, second, first, prune=True)
    assert (result.status, result.pruned, ids(out)) == (0, 1, ["QC-1", "QC-3", "QC-4", "QC-5"])


def test_a_file_is_the_same_by_another_path(tmp_path: Path) -> None:
    file, out = stage_a(tmp_path / "runs" / "a.jsonl", 1, 2, 3), tmp_path / "out"
    judge(out, file)
    (tmp_path / "latest").symlink_to(tmp_path / "runs")
    stage_a(file, 1, 3)
    assert judge(out, tmp_path / "latest" / "a.jsonl", prune=True).pruned == 1


def test_a_mission_that_is_not_in_the_files_given_is_left_alone(tmp_path: Path) -> None:
    shield, out = stage_a(tmp_path / "s.jsonl", 1, 2), tmp_path / "out"
    grounding = stage_a(tmp_path / "g.jsonl", 1, 2, mission=GROUNDING)
    judge_all(out, shield, grounding)
    assert [(one.mission, one.status) for one in judge_all(out, shield, prune_all=True)] == [(SHIELD, 0)]
    assert ids(out, mission=GROUNDING) == ["QC-1", "QC-2"]


def test_a_mission_whose_last_group_left_the_files_fails_and_keeps_its_verdicts(tmp_path: Path) -> None:
    shield, out = stage_a(tmp_path / "s.jsonl", 1, 2), tmp_path / "out"
    grounding = stage_a(tmp_path / "g.jsonl", 1, 2, mission=GROUNDING)
    judge_all(out, shield, grounding)
    write_lines(grounding, [])
    (_, gone) = results = judge_all(out, shield, grounding, prune_all=True)
    assert [(one.mission, one.status) for one in results] == [(SHIELD, 0), (GROUNDING, 1)]
    assert gone.error == (
        f"{out}/{GROUNDING}_verdicts.jsonl: the Stage-A files of these verdicts hold no group of this mission any "
        "more. Put the groups back, or move the verdicts and the files beside them to another folder."
    )
    assert ids(out, mission=GROUNDING) == ["QC-1", "QC-2"]


def test_limited_runs_and_more_than_half_of_a_file(tmp_path: Path) -> None:
    file, out = stage_a(tmp_path / "a.jsonl", 1, 2, 3), tmp_path / "out"
    judge(out, file)
    stage_a(file, 1)
    assert (judge(out, file, limit=1).status, judge(out, file, limit=1).stale) == (0, None)
    result = judge(out, file, prune=True)
    assert (result.status, result.stale, len(ids(out))) == (3, 2, 3)
    assert "these are 2 of 3: is a disk or a folder missing?" in result.late_warnings[0]
    assert (judge(out, file, prune_all=True).status, ids(out)) == (0, ["QC-1"])
    ran = CliRunner().invoke(main, ["judge", "--rules", "--output-dir", str(out), "--prune", "--limit", "1", str(file)])
    assert (ran.exit_code, "--prune needs all groups" in ran.stderr) == (2, True)


def test_pruned_verdicts_leave_the_others_their_threshold(tmp_path: Path) -> None:
    file, out, engine = tmp_path / "a.jsonl", tmp_path / "out", VerdictEngineSettings(checkpoint="none")

    def model(threshold: float | None, prune: bool = False) -> MissionResult:
        settings = JudgeSettings(stage_a=(file,), output_dir=out, engine=engine, threshold=threshold, prune=prune)
        (result,) = judge_files(settings, ScriptedEngine.of({"*": GOOD}, confidence={"*": 0.6}))
        return result

    stage_a(file, 1, 2, 3)
    assert model(None).written == 3
    stage_a(file, 1, 3)
    result = model(0.9, prune=True)
    assert (result.status, result.revised, result.pruned, ids(out)) == (0, 3, 1, ["QC-1", "QC-3"])
    assert [line["verdict"] for _, line in read_lines(out / f"{SHIELD}_verdicts.jsonl")] == ["fail", "fail"]


def test_run_files_of_an_older_version_name_the_files_of_their_last_run(tmp_path: Path) -> None:
    file, out = stage_a(tmp_path / "a.jsonl", 1, 2, 3), tmp_path / "out"
    judge(out, file)
    run = out / f"{SHIELD}_verdicts.run.json"
    text = run.read_text(encoding="utf-8")
    assert text.count('"inputs"') == 1
    run.write_text(text[: text.rindex(',\n  "inputs"')] + "\n}\n", encoding="utf-8")
    stage_a(file, 1, 3)
    assert judge(out, file).stale == 1
