"""The closed GRPO loop: every step once and in order, resumable, with the figures of its files."""

import fcntl
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.lines import SHIELD, stage_a_line, truth_line

from yanshou.cli import main as yanshou
from yanshou.errors import InputError
from yanshou.schema.records import StageARecord, TruthRecord
from yanshou.storage.jsonl import dump_line, read_records
from yanshou.world.grpo_loop import figures
from yanshou.world.grpo_loop.__main__ import main
from yanshou.world.grpo_loop.steps import Shell, StepError, Steps
from yanshou.world.grpo_loop.true_lines import write_true_lines

RIGHT, WRONG = "BBU设备/华为,显示完整,无需安装×1", "无关图片×1"


def record(number: int, label: str, line: str) -> StageARecord:
    return StageARecord.model_validate(stage_a_line(f"QC-{number}", label, line, mission=SHIELD, raw_texts=[line]))


def truth(number: int, label: str, line: str) -> TruthRecord:
    return TruthRecord.model_validate(truth_line(f"QC-{number}", label, line, mission=SHIELD))


# ---- steps -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def steps(tmp_path: Path) -> Iterator[Steps]:
    steps = Steps(tmp_path, parallel=True)
    yield steps
    steps.close()


def _python(code: str) -> tuple[str, str, str]:
    return sys.executable, "-c", code


def test_a_step_runs_once_and_keeps_its_output_and_time(steps: Steps, tmp_path: Path) -> None:
    for _ in range(2):
        steps.run("greet", lambda shell: shell.run(*_python("print('hello')")))

    assert (tmp_path / "logs" / "greet.log").read_text() == "hello\n"
    assert (tmp_path / "times.tsv").read_text() == "greet\t0\n"


def test_a_commands_output_can_go_to_a_file(steps: Steps, tmp_path: Path) -> None:
    command = _python("import sys; print('figures'); print('progress', file=sys.stderr)")
    steps.run("figures", lambda shell: shell.run(*command, output=tmp_path / "figures.json"))

    assert (tmp_path / "figures.json").read_text() == "figures\n"
    assert (tmp_path / "logs" / "figures.log").read_text() == "progress\n"


