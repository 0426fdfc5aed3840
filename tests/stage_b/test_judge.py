"""Guarantees of `yanshou judge`: one verdict per group, nothing lost, never a pass by mistake."""

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner
from support.judge_runs import command, faults, record, run, script, verdicts, without_time
from support.lines import GROUNDING, SHIELD, stage_a_line, write_lines

from yanshou.cli import main
from yanshou.engines import Completion, Request
from yanshou.engines.scripted import ScriptedEngine
from yanshou.missions import load_missions
from yanshou.missions.rules import decide
from yanshou.pipeline.listener import NullListener
from yanshou.pipeline.mission_run import MAX_FAILURES_AT_START
from yanshou.pipeline.outcome import Outcome
from yanshou.schema.records import StageARecord
from yanshou.schema.summary import parse
from yanshou.settings import EngineSettings, JudgeSettings
from yanshou.stage_b.judge import judge_files, prepare
from yanshou.stage_b.verdict import write_verdict
from yanshou.storage.jsonl import dump_line, read_records

GOOD, BAD = "通过\n理由: 齐全", "不通过\n理由: 缺少挡风板"


# ---- what is written ----


def test_a_line_contains_the_models_verdict_and_reason(stage_a: Path, tmp_path: Path) -> None:
    path = script(tmp_path, {"*": GOOD, "QC-3": BAD}, confidence={"*": 0.8, "QC-3": 0.7})
    assert run(stage_a, tmp_path / "out", path).exit_code == 0
    lines = verdicts(tmp_path / "out")
    assert [line.group_id for line in lines] == [f"QC-{number}" for number in range(12)]
    assert [line.label for line in lines[:4]] == ["fail", "pass", "pass", "fail"]
    first, third = lines[0], lines[3]
    assert (first.verdict, first.reason, first.p_pass, first.raw_text) == ("pass", "齐全", 0.8, GOOD + "<|im_end|>")
    assert (third.verdict, third.reason, third.p_pass) == ("fail", "缺少挡风板", 0.3)
    keys = list(json.loads((tmp_path / "out" / f"{SHIELD}_verdicts.jsonl").read_text("utf-8").splitlines()[0]))
    assert keys == [
        "group_id",
        "mission",
        "label",
        "verdict",
        "reason",
        "p_pass",
        "raw_text",
        "timestamp",
        "summaries_sha256",
    ]


def test_rule_verdicts_are_those_of_decide(stage_a: Path, tmp_path: Path) -> None:
    assert CliRunner().invoke(main, command(stage_a, tmp_path / "out", "--rules")).exit_code == 0
    rule = load_missions().get(SHIELD).rule
    for line, (_, group) in zip(verdicts(tmp_path / "out"), read_records(stage_a, StageARecord), strict=True):
        decision = decide(rule, [parse(text) for text in group.per_image.values()])
        assert (line.verdict == "pass", line.reason) == tuple(
            decision.__getattribute__(n) for n in ("passed", "reason")
        )
        assert (line.p_pass, line.raw_text, line.verdict) == (None, None, group.label)


def test_missions_and_unlabelled_groups_are_judged_together(tmp_path: Path) -> None:
    records = [record(0), record(1, GROUNDING, None), record(2), record(0, label="fail"), record(1, GROUNDING)]
    path = script(tmp_path, {"*": GOOD})
    assert run(write_lines(tmp_path / "a.jsonl", records), tmp_path / "out", path).exit_code == 0
    assert [(line.group_id, line.label) for line in verdicts(tmp_path / "out")] == [
        ("QC-0", "pass"), ("QC-2", "pass"), ("QC-0", "fail"),
    ]  # fmt: skip
    assert [line.label for line in verdicts(tmp_path / "out", GROUNDING)] == [None, "pass"]


def test_an_alias_is_written_under_the_missions_own_name(tmp_path: Path) -> None:
    lines = [{**record(0, "BBU线缆布放"), "mission": "BBU线缆布放要求"}]
    assert run(write_lines(tmp_path / "a.jsonl", lines), tmp_path / "out", script(tmp_path, {"*": GOOD})).exit_code == 0
    assert verdicts(tmp_path / "out", "BBU线缆布放")[0].mission == "BBU线缆布放"


