"""`yanshou train` with a fake ms-swift: what is started, followed, ended, resumed and refused."""

import json
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock
from safetensors.numpy import save_file
from safetensors.torch import save
from support.adapters import write_adapter
from support.checkpoints import HYBRID, THINKING, edited, prompt_end, spoilt
from support.lines import write_lines
from support.quantized import write_fine_grained
from support.training_rows import rows, write_dataset

from yanshou.engines import checkpoint
from yanshou.errors import (
    CheckpointError,
    InputError,
    LockedError,
    OutputError,
    ResumeError,
    RunError,
    UsageError,
)
from yanshou.settings import TrainSettings
from yanshou.stage_b.training_groups import read_training_groups
from yanshou.storage import atomic
from yanshou.storage.lock import Lock
from yanshou.train import preflight, trainer_process
from yanshou.train import run as launcher
from yanshou.train.progress_view import NullView
from yanshou.train.run import Training

Build = Callable[..., TrainSettings]
FAKE = Path(__file__).parent / "fake"
MODEL = checkpoint.locate("demo")


@pytest.fixture(autouse=True)
def fake_swift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(FAKE))
    monkeypatch.setattr(launcher, "check_installed", lambda: None)
    monkeypatch.setattr(launcher, "draw", lambda curves, path: path.write_bytes(b""))  # matplotlib comes with ms-swift
    monkeypatch.setattr(trainer_process, "POLL_S", 0.05)
    monkeypatch.setattr(trainer_process, "KILL_AFTER_S", 1.0)  # a trainer that hangs ignores the interrupt


