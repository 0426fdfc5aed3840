"""One `yanshou train`: checks, ms-swift's trainer in a process of its own, curves, and a checkpoint of the result.

    rows, checkpoint, settings ── checked ── swift rlhf ── swift/checkpoint-N ── swift export ── final
                                               └ logging.jsonl ── shown while it runs ── curves.png

    training = Training(TrainSettings(checkpoint="demo", train_file=…, output_dir=…))
    with interruptible(training.interrupt):
        result = training.run()

The same command again goes on from the newest checkpoint that is whole. An interrupt is passed on once, then the
trainer is killed; a trainer whose launcher is killed ends with it (plugin.py).
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from yanshou.engines import checkpoint
from yanshou.errors import CheckpointError, InputError, ResumeError, RunError, UsageError
from yanshou.missions import load_missions
from yanshou.settings import TrainSettings
from yanshou.stage_b.rows import check_rows
from yanshou.storage.atomic import replace_file, unused_path, write_error
from yanshou.storage.jsonl import dump_line, read_object
from yanshou.storage.lock import locked
from yanshou.text import excerpt
from yanshou.train.command import environment, train_words
from yanshou.train.curves import Curves, draw, finished, read_curves, warning
from yanshou.train.folder import TrainFolder, step_of
from yanshou.train.merge import merge
from yanshou.train.progress_view import NullView, TrainView
from yanshou.train.sft import write_rows

INSTALL = "pip install 'yanshou[train]' (in a checkout: pip install -c constraints.txt -e '.[train]')"
LOOK_S = 0.5  # between two looks at the trainer
OLD = "old-"  # of the folders that --fresh puts a training into
PATIENCE_S = 10.0  # from an interrupt to the kill
MAY_CHANGE = frozenset({"output_dir", "device", "save_steps", "keep_checkpoints", "fresh"})


@dataclass(slots=True)
class TrainResult:
    """What came of a training."""

    final: Path | None = None  # None: interrupted
    curves: Path | None = None
    step: int = 0
    steps: int = 0
    interrupted: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        return 130 if self.interrupted else 0

    def last_words(self) -> list[str]:
        """The lines that nobody should miss."""
        words = [f"warning: {warning}" for warning in self.warnings]
        if self.interrupted:
            return [*words, f"interrupted at step {self.step}. The same command goes on from the newest checkpoint."]
        return [*words, f"curves: {self.curves or 'none'}", f"checkpoint: {self.final}"]


class Training:
    """From the settings to the result. Raises UsageError and RunErrors."""

    def __init__(self, settings: TrainSettings, view: TrainView | None = None) -> None:
        self.settings, self.view = settings, view or NullView()
        self.folder = TrainFolder(settings.output_dir.absolute())
        self.source = checkpoint.locate(settings.checkpoint)
        self.interrupted = False
        self._curves = Curves()  # of the log, when it was last read
        self._seen: tuple[int, int] | None = None  # its size and time of change then

    def interrupt(self) -> None:
        """Ends the training; the newest checkpoint stays. Safe from a signal handler."""
        self.interrupted = True

    def command_line(self) -> str:
        """The command that `run` would start now, for `--dry-run`. Nothing is written."""
        self._check()
        return shlex.join(["swift", *self._words(self.folder.newest())])

    def run(self) -> TrainResult:
        """Trains, or goes on with it, and makes the checkpoint."""
        self._check()
        _installed()
        with locked(self.folder.lock, self.folder.root):
            return self._run()

    # ---- the way ----

    def _run(self) -> TrainResult:
        self._begin()
        if self.folder.final.exists():
            self._check_final()
            self.view.say(f"{self.folder.final}: trained already. --fresh starts over.")
        else:
            if not finished(self.folder.logging):
                self._train()
            if not self.interrupted:
                self._merge()
        return self._result()

    def _begin(self) -> None:
        """The run file: written at the start, compared at every other one."""
        if self.settings.fresh:
            self._move_aside()
        identity = self._identity()
        if self.folder.run.exists():
            _same(self.folder.run, identity)
        elif self.folder.swift.exists() or self.folder.final.exists():
            raise ResumeError(
                f"{self.folder.root} holds a training, but not the settings it was begun with ({self.folder.run.name} "
                "is missing). Choose another --output-dir, or move it aside with --fresh."
            )
        else:
            replace_file(self.folder.run, dump_line(identity, indent=1))

    def _train(self) -> None:
        for name, path in self._files.items():
            if self.settings.sft:
                write_rows(path, self.folder.rows(name), load_missions(self.settings.mission_files))
        for torn in self.folder.torn():
            try:
                shutil.rmtree(torn)
            except OSError as error:
                raise write_error(torn, error) from error
        newest = self.folder.newest()
        if newest:
            self.view.say(f"going on from step {step_of(newest)}: {newest}")
        if self._swift(self._words(newest)) and self.folder.newest() is None:
            raise RunError(f"the trainer ended without a checkpoint. See {self.folder.log}.")

    def _merge(self) -> None:
        newest = self.folder.newest()
        if newest is None:
            raise RunError(f"{self.folder.swift}: no whole checkpoint is there. --fresh starts over.")
        self.view.say(f"making a checkpoint of {newest}")
        merge(newest, self.source, self.folder, self._swift)

    def _result(self) -> TrainResult:
        curves = read_curves(self.folder.logging)
        result = TrainResult(step=curves.step, steps=curves.steps, interrupted=self.interrupted)
        if curves.train:
            draw(curves, self.folder.curves)
            result.curves = self.folder.curves
        if words := warning(curves, last=max(1, curves.step)):
            result.warnings.append(words)
        if not self.interrupted:
            result.final = self.folder.final
        return result

    # ---- what it is made of ----

    @property
    def _files(self) -> dict[str, Path]:
        named = {"train": self.settings.train_file, "val": self.settings.val_file}
        return {name: path.absolute() for name, path in named.items() if path}

    def _check(self) -> None:
        """Everything that can be known before a trainer starts."""
        checkpoint.check(self.source)
        _check_code(self.source)
        for path in self._files.values():
            if not path.is_file():  # a pipe: it is read here, for the run file, and by swift
                raise InputError(f"{path}: no file that can be read several times. Write the rows into one.")
            check_rows(path)
        if self.settings.fresh:
            self._check_inputs_stay()

    def _check_inputs_stay(self) -> None:
        """Raises UsageError where --fresh would move away what the new training reads."""
        roots = {Path(os.path.abspath(self.folder.root)), self.folder.root.resolve()}  # noqa: PTH100 - keeps links
        moved = [root / path.name for path in self.folder.own() for root in roots]
        for path in (self.source, *self._files.values(), *self.settings.mission_files):
            ways = (Path(os.path.abspath(path)), path.resolve())  # noqa: PTH100 - keeps links
            if any(way.is_relative_to(old) for way in ways for old in moved):
                raise UsageError(
                    f"--fresh would move {path} away with the old training, and the new one reads it. Choose another "
                    "--output-dir, or copy it to another place and give that."
                )

    def _check_final(self) -> None:
        """Raises CheckpointError where what stands there is not what a training makes."""
        final = self.folder.final
        fault = next(checkpoint.faults(final), "") if final.is_dir() else f"{final} is a file."
        if fault:
            raise CheckpointError(
                f"{fault} It stands where this training's result belongs: move {final} away, and the same command "
                "makes it anew."
            )

    def _words(self, resume: Path | None) -> list[str]:
        files = self._files
        if self.settings.sft:
            files = {name: self.folder.rows(name) for name in files}
        return train_words(
            self.settings, self.source, files["train"], files.get("val"), _blocks(self.source), self._cpu, resume
        )

    @cached_property
    def _cpu(self) -> bool:
        if self.settings.device != "auto":
            return self.settings.device == "cpu"
        import torch

        return not torch.cuda.is_available()

    def _identity(self) -> dict[str, Any]:
        """What a resume must have in common with the training so far."""
        settings = self.settings.model_dump(mode="json", exclude=set(MAY_CHANGE))
        files = {f"{name}_file": sha256(path.read_bytes()).hexdigest() for name, path in self._files.items()}
        return {**settings, **files, "checkpoint": checkpoint.fingerprint(self.source)}

    def _move_aside(self) -> None:
        """An old training keeps everything, in a folder beside."""
        if old := self.folder.own():
            aside = unused_path(self.folder.root / f"{OLD}{datetime.now():%Y%m%d-%H%M%S}")
            try:
                aside.mkdir()
                for path in old:
                    path.rename(aside / path.name)
            except OSError as error:
                raise write_error(aside, error) from error

    # ---- the trainer's process ----

    def _swift(self, words: list[str]) -> bool:
        """Runs swift; False where it was interrupted. Raises RunError with its last words."""
        with self._log() as log:
            begin = log.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", "swift.cli.main", *words], cwd=self.folder.root, stdin=subprocess.PIPE,
                stdout=log, stderr=subprocess.STDOUT, env=environment(os.environ, self._cpu), start_new_session=True,
            )  # fmt: skip
            self.view.begin()
            try:
                self._follow(process)
            finally:
                self.view.end()
                _kill(process)
        if not self.interrupted and process.returncode != 0:
            newest = self.folder.newest()
            goes_on = f" The same command goes on from step {step_of(newest)}." if newest else ""
            raise RunError(_last_words(self.folder.log, begin, process.returncode) + goes_on)
        return not self.interrupted

    def _log(self) -> BinaryIO:
        try:
            return self.folder.log.open("ab")
        except OSError as error:
            raise write_error(self.folder.log, error) from error

    def _follow(self, process: "subprocess.Popen[bytes]") -> None:
        while process.poll() is None:
            if self.interrupted:
                _signal(process, signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(PATIENCE_S)
                return
            self.view.update(self._so_far())
            time.sleep(LOOK_S)
        self.view.update(self._so_far())

    def _so_far(self) -> Curves:
        """The curves, read again where the log is no longer what it was."""
        with suppress(FileNotFoundError):
            found = self.folder.logging.stat()
            if self._seen != (seen := (found.st_size, found.st_mtime_ns)):
                self._curves, self._seen = read_curves(self.folder.logging), seen
        return self._curves


def _installed() -> None:
    for module in ("swift", "peft", "msgspec", "qwen_vl_utils", "matplotlib"):
        if find_spec(module) is None:
            raise RunError(f"training needs the package {module}, which is not installed: {INSTALL}")


def _check_code(folder: Path) -> None:
    """ms-swift would execute what a checkpoint's files name as its code."""
    for path in sorted(folder.glob("*config.json")):
        if '"auto_map"' in path.read_text(encoding="utf-8", errors="replace"):
            raise CheckpointError(
                f"{path}: auto_map names Python code of the checkpoint, which the trainer would execute. "
                "Qwen3-VL needs none: delete that key."
            )