def test_a_file_given_twice_is_judged_once(stage_a: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [*command(stage_a, tmp_path / "out", "--rules"), str(stage_a)])
    assert (result.exit_code, result.exception, len(verdicts(tmp_path / "out"))) == (0, None, 12)


# ---- answers that are no verdict ----


@pytest.mark.parametrize(
    "text", ["通过", "通过。\n理由: 齐全", "审核通过\n理由: 齐全", "通过\n理由:", "", "需复核\n理由: 看不清"]
)
def test_an_answer_that_is_no_verdict_fails_its_group_and_no_other(stage_a: Path, tmp_path: Path, text: str) -> None:
    for options in ([], ["--threshold", 0.01, "--fresh"]):
        result = run(stage_a, tmp_path / "out", script(tmp_path, {"*": GOOD, "QC-5": text}), *options)
        assert result.exit_code == 3
        assert f"{SHIELD}: 1 of 12 groups failed" in result.stderr
        (fault,) = faults(tmp_path / "out")
        assert (fault.group_id, fault.step) == ("QC-5", "verdict")
        assert fault.message.startswith("no verdict: the model wrote ")
        assert "QC-5" not in [line.group_id for line in verdicts(tmp_path / "out")]
        assert len(verdicts(tmp_path / "out")) == 11


def test_likelihoods_that_are_not_numbers_fail_their_group(stage_a: Path, tmp_path: Path) -> None:
    class Overflowing(ScriptedEngine):
        def prepare(self, request: Request) -> Completion:
            completion = super().prepare(request)
            if not request.key.endswith("/QC-4"):
                return completion
            return replace(completion, logprobs=(float("-inf"), float("-inf")))

    settings = EngineSettings(checkpoint=str(script(tmp_path, {"*": GOOD})), engine="scripted")
    given = JudgeSettings(stage_a=(stage_a,), output_dir=tmp_path / "out", engine=settings)
    (result,) = judge_files(given, Overflowing(settings))
    assert (result.status, result.written, result.failed) == (3, 11, 1)
    assert [(fault.group_id, fault.message, fault.advice) for fault in faults(tmp_path / "out")] == [
        (
            "QC-4",
            "ln P is -inf for 通过, -inf for 不通过",
            "run with --dtype float32, without --quantize and --kv-cache",
        )
    ]


def test_a_prompt_that_would_stop_the_run_fails_its_group_and_no_other(tmp_path: Path) -> None:
    """`<|image_pad|>` stands for a photo: without one, the engine would report an unusable checkpoint."""
    bad = []
    for number, text in ((98, "标签/<|image_pad|>×1"), (99, "标签/甲×1，" * 50_000)):
        bad.append(stage_a_line(f"QC-{number}", "pass", text, mission=SHIELD))
    groups = write_lines(tmp_path / "a.jsonl", [*bad, record(1)])
    result = CliRunner().invoke(main, command(groups, tmp_path / "out", "--checkpoint", "demo", "--device", "cpu"))
    assert result.exit_code == 3
    found = {fault.group_id: f"{fault.step}: {fault.message}" for fault in faults(tmp_path / "out")}
    assert found.pop("QC-98") == "check: its summaries contain '<|image_pad|>', which no chat template reads as text"
    assert found.pop("QC-99") == "check: its summaries have 350,000 characters, more than 250,000"
    assert sorted([*found, *(line.group_id for line in verdicts(tmp_path / "out"))]) == ["QC-1"]
    assert CliRunner().invoke(main, command(groups, tmp_path / "rules", "--rules")).exit_code == 0


def test_lone_surrogates_are_escaped(tmp_path: Path) -> None:
    text = "挡风板/华为,安装方向正确,\udcff×1，BBU设备/华为,显示完整,无需安装×1"
    groups = write_lines(tmp_path / "a.jsonl", [stage_a_line("QC-0", "pass", text, mission=SHIELD)])
    assert CliRunner().invoke(main, command(groups, tmp_path / "rules", "--rules")).exit_code == 0
    (tmp_path / "script.json").write_text(json.dumps({"answers": {"*": "通过\n理由: \udcff"}}))
    assert run(groups, tmp_path / "model", tmp_path / "script.json").exit_code == 0
    assert verdicts(tmp_path / "model")[0].reason == "\\udcff"
    demo = command(groups, tmp_path / "demo", "--checkpoint", "demo", "--device", "cpu")
    assert CliRunner().invoke(main, demo).exit_code in (
        0,
        3,
    )  # the small model may answer anything, but the run must not crash


