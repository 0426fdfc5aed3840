"""One `yanshou train`: checks, ms-swift's trainer in a process of its own, curves, and a checkpoint of the result.

    rows, checkpoint, settings ── checked ── swift rlhf ── swift/checkpoint-N ── swift export ── final
                                               └ logging.jsonl ── shown while it runs ── curves.png

    training = Training(TrainSettings(checkpoint="demo", train_file=…, output_dir=…))
    with interruptible(training.interrupt):
        result = training.run()

The same command again resumes from the newest complete checkpoint.
"""

import logging
import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from yanshou.engines import checkpoint
from yanshou.errors import ResumeError, RunError
from yanshou.missions import load_missions
from yanshou.settings import REWARD_WEIGHTS, TrainSettings
from yanshou.stage_b.dataset_files import file_sha256
from yanshou.stage_b.dataset_rows import TrainRow, read_rows
from yanshou.stage_b.training_groups import Source, TrainingGroups, training_groups
from yanshou.storage.atomic import move_aside, replace_file, write_errors
from yanshou.storage.jsonl import as_json, dump_line, read_object
from yanshou.storage.lock import Lock
from yanshou.storage.settings_diff import START_OVER, Change, check_settings
from yanshou.train.command import train_args
from yanshou.train.curves import draw, finished, read_curves, warning
from yanshou.train.folder import TrainFolder, step_of
from yanshou.train.merge import merge, merge_start
from yanshou.train.preflight import (
    check_code,
    check_files,
    check_final,
    check_inputs_stay,
    check_installed,
    check_processes,
    check_trainable,
    count_blocks,
)
from yanshou.train.progress_view import NullView, TrainView
from yanshou.train.sft import write_rows
from yanshou.train.trainer_process import TrainerProcess