def _blocks(folder: Path) -> int:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    try:
        return int(config["text_config"]["num_hidden_layers"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{folder / 'config.json'}: text_config.num_hidden_layers is missing. Copy the checkpoint again."
        ) from error


def _same(path: Path, now: Mapping[str, Any]) -> None:
    """Raises ResumeError, showing the first difference."""
    was = read_object(path, "Choose another --output-dir, or start over with --fresh.")
    now = json.loads(json.dumps(now))
    for name in [*was, *now]:
        if was.get(name) != now.get(name):
            raise ResumeError(
                f"{path}: the training was begun with {name} {excerpt(was.get(name))}, now it is "
                f"{excerpt(now.get(name))}. Give the old value, another --output-dir, or start over with --fresh."
            )


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """To the trainer and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Whatever is left of the trainer; a process that has ended and left nothing isn't disturbed."""
    _signal(process, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()


def _last_words(log: Path, begin: int, status: int) -> str:
    with log.open("rb") as file:
        file.seek(begin)
        lines = [line.strip() for line in file.read().decode("utf-8", errors="replace").splitlines() if line.strip()]
    told = [
        line for line in lines if ": " in line and line.split(": ")[0].rpartition(".")[2].endswith(("Error", "error"))
    ]
    free = shutil.disk_usage(log.parent).free / 2**30
    words = excerpt((told or lines)[-1], 300) if lines else f"it said nothing ({free:.1f} GiB free there)"
    return f"the trainer ended with status {status}: {words}. See {log}."