def test_an_answer_that_was_cut_off_fails_its_group(stage_a: Path, tmp_path: Path) -> None:
    assert run(stage_a, tmp_path / "out", script(tmp_path, {"*": GOOD}, truncated=["QC-1"])).exit_code == 3
    assert [(fault.group_id, fault.step) for fault in faults(tmp_path / "out")] == [("QC-1", "generate")]
    assert "raise --max-new-tokens" in faults(tmp_path / "out")[0].advice


def test_a_failed_group_is_tried_again(stage_a: Path, tmp_path: Path) -> None:
    """Another script would be another checkpoint, so the answer of the same script is cut off here."""
    answers = {f"QC-{number}": GOOD for number in range(12)}
    path, out = script(tmp_path, answers, truncated=["QC-1"]), tmp_path / "out"
    assert run(stage_a, out, path).exit_code == 3
    result = run(stage_a, out, path)
    assert (result.exit_code, len(verdicts(out)), len(faults(out))) == (3, 11, 1)


def test_a_run_in_which_everything_fails_stops(tmp_path: Path) -> None:
    groups = write_lines(tmp_path / "a.jsonl", [record(number) for number in range(MAX_FAILURES_AT_START + 10)])
    result = run(groups, tmp_path / "out", script(tmp_path, {"*": "好"}))
    assert result.exit_code == 1
    assert f"the first {MAX_FAILURES_AT_START} groups all failed" in result.stderr


# ---- thresholds ----


def test_a_threshold_decides_and_another_rewrites_without_a_model(stage_a: Path, tmp_path: Path) -> None:
    sure = {f"QC-{number}": 0.5 + number / 100 for number in range(12)}
    path, out = script(tmp_path, {"*": GOOD, "QC-0": BAD}, confidence={"*": 0.9, **sure}), tmp_path / "out"
    assert run(stage_a, out, path).exit_code == 0
    first = verdicts(out)
    assert [line.verdict for line in first] == ["fail"] + ["pass"] * 11
    result = run(stage_a, out, path, "--threshold", 0.55, "--json")
    (row,) = json.loads(result.stdout)
    assert (result.exit_code, row["skipped"], row["revised"], result.stderr) == (0, 12, 4, "")
    second = verdicts(out)
    assert [line.verdict for line in second] == ["fail"] * 5 + ["pass"] * 7
    assert [line.model_copy(update={"verdict": "pass"}) for line in second] == [
        line.model_copy(update={"verdict": "pass"}) for line in first
    ]
    assert json.loads((out / f"{SHIELD}_verdicts.run.json").read_text("utf-8"))["settings"]["threshold"] == 0.55
    result = run(stage_a, out, path)
    assert (result.exit_code, "; the other threshold changed 4 verdicts" in result.stderr) == (0, True)
    assert verdicts(out) == first
    assert "threshold changed" not in run(stage_a, out, path).stderr


def test_a_threshold_that_is_reached_is_a_pass(stage_a: Path, tmp_path: Path) -> None:
    path = script(tmp_path, {"*": GOOD}, confidence={"*": 0.75})
    for threshold, verdict in ((0.75, "pass"), (0.750001, "fail"), (0, "pass"), (1, "fail")):
        assert run(stage_a, tmp_path / "out", path, "--threshold", threshold).exit_code == 0
        assert {line.verdict for line in verdicts(tmp_path / "out")} == {verdict}