PROCESSES = ("NPROC_PER_NODE", "NNODES")  # of torchrun: how many train at once, each with a batch of its own
MAY_CHANGE = frozenset({"output_dir", "device", "save_steps", "keep_checkpoints", "fresh"})

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class TrainResult:
    """How a training ended."""

    final: Path | None = None  # None: interrupted
    curves: Path | None = None
    step: int = 0
    interrupted: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status."""
        return 130 if self.interrupted else 0

    def final_messages(self) -> list[str]:
        """What is printed even where progress is not shown."""
        warnings = [f"warning: {warning}" for warning in self.warnings]
        if self.interrupted:
            end = f"interrupted at step {self.step}. The same command resumes from the newest checkpoint."
            return [*warnings, end]
        return [*warnings, f"curves: {self.curves or 'none'}", f"checkpoint: {self.final}"]


class Training:
    """From the settings to the result. Raises UsageError and RunErrors."""

    def __init__(self, settings: TrainSettings, view: TrainView | None = None) -> None:
        self.settings, self.view = settings, view or NullView()
        self.folder = TrainFolder(settings.output_dir.absolute())
        self.source = checkpoint.find(settings.checkpoint, settings.base_checkpoint)
        self.interrupted = False
        self.warnings: list[str] = []  # about the files, as of the latest check

    def interrupt(self) -> None:
        """Ends the training; the newest checkpoint is kept. Safe from a signal handler."""
        self.interrupted = True

    def command_line(self) -> str:
        """The command that `run` would start now, for `--dry-run`. Nothing is written."""
        self._check()
        return shlex.join(["swift", *self._train_args(None if self.settings.fresh else self.folder.newest())])

    def run(self) -> TrainResult:
        """Trains, from the newest checkpoint where there is one, and makes the result."""
        self._check()
        for message in self.warnings:
            self.view.say(f"warning: {message}")
        check_installed()
        with Lock(self.folder.lock, self.folder.root) as lock:
            self._begin()
            if self.folder.final.exists():
                check_final(self.folder.final)
                self.view.say(f"{self.folder.final} is trained already. --fresh starts over.")
            else:
                self._train_and_merge(lock)
            return self._result()

    # ---- the steps ----

    def _check(self) -> None:
        """Checks everything that can be known before a trainer starts."""
        check_processes()
        self.source.check()
        for path in self.source.folders:
            check_code(path)
        check_trainable(self.source.weights)
        missions = load_missions(self.settings.mission_files) if self._needs_reasons else None
        self.warnings = check_files(self._files, missions)
        if self.settings.fresh:
            check_inputs_stay(self.folder, [*self.source.folders, *self._files.values(), *self.settings.mission_files])

    def _begin(self) -> None:
        """Writes the run file at the beginning of a training, and compares it when the training is resumed.

        Where the trainer failed before its first step there is nothing to resume: other settings replace those.
        """
        run, identity = self.folder.run, as_json(self._identity())
        if self.settings.fresh:
            move_aside(self.folder.written(), self.folder.root / "old")
        if run.exists() and self.folder.begun():
            file = read_object(run, f"Restore the file, {START_OVER}")
            check_settings(run, file, identity, self._may_change, "the training began")
        elif not run.exists() and (self.folder.swift.exists() or self.folder.final.exists()):
            raise ResumeError(
                f"{self.folder.root} holds a training, but its settings are unknown, because {run.name} is missing. "
                f"Put it back, {START_OVER}"
            )
        else:
            replace_file(run, dump_line(identity, indent=1))

    def _train_and_merge(self, lock: Lock) -> None:
        if self.source.adapter:
            self.view.say(f"starting from {self.folder.start}: {self.source.weights} with the adapter merged")
            merge_start(self.source, self.folder)
        trainer = TrainerProcess(
            self.folder, lock, cpu=self._cpu, view=self.view, interrupted=lambda: self.interrupted,
            mission_files=self.settings.mission_files,
        )  # fmt: skip
        if not self._is_trained():
            self._train(trainer)
        if not self.interrupted:
            self._merge(trainer)

    def _train(self, trainer: TrainerProcess) -> None:
        if self.settings.sft:
            rows = {self.folder.rows(name): path for name, path in self._files.items()}
            write_rows(rows, load_missions(self.settings.mission_files))
        for incomplete in self.folder.incomplete():
            with write_errors(incomplete):
                shutil.rmtree(incomplete)
        damaged = self.folder.damaged()
        for file in damaged.values():
            self.warnings.append(f"{file} is not whole: its checkpoint is moved away and not resumed from")
            self.view.say(f"warning: {self.warnings[-1]}")
        move_aside(list(damaged), self.folder.root / "damaged")
        newest = self.folder.newest()
        if newest:
            self.view.say(f"resuming from step {step_of(newest)}: {newest}")
        if (hosts := os.environ.get("NNODES", "1")) != "1":
            self.view.say(
                f"NNODES is {hosts}: the training begins once it has been started on all {hosts} hosts. If this host "
                "trains alone, interrupt it and unset NNODES."
            )
        if trainer.run(self._train_args(newest)) and self.folder.newest() is None:
            raise RunError(f"the trainer ended without a checkpoint{self._too_few_rows()}. See {self.folder.log}.")

    def _is_trained(self) -> bool:
        """Whether the trainer came to its end, and the checkpoint of its last step is still there and whole."""
        newest = self.folder.newest()
        last = read_curves(self.folder.logging).step
        return finished(self.folder.logging) and newest is not None and step_of(newest) >= last

    def _too_few_rows(self) -> str:
        """The reason why there was no step, where there are fewer rows than GRPO takes for one."""
        answers, generations = self.settings.batch_size * self.settings.accumulation, self.settings.generations
        processes = os.environ.get("NPROC_PER_NODE", "")
        groups = answers * int(processes if processes.isdecimal() else 1) // generations
        rows = sum(1 for _ in read_rows(self.settings.train_file, TrainRow))
        if self.settings.sft or rows >= groups:
            return ""
        return (
            f": one step takes {groups} groups ({answers} answers by --batch-size and --accumulation, {generations} "
            f"by --generations), and {self.settings.train_file} has {rows}. Lower --batch-size or --accumulation, and "
            "start over with --fresh"
        )

    def _merge(self, trainer: TrainerProcess) -> None:
        newest = self.folder.newest()
        if newest is None:
            raise RunError(f"{self.folder.swift} holds no complete checkpoint. --fresh starts over.")
        self.view.say(f"making a checkpoint from {newest}")
        merge(newest, self._model, self.folder, trainer.run, self._training_groups)

    def _training_groups(self, fingerprint: str) -> TrainingGroups:
        missions = load_missions(self.settings.mission_files)
        source = Source(self.source.weights, adapter=self.source.adapter is not None)
        return training_groups(self._files["train"], source, fingerprint, missions)

    def _result(self) -> TrainResult:
        curves = read_curves(self.folder.logging)
        result = TrainResult(step=curves.step, interrupted=self.interrupted, warnings=list(self.warnings))
        if curves.train:
            draw(curves, self.folder.curves)
            result.curves = self.folder.curves
        if message := warning(curves, last=max(1, curves.step), highest=sum(self.settings.reward_weights.values())):
            result.warnings.append(message)
        if not self.interrupted:
            result.final = self.folder.final
        logger.info("training at step %d of %d: status %d", curves.step, curves.steps, result.status)
        return result

    # ---- what the steps need ----

    @property
    def _files(self) -> dict[str, Path]:
        named = {"train": self.settings.train_file, "val": self.settings.val_file}
        return {name: path.absolute() for name, path in named.items() if path}

    @property
    def _model(self) -> Path:
        """The folder of whole weights that the trainer starts from."""
        return self.folder.start if self.source.adapter else self.source.weights

    @property
    def _needs_reasons(self) -> bool:
        """Whether a reward reads the reasons, for which the rows need more columns."""
        return not self.settings.sft and self.settings.reward_weights["grounded"] > 0

    def _train_args(self, resume: Path | None) -> list[str]:
        files: Mapping[str, Path] = self._files
        if self.settings.sft:
            files = {name: self.folder.rows(name) for name in files}
        blocks = count_blocks(self.source.weights)
        return train_args(self.settings, self._model, files["train"], files.get("val"), blocks, self._cpu, resume)

    @cached_property
    def _cpu(self) -> bool:
        if self.settings.device != "auto":
            return self.settings.device == "cpu"
        import torch

        return not torch.cuda.is_available()

    @property
    def _may_change(self) -> Mapping[str, Change]:
        """What the method does not use: run files of earlier versions hold any value of it."""
        rewards = ("reward_weights",) if self.settings.sft else ()
        return dict.fromkeys((*self.settings.unused, *rewards), "any")

    def _identity(self) -> dict[str, Any]:
        """What a resume must have in common with the training so far."""
        settings = self.settings.model_dump(mode="json", exclude={*MAY_CHANGE, "base_checkpoint", "reward"})
        if self.settings.reward_weights != REWARD_WEIGHTS:  # else as before there was this setting
            settings["reward_weights"] = self.settings.reward_weights
        files = {f"{name}_file": file_sha256(path) for name, path in self._files.items()}
        processes = {name: value for name in PROCESSES if (value := os.environ.get(name, "1")) != "1"}
        return {**settings, **processes, **files, **self.source.fingerprints()}
