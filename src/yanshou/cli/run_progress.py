"""Shows a run over missions while it runs: warnings, how far each mission is, its first failures."""

import time
from typing import Any

from rich.console import Console

from yanshou.cli.progress import ProgressMeter
from yanshou.engines.base import Answer
from yanshou.pipeline.mission_result import MissionResult
from yanshou.pipeline.outcome import Outcome

FAULTS_SHOWN = 5  # per mission
PHOTOS, VERDICTS = "photos", "verdicts"  # what a run counts


class RunProgress:
    """Listens to a run, and prints to stderr: stdout is for results."""

    def __init__(self, unit: str = PHOTOS, console: Console | None = None) -> None:
        self.unit, self.console = unit, console
        self._result = MissionResult("")
        self._meter = ProgressMeter("", "groups", console)
        self._started = 0.0
        self._faults_shown = 0

    def begin(self, result: MissionResult) -> None:
        self._result, self._started, self._faults_shown = result, time.monotonic(), 0
        self._meter = ProgressMeter(result.mission, "groups", self.console)
        self._warn(result)
        self._meter.start(result.groups, self._details())

    def photo(self, answer: Answer) -> None:
        self._update()

    def group(self, outcome: Outcome[Any]) -> None:
        if outcome.record is None and self._faults_shown < FAULTS_SHOWN:
            self._faults_shown += 1
            self._meter.say(f"failed: {outcome.key.group_id}: {outcome.errors[0][1]}")
        self._update()

    def end(self, result: MissionResult) -> None:
        self._meter.stop()
        if result is not self._result:  # it ended before it began
            self._warn(result)

    def _update(self) -> None:
        result = self._result
        done = result.written + result.failed + result.skipped
        self._meter.update(done, result.groups, self._details(), skipped=result.skipped)

    def _details(self) -> tuple[str, str]:
        rate = self._result.photos / max(1e-9, time.monotonic() - self._started)
        return f"{self._result.photos} {self.unit}", f"{rate:.2f} {per_second(self.unit)}"

    def _warn(self, result: MissionResult) -> None:
        for warning in result.warnings:
            self._meter.say(f"warning: {warning}")


def per_second(unit: str) -> str:
    """The name of a rate; a photo is an image to everybody who measures speed."""
    return "images/s" if unit == PHOTOS else f"{unit}/s"