# ---- wrong usage and damaged files ----


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--checkpoint, --endpoint or --rules: give one of them"),
        (["--rules", "--checkpoint", "demo"], "--checkpoint, --endpoint or --rules: give one of them"),
        (["--rules", "--threshold", "0.5"], "--threshold needs the p_pass of a model"),
        (["--checkpoint", "demo", "--threshold", "1.5"], "--threshold"),
        (["--checkpoint", "demo", "--batch-size", "0"], "--batch-size"),
        (["--checkpoint", "demo", "--max-new-tokens", "0"], "--max-new-tokens"),
    ],
)
def test_wrong_usage_is_named(stage_a: Path, tmp_path: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(main, command(stage_a, tmp_path / "out", *options))
    assert (result.exit_code, message in result.stderr) == (2, True), result.stderr
    assert not (tmp_path / "out").exists()


def test_no_file_is_wrong_usage_and_an_empty_one_an_error(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["judge", "--rules", "--output-dir", str(tmp_path / "out")]).exit_code == 2
    result = CliRunner().invoke(main, command(write_lines(tmp_path / "a.jsonl", []), tmp_path / "out", "--rules"))
    assert (result.exit_code, "no group to judge" in result.stderr) == (1, True)


def broken(**fields: Any) -> bytes:
    return dump_line({**record(1), **fields})


DAMAGED: dict[str, tuple[bytes, str]] = {
    "missing key": (dump_line({k: v for k, v in record(1).items() if k != "per_image"}), "key per_image is missing"),
    "extra key": (broken(note="x"), "unknown key note"),
    "gap": (broken(per_image={"图片_1": "无关图片×1", "图片_3": "无关图片×1"}), "图片_2|图片_3|missing"),
    "label": (broken(label="审核通过"), "key label is '审核通过'"),
    "twice": (dump_line(record(0)), r"is already at .*a.jsonl:1"),
    "torn": (dump_line(record(1))[:-40], "incomplete"),
    "utf-8": (dump_line(record(1)).replace("挡".encode(), b"\xff"), "not UTF-8"),
    "mission": (broken(mission="消防检查"), "unknown mission '消防检查'. Known missions: .*--mission-file"),
    "a long line": (broken(note="x" * 10_000_000), "unknown key note"),
}


@pytest.mark.parametrize("fault", DAMAGED)
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, fault: str) -> None:
    line, message = DAMAGED[fault]
    path = tmp_path / "a.jsonl"
    path.write_bytes(dump_line(record(0)) + line)
    result = CliRunner().invoke(main, command(path, tmp_path / "out", "--rules"))
    assert result.exit_code == 1
    assert f"{path}:2" in result.stderr
    assert re.search(message, result.stderr), result.stderr
    assert len(result.stderr) < 1_000
    assert not (tmp_path / "out").exists()


def test_script_tags_are_text_like_any_other(tmp_path: Path) -> None:
    tags = "标签/<script>alert(1)</script>×1"
    groups = write_lines(tmp_path / "a.jsonl", [stage_a_line("QC-0", "pass", tags, mission=SHIELD)])
    assert CliRunner().invoke(main, command(groups, tmp_path / "out", "--rules")).exit_code == 0


# ---- running it again ----


def test_a_resume_continues_and_other_settings_are_refused(stage_a: Path, tmp_path: Path) -> None:
    path, out = script(tmp_path, {"*": GOOD}), tmp_path / "out"
    assert run(stage_a, out, path, "--limit", 5).exit_code == 0
    assert len(verdicts(out)) == 5
    before = (out / f"{SHIELD}_verdicts.jsonl").read_bytes()
    assert run(stage_a, out, path).exit_code == 0
    assert (out / f"{SHIELD}_verdicts.jsonl").read_bytes().startswith(before)
    assert len(verdicts(out)) == 12
    refused = run(stage_a, out, script(tmp_path, {"*": BAD}))
    assert (refused.exit_code, "checkpoint: file has" in refused.stderr) == (1, True)
    refused = CliRunner().invoke(main, command(stage_a, out, "--rules"))
    assert (refused.exit_code, "other settings" in refused.stderr) == (1, True)
    assert len(verdicts(out)) == 12


def test_a_checkpoint_does_not_continue_rule_verdicts_and_the_message_is_short(tmp_path: Path) -> None:
    stage_a, out = write_lines(tmp_path / "a.jsonl", [record(0), record(1, GROUNDING)]), tmp_path / "out"
    assert CliRunner().invoke(main, command(stage_a, out, "--rules")).exit_code == 0
    refused = run(stage_a, out, script(tmp_path, {"*": GOOD}), "--quiet")
    assert refused.exit_code == 1
    assert re.sub(r'"[0-9a-f]{40,}…', '"…"', refused.stderr).splitlines()[:4] == [
        f"error: {out}/{SHIELD}_verdicts.run.json: the lines so far were made with other settings:",
        '  checkpoint: file has "rules", this run has "…"',
        "  only the file has rule; only this run has dtype, sampling, prompts",
        "  Use the same settings, choose another --output-dir, or start over with --fresh, which keeps the old files "
        "under another name.",
    ]
    assert len(refused.stderr.splitlines()) == 8


