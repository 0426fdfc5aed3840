"""How far a run is: a bar on a terminal, a plain line now and then elsewhere, a table at the end."""

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from yanshou.pipeline.mission_result import MissionResult
from yanshou.pipeline.outcome import Answer, Outcome
from yanshou.settings import EVERY_S

FAULTS_SHOWN = 5  # a mission
PHOTOS, VERDICTS = "photos", "verdicts"  # what is counted
WIDTH = 120  # columns where there is no terminal


class ProgressView:
    """Listens to a run and writes to stderr: stdout is for results."""

    def __init__(self, console: Console | None = None, unit: str = PHOTOS) -> None:
        self.unit = unit
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._result = MissionResult("")
        self._began = self._told = 0.0
        self._shown = 0

    def begin(self, result: MissionResult) -> None:
        self._result, self._began, self._told, self._shown = result, time.monotonic(), time.monotonic(), 0
        for warning in result.warnings:
            self._say(f"warning: {warning}")
        if self.console.is_terminal:
            self._bar = _bar(self.console, self.unit)
            self._task = self._bar.add_task(result.mission, total=result.groups, photos=0, rate=0.0)
            self._bar.start()

    def photo(self, answer: Answer) -> None:
        if self._bar:
            self._bar.update(self._task, completed=self._done(), photos=self._result.photos, rate=self._rate())
        elif time.monotonic() - self._told >= EVERY_S:
            self._told = time.monotonic()
            done, result = self._done(), self._result
            self._say(
                f"{result.mission}: {done} of {result.groups} groups, {result.photos} {self.unit}, "
                f"{self._rate():.2f} {_per_second(self.unit)}, {self._left(done)} left"
            )

    def group(self, outcome: Outcome[Any]) -> None:
        if outcome.record is None and self._shown < FAULTS_SHOWN:
            self._shown += 1
            self._say(f"failed: {outcome.key.group_id}: {outcome.errors[0][1]}")
        if self._bar:
            self._bar.update(self._task, completed=self._done())

    def end(self, result: MissionResult) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None
        elif result is not self._result:  # never begun
            for warning in result.warnings:
                self._say(f"warning: {warning}")

    def _done(self) -> int:
        return self._result.written + self._result.failed + self._result.skipped

    def _rate(self) -> float:
        return self._result.photos / max(1e-9, time.monotonic() - self._began)

    def _left(self, done: int) -> str:
        fresh = self._result.written + self._result.failed
        if not fresh:
            return "?"
        seconds = (time.monotonic() - self._began) / fresh * (self._result.groups - done)
        return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"

    def _say(self, words: str) -> None:
        self.console.print(words, markup=False, emoji=False)


def _per_second(unit: str) -> str:
    return "images/s" if unit == PHOTOS else f"{unit}/s"


def _bar(console: Console, unit: str) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TextColumn("groups"),
        TextColumn(f"{{task.fields[photos]}} {unit}"), TextColumn(f"{{task.fields[rate]:.2f}} {_per_second(unit)}"),
        TimeRemainingColumn(), console=console,
    )  # fmt: skip


def page(stderr: bool = False) -> Console:
    """For tables: as wide as the terminal, and wide enough for them where there is none."""
    console = Console(stderr=stderr, soft_wrap=True, highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    return console


def table(results: Sequence[MissionResult], unit: str = PHOTOS) -> Table:
    """What the run did, a row a mission that was begun. Where no model answered, nothing is said of its speed."""
    answered = any(result.photos for result in results)
    photos = unit == PHOTOS
    view = Table(box=None, pad_edge=False)
    view.add_column("mission")
    rotated, waited = (["rotated"], ["waited for photos"]) if photos else ([], [])
    speed = [unit, *rotated, _per_second(unit), *waited] if answered else []
    for name in ("written", "failed", "skipped as done", *speed):
        view.add_column(name, justify="right")
    for result in begun(results):
        cells = [str(count) for count in (result.written, result.failed, result.skipped)]
        if answered:
            pace, share = (f"{result.images_per_s:.2f}", f"{result.waited:.0%}") if result.photos else ("–", "–")
            cells += [str(result.photos), str(result.rotated), pace, share] if photos else [str(result.photos), pace]
        view.add_row(Text(result.mission), *cells)
    return view


def begun(results: Sequence[MissionResult]) -> list[MissionResult]:
    """Those of which there is something to tell but their error."""
    return [result for result in results if not result.error or result.written or result.failed or result.skipped]


def whereabouts(results: Sequence[MissionResult]) -> list[str]:
    """Where the lines are, and how many."""
    return [
        f"{result.written + result.skipped} of {result.groups} groups stand in {result.lines}"
        + (f"; the other threshold changed {result.revised} verdicts" if result.revised else "")
        for result in results
        if result.lines
    ]


def last_words(results: Sequence[MissionResult]) -> list[str]:
    """The lines that nobody should miss: what failed, where it stands, what to do."""
    words = []
    for result in results:
        if result.interrupted:
            words.append(f"{result.mission}: interrupted. The same command goes on from here.")
        elif result.error:
            words.append(f"error: {result.error}")
        if result.out_of_memory:
            words.append(
                f"{result.mission}: the device's memory ran short, times {result.out_of_memory}; the run went on with "
                "less at once. A smaller --gpu-memory leaves room for what else is there, with --engine transformers "
                "a smaller --batch-size."
            )
        if result.failed:
            words.append(
                f"{result.mission}: {result.failed} of {result.groups} groups failed: see {result.errors}. "
                "The same command tries just those again."
            )
    return words