@pytest.mark.parametrize(("code", "status"), [("exit('no memory')", 1), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_a_failed_step_is_reported_and_not_marked_as_done(steps: Steps, tmp_path: Path, code: str, status: int) -> None:
    with pytest.raises(StepError, match=f"train failed with status {status}[^$]*run the same command") as caught:
        steps.run("train", lambda shell: shell.run(*_python(code)))

    assert caught.value.status == status
    assert ("no memory" in str(caught.value)) == (status == 1)
    assert not list((tmp_path / "done").iterdir())


def test_a_command_that_left_out_some_groups_counts_as_done(steps: Steps, tmp_path: Path) -> None:
    steps.run("summarize", lambda shell: shell.run(*_python("exit(3)")))

    assert [path.name for path in (tmp_path / "done").iterdir()] == ["summarize"]


def test_parallel_chains_all_end_before_a_failure_is_raised(steps: Steps, tmp_path: Path) -> None:
    def chain(name: str, code: str) -> None:
        steps.run(name, lambda shell: shell.run(*_python(code)))

    with pytest.raises(StepError, match="first failed"):
        steps.together(lambda: chain("first", "exit(1)"), lambda: chain("second", "import time; time.sleep(0.3)"))
    assert [path.name for path in (tmp_path / "done").iterdir()] == ["second"]


def test_every_failure_of_parallel_chains_is_reported(steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    def chain(name: str) -> None:
        steps.run(name, lambda shell: shell.run(*_python("exit(1)")))

    with pytest.raises(StepError, match="first failed"):
        steps.together(lambda: chain("first"), lambda: chain("second"))
    assert "second failed with status 1" in capsys.readouterr().err


# ---- the program -----------------------------------------------------------------------------------------------------


class Recorder:
    """Replaces `Shell.run`: records the commands and creates the files that later steps need."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.fails = ""

    def run(self, *command: object, output: Path | None = None) -> None:
        words = list(map(str, command[2:]))
        name = words[1] if words[0] == "yanshou.cli" else words[0]
        if name == self.fails:
            raise StepError(name, 7)
        self.commands.append(" ".join(words))
        if name == "synth":
            (Path(words[words.index("--output-dir") + 1]) / SHIELD).mkdir(parents=True)
        if name == "yanshou.world.train":
            (Path(words[words.index("--output-dir") + 1]) / "state.safetensors").touch()
        if output:
            output.write_text(
                json.dumps({"overall": {"judge": FIGURES, "rules": FIGURES, "photos": 2, "identical": 1}})
            )


RATE = {"count": 1, "of": 2, "share": 0.5, "low": 0.1, "high": 0.9}
FIGURES = {"groups": 2, "judged": 2, "accuracy": RATE, "false_release": RATE, "false_block": RATE}
OVERALL = {"judge": FIGURES, "rules": FIGURES, "photos": 2, "identical": 1}


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(Shell, "run", lambda _, *command, output=None: recorder.run(*command, output=output))
    monkeypatch.setattr("yanshou.world.grpo_loop.loop.write_true_lines", lambda *_: None)
    monkeypatch.setattr("yanshou.world.grpo_loop.__main__.find_spec", lambda _: object())
    return recorder


def loop(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--output-dir", str(folder / "out put"), "--device", "cpu", *arguments])


def test_the_loop_runs_every_step_once_and_prints_the_figures(recorder: Recorder, tmp_path: Path) -> None:
    result = loop(tmp_path, "--steps", "2", "--", "--optim", "sgd")
    assert result.exit_code == 0, result.output
    assert "| true lines | before | 2 | 1 / 2 = 50.0% [10.0–90.0]" in result.stdout
    assert "| seed-1 | 1 / 2 = 50.00% |" in result.stdout
    assert json.loads((tmp_path / "out put" / "figures.json").read_text()).keys() == {"verdicts", "summaries"}
    (first, second) = [command for command in recorder.commands if command.startswith("yanshou.cli train")]
    assert "--seed 0" in first
    assert "--seed 1" in second
    assert "--accumulation 1 --max-steps 2" in first
    assert "--optim sgd -- --torch_dtype float32" in first

    done = len(recorder.commands)
    assert loop(tmp_path, "--steps", "2", "--", "--optim", "sgd").exit_code == 0
    assert len(recorder.commands) == done


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--answers", "100", "--micro-batch", "32"],
            "--answers 100 is not a multiple of --micro-batch 32. Change one",
        ),
        (["--seeds", "0 1 0"], "--seeds is '0 1 0': give different whole numbers with spaces between them"),
        (["--seeds", "0,1"], "--seeds is '0,1': give different whole numbers with spaces between them"),
        (["--steps", "0"], "--steps is 0: input should be greater than 0."),
    ],
)
def test_settings_that_a_later_step_would_refuse_are_refused_at_once(
    recorder: Recorder, tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = loop(tmp_path, *arguments)

    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "out put").exists()


def test_a_failed_step_ends_the_loop_with_its_status_and_the_same_command_resumes(
    recorder: Recorder, tmp_path: Path
) -> None:
    recorder.fails = "judge"
    failed = loop(tmp_path)
    assert failed.exit_code == 7
    assert "judge-train failed with status 7" in failed.stderr

    done, recorder.fails = len(recorder.commands), ""
    assert loop(tmp_path).exit_code == 0
    assert recorder.commands[done].startswith("yanshou.cli judge")


def test_a_failed_initial_training_leaves_no_checkpoint(recorder: Recorder, tmp_path: Path) -> None:
    recorder.fails = "yanshou.world.train"
    assert loop(tmp_path).exit_code == 7
    assert not (tmp_path / "out put" / "initial").exists()


@pytest.mark.parametrize("option", ["--train-groups", "--steps"])
def test_a_folder_keeps_the_settings_of_its_first_call(recorder: Recorder, tmp_path: Path, option: str) -> None:
    recorder.fails = "train"
    assert loop(tmp_path, option, "60").exit_code == 7

    other = loop(tmp_path, option, "7")
    assert other.exit_code == 2
    assert f"{option[2:].replace('-', '_')}: file has 60, this run has 7" in other.stderr
    assert "another --output-dir" in other.stderr


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_damaged_settings_file_is_reported(recorder: Recorder, tmp_path: Path, content: str) -> None:
    file = tmp_path / "out put" / "settings.json"
    file.parent.mkdir()
    file.write_text(content)

    result = loop(tmp_path)
    assert result.exit_code == 1
    assert f"{file}: " in result.stderr
    assert "another --output-dir" in result.stderr
    assert recorder.commands == []


def test_an_output_folder_that_cannot_be_written_is_reported(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "out put").touch()

    result = loop(tmp_path)
    assert result.exit_code == 1
    assert f"grpo_loop: {tmp_path / 'out put'}: cannot be written" in result.stderr
    assert recorder.commands == []


def test_a_missing_trainer_is_reported_before_the_first_step(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yanshou.world.grpo_loop.__main__.find_spec", lambda _: None)
    result = loop(tmp_path)
    assert result.exit_code == 1
    assert "'.[train]'" in result.stderr
    assert recorder.commands == []

    assert loop(tmp_path, "--until", "dataset").exit_code == 0
    assert recorder.commands[-1].startswith("yanshou.cli dataset")


def test_two_runs_cannot_share_a_folder(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "out put").mkdir()
    with (tmp_path / "out put" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = loop(tmp_path)
    assert second.exit_code == 1
    assert "another run uses this folder" in second.stderr


# ---- true lines and figures ------------------------------------------------------------------------------------------


def test_true_lines_replace_those_of_the_checkpoint(tmp_path: Path) -> None:
    written = tmp_path / f"{SHIELD}_stage_a.jsonl"
    written.write_bytes(dump_line(record(1, "pass", WRONG)))
    (tmp_path / "truth.jsonl").write_bytes(dump_line(truth(1, "pass", RIGHT)) + dump_line(truth(2, "fail", WRONG)))
    write_true_lines(tmp_path / "truth.jsonl", [written], tmp_path / "true")
    lines = read_records(tmp_path / "true" / written.name, StageARecord)
    assert [line for _, line in lines] == [record(1, "pass", RIGHT)]


def test_a_group_without_its_truth_is_an_error(tmp_path: Path) -> None:
    written = tmp_path / f"{SHIELD}_stage_a.jsonl"
    written.write_bytes(dump_line(record(1, "pass", WRONG)))
    (tmp_path / "truth.jsonl").write_bytes(dump_line(truth(1, "fail", RIGHT)))
    with pytest.raises(InputError, match=r"stage_a\.jsonl:1: group QC-1: .* does not hold its truth"):
        write_true_lines(tmp_path / "truth.jsonl", [written], tmp_path / "true")


def _json(*arguments: str | Path) -> str:
    result = CliRunner().invoke(yanshou, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_figures_are_those_of_evaluate(tmp_path: Path) -> None:
    stage_a, verdicts = tmp_path / f"{SHIELD}_stage_a.jsonl", tmp_path / "verdicts"
    lines = [record(1, "pass", RIGHT), record(2, "fail", WRONG), record(3, "fail", RIGHT)]
    stage_a.write_bytes(b"".join(map(dump_line, lines)))
    _json("judge", "--rules", "--quiet", "--output-dir", verdicts, stage_a)
    (tmp_path / "loop" / "before").mkdir(parents=True)
    evaluated = _json("evaluate", "--json", "--output-dir", tmp_path / "report", verdicts / f"{SHIELD}_verdicts.jsonl")
    (tmp_path / "loop" / "before" / "true.json").write_text(evaluated, encoding="utf-8")

    found = figures.verdict_figures(tmp_path / "loop")
    before: dict[str, Any] = found["true"]["before"]
    grounded = before.pop("grounded")
    assert (grounded["count"], grounded["of"]) == (3, 3)
    assert before == found["true"]["rules"]
    before["grounded"] = grounded
    assert before["accuracy"]["count"] == 2
    assert before["false_release"]["share"] == 0.5
    assert before["format_followed"] == 1
    table = "\n".join(figures.verdict_table(found))
    assert "| true lines | before | 3 | 2 / 3 = 66.7% [20.8–93.9] | 1 / 2 = 50.0%" in table
    assert "| 100.0% | 3 / 3 = 100.0% [43.9–100.0] |" in table


def test_the_figures_of_summaries_are_those_of_score(tmp_path: Path) -> None:
    stage_a = tmp_path / f"{SHIELD}_stage_a.jsonl"
    stage_a.write_bytes(dump_line(record(1, "pass", RIGHT)) + dump_line(record(2, "fail", WRONG)))
    (tmp_path / "truth.jsonl").write_bytes(dump_line(truth(1, "pass", RIGHT)) + dump_line(truth(2, "fail", RIGHT)))
    (tmp_path / "loop" / "seed-0").mkdir(parents=True)
    scored = _json("score", "--json", "--truth", tmp_path / "truth.jsonl", "--stage-a", stage_a)
    (tmp_path / "loop" / "seed-0" / "score.json").write_text(scored, encoding="utf-8")

    found = figures.summary_figures(tmp_path / "loop")
    assert found == {"seed-0": {"photos": 2, "identical": 1}}
    assert "| seed-0 | 1 / 2 = 50.00% |" in list(figures.summary_table(found))