def test_a_run_killed_ten_times_ends_with_the_same_lines(stage_a: Path, tmp_path: Path) -> None:
    groups = write_lines(stage_a, [record(number) for number in range(120)])
    answers = {f"QC-{number}": write_verdict(number % 2 == 0, f"第{number}组") for number in range(120)}
    path, chance, out = script(tmp_path, answers, delay_s=0.02), Random(4), tmp_path / "out"
    arguments = command(groups, out, "--engine", "scripted", "--checkpoint", path, "--batch-size", "2", "--quiet")
    for _ in range(10):
        process = subprocess.Popen([sys.executable, "-m", "yanshou.cli", *arguments])
        time.sleep(chance.uniform(0.3, 0.9))
        process.kill()
        assert process.wait() in (-signal.SIGKILL, 0)
    assert run(groups, out, path, "--batch-size", 64).exit_code == 0
    alone = tmp_path / "alone"
    assert run(groups, alone, path, "--batch-size", 64).exit_code == 0
    assert without_time(out) == without_time(alone)
    assert len(without_time(out)) == 120


def test_an_interrupted_run_ends_after_the_current_batch(stage_a: Path, tmp_path: Path) -> None:
    path, out = script(tmp_path, {"*": GOOD}, delay_s=0.5), tmp_path / "out"
    arguments = command(stage_a, out, "--engine", "scripted", "--checkpoint", path, "--batch-size", "2")
    process = subprocess.Popen([sys.executable, "-m", "yanshou.cli", *arguments], stderr=subprocess.PIPE, text=True)
    lines = out / f"{SHIELD}_verdicts.jsonl"
    while not (lines.exists() and lines.stat().st_size):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted. Run the same command again to resume." in err
    assert 2 <= len(verdicts(out)) <= 6


def test_an_interrupted_run_without_a_model_ends_after_the_current_group(stage_a: Path, tmp_path: Path) -> None:
    settings = JudgeSettings(stage_a=(stage_a,), output_dir=tmp_path / "out", engine=None)

    class InterruptsIt(NullListener):
        def group(self, outcome: Outcome[Any]) -> None:
            stage.interrupt()

    stage = prepare(settings, listener=InterruptsIt())
    (result,) = stage.run()
    assert (result.status, len(verdicts(tmp_path / "out"))) == (130, 1)
    assert judge_files(settings)[0].status == 0
    assert len(verdicts(tmp_path / "out")) == 12


# ---- a real model ----


def test_batch_size_and_order_change_no_verdict(tmp_path: Path) -> None:
    """The shipped checkpoint, fp32 on the CPU."""
    records = [record(number, GROUNDING, "pass" if number % 2 else "fail") for number in range(10)]
    stage_a = write_lines(tmp_path / "a.jsonl", records)
    shuffled = write_lines(tmp_path / "b.jsonl", Random(1).sample(records, len(records)))
    found = []
    for name, groups, batch_size in (("one", stage_a, 1), ("eight", stage_a, 8), ("shuffled", shuffled, 5)):
        engine = EngineSettings(checkpoint="demo", device="cpu", batch_size=batch_size)
        (result,) = judge_files(JudgeSettings(stage_a=(groups,), output_dir=tmp_path / name, engine=engine))
        assert result.status == 0, result
        found.append({line["group_id"]: line for line in without_time(tmp_path / name, GROUNDING)})
    for other in found[1:]:
        for group_id, line in other.items():
            first = found[0][group_id]
            assert {**line, "p_pass": 0} == {**first, "p_pass": 0}
            assert line["p_pass"] == pytest.approx(first["p_pass"], abs=2e-6)
            assert (line["p_pass"] >= 0.5) == (line["verdict"] == "pass")
    assert {line["verdict"] for line in found[0].values()} == {"pass", "fail"}
