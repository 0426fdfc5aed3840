"""Shows a training while it runs: step, loss and reward, and warnings about what is not learned."""

from rich.console import Console

from yanshou.cli.progress import ProgressMeter
from yanshou.train.curves import WINDOW, Curves, latest_values, warning


class TrainProgress:
    """Listens to a training, and prints to stderr."""

    def __init__(self, console: Console | None = None) -> None:
        self._meter = ProgressMeter("training", "steps", console)
        self._step = self._warned_at = 0

    def say(self, message: str) -> None:
        self._meter.say(message)

    def begin(self) -> None:
        self._meter.start(details=["the trainer is starting"])

    def update(self, curves: Curves) -> None:
        if curves.step == self._step:
            return
        self._step = curves.step
        self._meter.update(curves.step, curves.steps or None, tuple(latest_values(curves)))
        self._warn(curves)

    def end(self) -> None:
        self._meter.stop()

    def _warn(self, curves: Curves) -> None:
        """Once per WINDOW of steps, while the reason lasts."""
        if self._step - self._warned_at >= WINDOW and (message := warning(curves)):
            self._warned_at = self._step
            self.say(f"warning: {message}")
