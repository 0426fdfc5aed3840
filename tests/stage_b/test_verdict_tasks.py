"""Verdicts are bound to the summaries they were judged from: by content, whatever the clocks say."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.judge_runs import command, faults, run, script, verdicts
from support.lines import SHIELD, stage_a_line, write_lines
from support.processes import killed_before_each_change

from yanshou.cli import main
from yanshou.engines.base import Completion, RunPlan
from yanshou.engines.scripted import ScriptedEngine
from yanshou.errors import InputError, UsageError
from yanshou.evaluate.judged_groups import read_judged
from yanshou.missions import load_missions
from yanshou.schema.records import StageARecord
from yanshou.settings import EngineSettings, JudgeSettings
from yanshou.stage_b.judge import judge_files
from yanshou.storage.jsonl import read_lines, read_records

OTHER = "its summaries are not those it was judged from"


def judge(how: str, stage_a: Path, out: Path, *options: object) -> Result:
    if how == "model":
        return run(stage_a, out, script(out.parent, {"*": "通过\n理由: 齐全"}, confidence={"*": 0.8}), *options)
    return CliRunner().invoke(main, command(stage_a, out, "--rules", *options))


def lines(path: Path) -> list[dict[str, Any]]:
    return [line for _, line in read_lines(path)]


def unbind(out: Path) -> Path:
    """Makes the verdicts those of an earlier version."""
    path = out / f"{SHIELD}_verdicts.jsonl"
    return write_lines(path, [{k: v for k, v in line.items() if k != "summaries_sha256"} for line in lines(path)])


@pytest.mark.parametrize("how", ["rules", "model"])
def test_a_verdict_names_its_summaries(stage_a: Path, tmp_path: Path, how: str) -> None:
    assert judge(how, stage_a, tmp_path / "out").exit_code == 0
    expected = [group.summaries_sha256 for _, group in read_records(stage_a, StageARecord)]
    assert [line.summaries_sha256 for line in verdicts(tmp_path / "out")] == expected


@pytest.mark.parametrize("how", ["rules", "model"])
def test_a_verdict_about_other_summaries_is_an_error(stage_a: Path, tmp_path: Path, how: str) -> None:
    """QC-4 has another summary at the same time; QC-5 has the same ones a century later."""
    assert judge(how, stage_a, tmp_path / "out").exit_code == 0
    changed = lines(stage_a)
    texts = ["挡风板/华为,显示完整,安装方向错误×7"] * len(changed[4]["images"])
    changed[4] |= stage_a_line("QC-4", "pass", *texts, mission=SHIELD, timestamp=changed[4]["timestamp"])
    changed[5]["timestamp"] = "2126-01-01T00:00:00+08:00"
    result = judge(how, write_lines(stage_a, changed), tmp_path / "out")
    assert result.exit_code == 3
    found = [(fault.group_id, fault.step, fault.message) for fault in faults(tmp_path / "out")]
    assert found == [("QC-4", "check", OTHER)]


def test_summaries_with_sorted_keys_are_the_same_summaries(tmp_path: Path) -> None:
    """As `jq -S` writes a line: 图片_10 before 图片_2."""
    line = stage_a_line("QC-1", "pass", *(f"标签/{number}×1" for number in range(1, 13)), mission=SHIELD)
    stage_a, out = write_lines(tmp_path / "a.jsonl", [line]), tmp_path / "out"
    assert judge("rules", stage_a, out).exit_code == 0
    stage_a.write_text(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    assert "图片_10" in stage_a.read_text(encoding="utf-8").partition("图片_2")[0]
    assert judge("rules", stage_a, out).exit_code == 0
    assert judge("rules", stage_a, tmp_path / "other").exit_code == 0
    assert verdicts(tmp_path / "other")[0].reason == verdicts(out)[0].reason


@pytest.mark.parametrize("how", ["rules", "model"])
def test_verdicts_that_name_no_summaries_are_kept_and_counted(stage_a: Path, tmp_path: Path, how: str) -> None:
    out = tmp_path / "out"
    assert judge(how, stage_a, out, "--limit", 5).exit_code == 0
    before = unbind(out).read_bytes()
    result = judge(how, stage_a, out, "--quiet")
    assert (result.exit_code, len(verdicts(out))) == (0, 12)
    assert f"warning: {SHIELD}: 5 verdicts do not name the summaries they were judged from" in result.stderr
    assert (out / f"{SHIELD}_verdicts.jsonl").read_bytes().startswith(before)
    assert json.loads((out / f"{SHIELD}_verdicts.run.json").read_text("utf-8"))["counts"]["unbound"] == 5
    (row,) = json.loads(judge(how, stage_a, out, "--json").stdout)
    assert (row["status"], row["skipped"], row["unbound"]) == (0, 12, 5)
    assert "do not name" not in judge(how, stage_a, out, "--fresh").stderr


def test_another_threshold_binds_nothing_and_keeps_what_is_bound(stage_a: Path, tmp_path: Path) -> None:
    """What an old verdict was judged from cannot be known afterwards."""
    out = tmp_path / "out"
    assert judge("model", stage_a, out, "--limit", 5).exit_code == 0
    unbind(out)
    for threshold in (0.9, 0.7):
        assert judge("model", stage_a, out, "--threshold", threshold).exit_code == 0
        expected = [group.summaries_sha256 for _, group in read_records(stage_a, StageARecord)]
        assert [line.summaries_sha256 for line in verdicts(out)] == [None] * 5 + expected[5:]


def test_a_killed_change_of_the_threshold_is_done_not_done_or_refused(stage_a: Path, tmp_path: Path) -> None:
    """Wherever `judge` opens, renames or removes one of its files. The same command again completes it."""
    out = tmp_path / "out"
    path = out / f"{SHIELD}_verdicts.jsonl"
    assert judge("model", stage_a, out).exit_code == 0
    before = {file: file.read_bytes() for file in out.iterdir()}
    assert judge("model", stage_a, out, "--threshold", 0.9).exit_code == 0
    old, new = before[path], path.read_bytes()
    assert old != new
    outcomes = set()

    def put_back() -> None:
        for file, content in before.items():
            file.write_bytes(content)

    put_back()
    for _ in killed_before_each_change(out, lambda: judge("model", stage_a, out, "--threshold", 0.9)):
        assert path.read_bytes() in (old, new)
        recorded = json.loads((out / f"{SHIELD}_verdicts.run.json").read_text("utf-8"))["settings"]["threshold"]
        agree = path.read_bytes() == (new if recorded else old)
        if (recorded, agree) not in outcomes:
            outcomes.add((recorded, agree))
            with (
                nullcontext() if agree else pytest.raises(InputError, match=r"does not follow the threshold .*\(0\.9\)")
            ):
                read_judged([path], None, load_missions())
            assert judge("model", stage_a, out, "--threshold", 0.9).exit_code == 0
            assert path.read_bytes() == new
        put_back()
    assert outcomes == {(None, True), (0.9, False), (0.9, True)}


class WithoutLogprobs(ScriptedEngine):
    """An engine that answers and scores nothing, as most servers do."""

    def complete(self, batch: Sequence[Completion]) -> Sequence[Completion]:
        return [replace(completion, logprobs=()) for completion in batch]

    def prepare_run(self, run: RunPlan) -> None:
        if run.needs_logprobs:
            raise UsageError("no likelihoods")


def test_p_pass_is_null_where_an_engine_gives_no_likelihoods(stage_a: Path, tmp_path: Path) -> None:
    engine = WithoutLogprobs.of({"*": "通过\n理由: 齐全"})
    settings = JudgeSettings(stage_a=(stage_a,), output_dir=tmp_path / "out", engine=engine.settings)
    (result,) = judge_files(settings, engine)
    assert (result.failed, result.status) == (0, 0)
    assert {(line.verdict, line.p_pass) for line in verdicts(tmp_path / "out")} == {("pass", None)}


def test_a_threshold_tells_the_engine_that_likelihoods_are_needed(stage_a: Path, tmp_path: Path) -> None:
    engine = WithoutLogprobs.of({"*": "通过\n理由: 齐全"})
    settings = JudgeSettings(stage_a=(stage_a,), output_dir=tmp_path / "out", engine=engine.settings, threshold=0.5)
    with pytest.raises(UsageError, match="no likelihoods"):
        judge_files(settings, engine)
    assert not list((tmp_path / "out").glob("*.json*"))


@pytest.mark.parametrize("text", ["<|image_pad|>" + "长" * 500, "长" * 250_001])
def test_summaries_that_no_prompt_holds_do_not_plan_the_run(tmp_path: Path, text: str) -> None:
    """A prompt with an image token would end the run, with a message about the chat template."""
    plans: list[RunPlan] = []

    class Engine(ScriptedEngine):
        def prepare_run(self, run: RunPlan) -> None:
            plans.append(run)

    good = "挡风板/华为,显示完整,安装方向正确×1"
    groups = [
        stage_a_line("QC-1", "pass", good, good, mission=SHIELD),
        stage_a_line("QC-2", "pass", good, mission=SHIELD),
        stage_a_line("QC-3", "pass", text, mission=SHIELD),
    ]
    given = JudgeSettings(
        stage_a=(write_lines(tmp_path / "a.jsonl", groups),),
        output_dir=tmp_path / "out",
        engine=EngineSettings(checkpoint="scripted", engine="scripted"),
    )
    (result,) = judge_files(given, Engine.of({"*": "通过\n理由: 齐全"}))
    assert (result.written, result.failed) == (2, 1)
    (plan,) = plans
    assert plan.trial_prompt is not None
    assert (plan.prompt.user.count(good), plan.trial_prompt.user.count(good)) == (2, 1)
