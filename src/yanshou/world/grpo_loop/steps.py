"""Runs the named steps of a long program once each, so that the same command resumes where the last call stopped.

FOLDER/done/NAME         the step is complete
FOLDER/logs/NAME.log     output of the step's commands
FOLDER/times.tsv         name and seconds of each completed step
FOLDER/settings.json     settings that every call has to repeat
"""

import fcntl
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import click

from yanshou.errors import LockedError, RunError, UsageError
from yanshou.storage.atomic import replace_file
from yanshou.storage.jsonl import dump_line, read_object
from yanshou.storage.settings_diff import differences

SOME_GROUPS_FAILED = 3  # exit status of a yanshou command that finished; the figures count those groups
LOG_TAIL = 20  # lines


class StepError(RunError):
    """A step's command failed. `status` is its exit status as a shell reports it."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Shell:
    """Runs the commands of one step and appends their output to the step's log."""

    def __init__(self, log: BinaryIO, lock: int) -> None:
        self._log, self._lock = log, lock

    def run(self, *command: object, output: Path | None = None) -> None:
        """Runs a command and waits for it. `output`: the file for its standard output. Raises StepError."""
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with output.open("wb") if output else nullcontext(self._log) as stdout:
            # The command inherits the lock: while one of a killed call is running, the folder stays locked.
            status = subprocess.run(
                list(map(str, command)),
                stdout=stdout,
                stderr=self._log,
                env=environment,
                pass_fds=[self._lock],
                check=False,
            ).returncode
        if status not in (0, SOME_GROUPS_FAILED):
            raise StepError(f"{' '.join(map(str, command))}: failed", status if status > 0 else 128 - status)


class Steps:
    """The steps of one folder. One process at a time runs them. Raises LockedError if another one does."""

    def __init__(self, folder: Path, parallel: bool) -> None:
        self._folder, self._parallel = folder, parallel
        for name in ("done", "logs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise LockedError(
                f"{folder}: another run uses this folder. Wait until it ends, or give another --output-dir."
            ) from error

    def close(self) -> None:
        """Releases the folder."""
        os.close(self._lock)

    def keep_settings(self, name: str, settings: Mapping[str, Any]) -> None:
        """Writes the settings to NAME.json.

        Raises UsageError if an earlier call wrote other ones, DamagedFileError if the file is not what a call writes.
        """
        file = self._folder / f"{name}.json"
        if not file.exists():
            replace_file(file, dump_line(settings, indent=1))
        changes = list(differences(read_object(file, "Restore the file, or give another --output-dir."), settings))
        if changes:
            listed = "".join(f"\n  {change}" for change in changes)
            raise UsageError(f"{file}: the settings differ:{listed}\nGive the same settings, or another --output-dir.")

    def run(self, name: str, action: Callable[[Shell], None]) -> None:
        """Runs the step unless it is done. Raises StepError, with the end of the step's log."""
        done, log = self._folder / "done" / name, self._folder / "logs" / f"{name}.log"
        if done.exists():
            return
        begin = time.monotonic()
        try:
            with log.open("ab") as file:
                action(Shell(file, self._lock))
        except StepError as error:
            tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:])
            raise StepError(
                f"{name} failed with status {error.status}. The end of {log}:\n{tail}\n"
                "Fix the cause and run the same command: completed steps are kept.",
                error.status,
            ) from error
        line = f"{name}\t{time.monotonic() - begin:.0f}"
        click.echo(line)
        with (self._folder / "times.tsv").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        done.touch()

    def together(self, *chains: Callable[[], None]) -> None:
        """Runs the chains, all at once if `parallel`, and waits for all.

        Raises the first chain's error, and prints those of the others.
        """
        if not self._parallel:
            for chain in chains:
                chain()
            return
        with ThreadPoolExecutor(len(chains)) as pool:
            futures = [pool.submit(chain) for chain in chains]
        failures = [error for future in futures if (error := future.exception())]
        for failure in failures[1:]:
            click.echo(str(failure), err=True)
        if failures:
            raise failures[0]