class Said(NullView):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def write_saved(folder: Path) -> None:
    """The files of a checkpoint that hold weights and states; torch writes the latter as zip archives."""
    save_file({"weight": np.zeros(100, dtype=np.float32)}, folder / "adapter_model.safetensors")
    for name in ("optimizer.pt", "rng_state.pth"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("data.pkl", bytes(1000))


def interrupted(training: Training) -> launcher.TrainResult:
    """Runs a training until its second step, then interrupts it."""

    def watch() -> None:
        while not (training.folder.swift / "checkpoint-2").exists():
            time.sleep(0.02)
        training.interrupt()

    threading.Thread(target=watch, daemon=True).start()
    return training.run()


def test_a_training_ends_with_a_folder_that_loads_as_a_checkpoint(settings: Build) -> None:
    result = Training(settings()).run()
    assert (result.status, result.step) == (0, 3)
    assert result.final == settings().output_dir / "final"
    checkpoint.check(result.final)
    assert not (result.final / "args.json").exists()
    record = read_training_groups(result.final)
    assert record
    assert (len(record.groups), record.unnamed_rows, record.complete) == (12, 0, True)
    assert record.checkpoint == checkpoint.fingerprint(result.final), "the record is no part of the fingerprint"
    assert result.final_messages() == [f"curves: {result.curves}", f"checkpoint: {result.final}"]
    assert result.curves == settings().output_dir / "curves.png"
    assert result.curves.exists()


def test_an_adapter_is_trained_on_from_its_merged_weights(settings: Build, tmp_path: Path) -> None:
    adapter = write_adapter(MODEL, tmp_path / "lora", target_modules=r".*layers\.1\.self_attn\.q_proj")
    training = Training(settings(checkpoint=str(adapter)))
    start = training.folder.start
    assert f"--model {start}" in training.command_line()
    assert not start.exists(), "a dry run writes nothing"
    assert training.run().status == 0
    checkpoint.check(start)
    assert checkpoint.fingerprint(start) != checkpoint.fingerprint(MODEL)
    run = json.loads(training.folder.run.read_text(encoding="utf-8"))
    assert {name: run[name] for name in ("checkpoint", "adapter")} == checkpoint.find(str(adapter)).fingerprints()


def test_a_training_is_not_resumed_with_another_adapter_or_base(settings: Build, tmp_path: Path) -> None:
    first, second = (
        write_adapter(MODEL, tmp_path / f"lora-{seed}", seed, target_modules=r".*layers\.1\.self_attn\.q_proj")
        for seed in (1, 2)
    )
    assert Training(settings(checkpoint=str(first))).run().status == 0
    moved = shutil.copytree(MODEL, tmp_path / "moved")
    assert Training(settings(checkpoint=str(first), base_checkpoint=str(moved))).run().status == 0
    with pytest.raises(ResumeError, match="adapter: file has"):
        Training(settings(checkpoint=str(second))).run()
    (moved / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(ResumeError, match="checkpoint: file has"):
        Training(settings(checkpoint=str(first), base_checkpoint=str(moved))).run()


def test_an_interrupted_training_resumes_from_the_newest_complete_checkpoint(
    settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWIFT_DOES", "hang")
    first = interrupted(Training(settings()))
    assert (first.status, first.final, first.step) == (130, None, 2)
    assert first.final_messages() == ["interrupted at step 2. The same command resumes from the newest checkpoint."]
    monkeypatch.setenv("SWIFT_DOES", "")
    again = Training(settings())
    assert "--resume_from_checkpoint" in again.command_line()
    assert "swift/checkpoint-1 " in again.command_line()  # checkpoint-2 is incomplete
    assert again.run().status == 0
    lines = (settings().output_dir / "swift/logging.jsonl").read_text().splitlines()
    assert [json.loads(line)["global_step/max_steps"] for line in lines] == ["1/3", "2/3", "2/3", "3/3", "3/3"]


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "optimizer.pt", "rng_state.pth"])
@pytest.mark.parametrize("size", [0, 200])
def test_a_damaged_checkpoint_is_moved_away_and_not_resumed_from(settings: Build, name: str, size: int) -> None:
    Training(settings()).run()
    folder = Training(settings()).folder
    shutil.rmtree(folder.final)
    for step in (1, 2, 3):
        write_saved(folder.swift / f"checkpoint-{step}")
    assert folder.newest() == folder.swift / "checkpoint-3"
    damaged = folder.swift / "checkpoint-3" / name
    os.truncate(damaged, size)
    view = Said()
    result = Training(settings(), view).run()
    assert (result.status, len(result.warnings)) == (0, 1)
    assert view.said == [
        f"warning: {result.warnings[0]}",
        f"resuming from step 2: {folder.swift}/checkpoint-2",
        f"making a checkpoint from {folder.swift}/checkpoint-3",
    ]
    assert result.warnings[0].startswith(f"{damaged} is not whole: its checkpoint is moved away and")
    (aside,) = folder.root.glob("damaged-*/checkpoint-3")
    assert (aside / name).stat().st_size == size
    lines = folder.logging.read_text().splitlines()
    assert json.loads(lines[-2])["global_step/max_steps"] == "3/3", "its steps are trained again"
    assert len(lines) == 3 + 1 + 1 + 1


def test_a_checkpoint_that_may_not_be_read_is_left_to_the_trainer(
    settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    Training(settings()).run()
    folder = Training(settings()).folder
    write_saved(folder.swift / "checkpoint-3")
    os.truncate(folder.swift / "checkpoint-3/optimizer.pt", 0)
    assert folder.damaged()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert not folder.damaged()


def test_the_result_is_made_from_the_last_step_alone(settings: Build) -> None:
    Training(settings()).run()
    folder = Training(settings()).folder
    shutil.rmtree(folder.final)
    shutil.rmtree(folder.swift / "checkpoint-3")
    view = Said()
    assert Training(settings(), view).run().status == 0
    assert view.said[-1] == f"making a checkpoint from {folder.swift}/checkpoint-3"


def test_a_result_is_made_with_the_weights_where_they_are_now(settings: Build, tmp_path: Path) -> None:
    """A checkpoint of the trainer names them, too, but where they were then."""
    before = shutil.copytree(MODEL, tmp_path / "before")
    Training(settings(checkpoint=str(before))).run()
    shutil.rmtree(settings().output_dir / "final")
    before.rename(tmp_path / "now")
    assert Training(settings(checkpoint=str(tmp_path / "now"))).run().status == 0


def test_a_training_reads_no_rows_from_the_cache_of_another_one(settings: Build) -> None:
    """A cache takes a file with the same name and time for the same file: `rsync -t` and `tar` keep times."""
    cache = settings().output_dir / ".swift_cache"
    (cache / "datasets").mkdir(parents=True)
    assert Training(settings()).run().status == 0
    assert not cache.exists()


def test_a_finished_training_is_not_trained_again(settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    Training(settings()).run()
    monkeypatch.setenv("SWIFT_DOES", "fail")
    assert Training(settings()).run().status == 0


def test_the_trainers_own_error_is_shown(settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIFT_DOES", "fail")
    with pytest.raises(RunError, match=r"status 1: .*must be evenly divisible.*swift\.log"):
        Training(settings()).run()


def test_an_error_without_a_message_is_shown(settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIFT_DOES", "fail without a message")
    with pytest.raises(RunError, match=r"status 1: 'EOFError'\. See"):
        Training(settings()).run()


def test_too_few_rows_for_a_step_are_named(settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIFT_DOES", "find too few rows")
    monkeypatch.setenv("NPROC_PER_NODE", "2")
    cure = r"without a checkpoint: one step takes 16 groups \(32 answers .*train\.jsonl has 12\. Lower --batch-size or"
    for _ in range(2):
        with pytest.raises(RunError, match=cure):
            Training(settings()).run()
    monkeypatch.setenv("NPROC_PER_NODE", "gpu")
    with pytest.raises(RunError, match=r"ended without a checkpoint\. See"):
        Training(settings(fresh=True)).run()


def test_the_error_of_one_of_several_trainers_is_shown(settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIFT_DOES", "fail as one of two")
    with pytest.raises(RunError, match=r"status 1: 'ValueError: generation_batch_size \(6\) must be even.'"):
        Training(settings()).run()


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("be killed", r"status -9: it was ended by SIGKILL \(as the kernel does where memory runs out"),
        ("be killed with its child", r"status 247: it was ended by SIGKILL \(as the kernel does"),
        ("be killed as one of two", r"status 1: its process 1 was ended by SIGKILL \(as the kernel does"),
        ("abort", r"status -6: it was ended by SIGABRT after 'torch\.AcceleratorError: CUDA error: an illegal memory"),
        ("find a full disk", r"iostream error' \(the disk of the output folder may be full\)"),
        ("find no GPU", r"bf16/gpu.* \(torch sees no GPU, as `yanshou doctor` shows; --device cpu trains without"),
    ],
)
def test_what_ended_a_trainer_is_named(settings: Build, monkeypatch: pytest.MonkeyPatch, does: str, told: str) -> None:
    monkeypatch.setenv("SWIFT_DOES", does)
    with pytest.raises(RunError, match=told):
        Training(settings()).run()


def test_an_error_that_names_no_cure_gets_one(settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIFT_DOES", "refuse an argument")
    with pytest.raises(RunError, match=r"remaining_argv: \['--lr', '1'\].* \(swift does not know these arguments, "):
        Training(settings()).run()


@pytest.mark.parametrize("number", ["0", "-1"])
def test_no_process_is_refused(settings: Build, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    monkeypatch.setenv("NPROC_PER_NODE", number)
    with pytest.raises(UsageError, match=f"NPROC_PER_NODE is {number} in the environment: set it to 1 or more"):
        Training(settings()).command_line()


def test_a_training_that_failed_before_its_first_step_takes_other_settings(
    settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWIFT_DOES", "fail")
    with pytest.raises(RunError):
        Training(settings(extra_args=("--lr", "1"))).run()
    monkeypatch.delenv("SWIFT_DOES")
    training = Training(settings())
    assert training.run().status == 0
    assert "--lr" not in training.folder.run.read_text(encoding="utf-8")


def test_every_one_of_several_trainers_has_ended_when_a_training_ends(
    settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWIFT_DOES", "start another")
    training = Training(settings())
    training.run()
    assert (training.folder.swift / "ended").exists()


def test_a_trainer_that_fails_later_says_from_where_to_resume(settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIFT_DOES", "hang")
    interrupted(Training(settings()))
    monkeypatch.setenv("SWIFT_DOES", "fail")
    with pytest.raises(RunError, match=r"evenly divisible.*swift\.log\. The same command resumes from step 1\.$"):
        Training(settings()).run()


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"lora_rank": 16}, "\n  lora_rank: file has 8, this run has 16\n"),
        ({"extra_args": ("--x", "1")}, "\n  extra_args: file has "),
        ({"reward": ("grounded=0.3",)}, "\n  reward_weights: file has nothing, this run has {"),
    ],
)
def test_other_settings_are_refused_showing_the_difference(
    settings: Build, changes: dict[str, object], difference: str
) -> None:
    Training(settings()).run()
    with pytest.raises(ResumeError) as refused:
        Training(settings(**changes)).run()
    assert difference in str(refused.value)


def test_the_default_weights_of_the_rewards_are_no_other_setting(settings: Build) -> None:
    Training(settings()).run()
    run = json.loads((settings().output_dir / "train.run.json").read_text(encoding="utf-8"))
    assert not {"reward", "reward_weights"} & run.keys()  # as before there were weights to give
    assert Training(settings(reward=("grounded=0", "label=1.0"))).run().status == 0


def test_rows_without_summaries_are_refused_only_where_reasons_are_rewarded(settings: Build, tmp_path: Path) -> None:
    old = [{key: value for key, value in row.items() if key != "summaries"} for row in rows(8, 1)]
    given = settings(train_file=write_lines(tmp_path / "old.jsonl", old))
    assert "yanshou_grounded" not in Training(given).command_line()
    cure = r"old.jsonl:1: the reward grounded needs .* and summaries\. Build .* or leave out --reward grounded\."
    with pytest.raises(InputError, match=cure):
        Training(given.model_copy(update={"reward": ("grounded=0.3",)})).command_line()


def test_rows_whose_label_the_rule_contradicts_are_counted_where_reasons_are_rewarded(
    settings: Build, tmp_path: Path
) -> None:
    given = rows(8, 1)
    given[0]["solution"] = {"通过": "不通过", "不通过": "通过"}[given[0]["solution"]]
    training = Training(settings(reward=("grounded=0.3",), train_file=write_lines(tmp_path / "rows.jsonl", given)))
    training.command_line()
    assert [warning for warning in training.warnings if "on 1 of 8 rows (12.5%) the mission's rule" in warning]
    given[1]["mission"] = "别的"
    write_lines(tmp_path / "rows.jsonl", given)
    with pytest.raises(InputError, match=r"rows.jsonl:2: unknown mission '别的'.*--mission-file"):
        training.command_line()


def test_another_number_of_processes_is_refused(settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NPROC_PER_NODE", "1")
    Training(settings()).run()
    monkeypatch.delenv("NPROC_PER_NODE")
    assert Training(settings()).run().status == 0
    monkeypatch.setenv("NPROC_PER_NODE", "2")
    with pytest.raises(ResumeError, match='\n  NPROC_PER_NODE: file has nothing, this run has "2"\n'):
        Training(settings()).run()


def test_a_training_that_waits_for_other_hosts_says_so(settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNODES", "2")
    view = Said()
    Training(settings(), view).run()
    assert view.said[0] == (
        "NNODES is 2: the training begins once it has been started on all 2 hosts. If this host trains alone, "
        "interrupt it and unset NNODES."
    )


def test_a_training_without_its_settings_is_refused(settings: Build) -> None:
    Training(settings()).run()
    (settings().output_dir / "train.run.json").unlink()
    with pytest.raises(
        ResumeError, match=r"its settings are unknown, because train\.run\.json is missing\. Put it back,"
    ):
        Training(settings()).run()


def test_a_training_file_that_changed_is_refused(settings: Build) -> None:
    given = settings()
    Training(given).run()
    write_dataset(given.train_file.parent, train=rows(13, 5), val=rows(2, 2))
    with pytest.raises(ResumeError, match="the training began with other settings:\n  train_file: file has "):
        Training(given).run()


def test_fresh_starts_over_and_keeps_the_old(settings: Build) -> None:
    Training(settings()).run()
    assert Training(settings(lora_rank=16, fresh=True)).run().status == 0
    (old,) = settings().output_dir.glob("old-*")
    assert (old / "final").is_dir()


def test_fresh_twice_within_a_second_keeps_both(settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = SimpleNamespace(astimezone=lambda: datetime(2026, 1, 18, 9, 30))
    monkeypatch.setattr(atomic, "datetime", SimpleNamespace(now=lambda: moment))
    for _ in range(3):
        assert Training(settings(fresh=True)).run().status == 0
    old = sorted(settings().output_dir.glob("old-*"))
    assert [folder.name for folder in old] == ["old-20260118T093000", "old-20260118T093000-2"]
    assert all((folder / "final").is_dir() for folder in old)


def test_fresh_in_a_folder_with_nothing_but_old_trainings_makes_no_empty_one(settings: Build) -> None:
    (settings().output_dir / "old-1").mkdir(parents=True)
    Training(settings(fresh=True)).run()
    assert [folder.name for folder in settings().output_dir.glob("old-*")] == ["old-1"]


def test_fresh_leaves_other_files_where_they_are(settings: Build) -> None:
    out = settings().output_dir
    out.mkdir()
    given = settings(train_file=write_lines(out / "train.jsonl", rows(12, 1)), sft=True)
    Training(given).run()
    assert Training(given.model_copy(update={"fresh": True})).run().status == 0
    (old,) = out.glob("old-*")
    assert {path.name for path in old.iterdir()} == {
        "train.run.json", "swift", "swift.log", "sft_train.jsonl", "sft_val.jsonl", "curves.png", "final",
    }  # fmt: skip
    assert given.train_file.is_file()


@pytest.mark.parametrize("name", ["checkpoint", "train_file", "val_file", "mission_files"])
def test_fresh_does_not_move_away_what_it_reads(settings: Build, name: str) -> None:
    Training(settings()).run()
    final = settings().output_dir / "final"
    inside = write_lines(final / "rows.jsonl", rows(2, 1))
    changes = {"checkpoint": str(final), "mission_files": (final / "config.json",)}
    training = Training(settings(fresh=True, **{name: changes.get(name, inside)}))
    for start in (training.run, training.command_line):
        with pytest.raises(UsageError, match=r"would move .*/out/final.* away .* Choose another --output-dir"):
            start()
    assert inside.exists()
    assert not list(settings().output_dir.glob("old-*"))


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_final_that_is_no_result_is_refused(settings: Build, kind: str) -> None:
    final = Training(settings()).run().final
    assert final
    if kind == "file":
        shutil.rmtree(final)
        final.touch()
    else:
        (final / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"Move .*/final away and run the same command to make it again\.$"):
        Training(settings()).run()
    final.rename(final.with_name("away"))
    assert Training(settings()).run().final == final


def test_a_pipe_is_no_training_file(settings: Build, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"/pipe is not a file that can be read several times"):
        Training(settings(train_file=tmp_path / "pipe")).command_line()


def test_folders_in_place_of_files_are_errors(settings: Build) -> None:
    (settings().output_dir / "swift.log").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"/swift\.log: cannot be written: Is a directory"):
        Training(settings()).run()
    (settings().output_dir / "swift" / "logging.jsonl").mkdir(parents=True)
    with pytest.raises(InputError, match=r"/logging\.jsonl: cannot be read: Is a directory"):
        Training(settings()).run()


def test_two_trainings_in_one_folder_are_refused(settings: Build) -> None:
    training = Training(settings())
    training.folder.root.mkdir()
    with FileLock(training.folder.lock), pytest.raises(LockedError, match="another run is writing it"):
        training.run()


def test_a_training_ends_where_another_took_the_lock_that_was_deleted(
    settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWIFT_DOES", "hang")
    training = Training(settings())
    other = Lock(training.folder.lock, training.folder.root)

    def take() -> None:
        while not (training.folder.swift / "checkpoint-2").exists():
            time.sleep(0.02)
        while other.file.exists():  # the training takes it again where it comes first
            other.file.unlink()
            with suppress(LockedError):
                other.acquire()
                return

    threading.Thread(target=take, daemon=True).start()
    with pytest.raises(LockedError, match=r"\.train\.lock was deleted during this run, and another run has taken"):
        training.run()
    other.release()


def test_a_dry_run_writes_nothing(settings: Build) -> None:
    assert Training(settings()).command_line().startswith("swift rlhf --rlhf_type grpo --model ")
    assert not settings().output_dir.exists()


def test_sft_trains_on_rows_with_answers(settings: Build) -> None:
    Training(settings(sft=True)).run()
    lines = (settings().output_dir / "sft_train.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 12
    assert [message["role"] for message in json.loads(lines[0])["messages"]] == ["system", "user", "assistant"]


def test_a_checkpoint_without_weights_is_refused(settings: Build, tmp_path: Path) -> None:
    folder = shutil.copytree(MODEL, tmp_path / "model", ignore=shutil.ignore_patterns("model*.safetensors*"))
    (folder / "model.safetensors").write_bytes(save({}))
    with pytest.raises(CheckpointError, match="files hold no weights, so random ones would be trained"):
        Training(settings(checkpoint=str(folder))).run()


def test_a_checkpoint_with_code_of_its_own_is_refused(settings: Build, tmp_path: Path) -> None:
    folder = spoilt(MODEL, tmp_path / "model", edited("config.json", auto_map={"AutoConfig": "evil.Config"}))
    with pytest.raises(CheckpointError, match="auto_map names Python code"):
        Training(settings(checkpoint=str(folder))).command_line()


def test_without_ms_swift_the_error_says_what_to_install(settings: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(preflight, "installed", lambda name: None)
    with pytest.raises(RunError, match=r"pip install 'yanshou\[train\]'"):
        Training(settings()).run()


def test_ms_swift_is_missed_where_yanshou_is_only_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "requirements", lambda extra: {})
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)

    with pytest.raises(RunError, match=r"the package ms-swift, which is not installed: pip install"):
        preflight.check_installed()


def test_weights_in_fp8_are_not_trained(settings: Build, tmp_path: Path) -> None:
    folder = write_fine_grained(MODEL, tmp_path / "fp8")
    with pytest.raises(CheckpointError) as refused:
        Training(settings(checkpoint=str(folder))).run()
    assert str(refused.value) == (
        f"{folder}: its weights are in FP8, which cannot be trained. Take the checkpoint in 16 bits from which it was "
        "quantized, or dequantize it and save that."
    )


def test_a_mixture_of_experts_is_not_trained(settings: Build, tmp_path: Path) -> None:
    folder = shutil.copytree(MODEL, tmp_path / "moe")
    edited("config.json", model_type="qwen3_vl_moe")(folder)
    with pytest.raises(CheckpointError) as refused:
        Training(settings(checkpoint=str(folder))).run()
    assert str(refused.value) == (
        f"{folder}: a mixture of experts (MoE), which is not trained here. Take a dense Qwen3-VL checkpoint, or train "
        "with ms-swift itself; its result can be run."
    )


def test_a_thinking_template_is_not_trained_and_one_with_a_switch_is(settings: Build, tmp_path: Path) -> None:
    thinking, hybrid = (
        spoilt(MODEL, tmp_path / name, prompt_end(end)) for name, end in (("thinking", THINKING), ("hybrid", HYBRID))
    )
    with pytest.raises(CheckpointError, match=rf"^{thinking}: its chat template opens a <think> block, .*Instruct"):
        Training(settings(checkpoint=str(thinking))).command_line()
    assert str(hybrid) in Training(settings(checkpoint=str(hybrid))).command_line()


def test_a_dry_run_that_starts_over_resumes_from_nothing(settings: Build) -> None:
    Training(settings()).run()
    assert "--resume_from_checkpoint" in Training(settings()).command_line()
    assert "--resume_from_checkpoint" not in Training(settings(fresh=True)).command_line()


def test_sft_that_an_earlier_version_began_with_options_of_grpo_is_resumed(settings: Build) -> None:
    training = Training(settings(sft=True))
    interrupted(training)
    file = json.loads(training.folder.run.read_text("utf-8"))
    training.folder.run.write_text(json.dumps(file | {"beta": 0.1, "reward_weights": {"label": 0.5}}), "utf-8")
    assert Training(settings(sft=True)).run().final == training.folder.final
