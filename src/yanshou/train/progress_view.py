"""What a training shows while it runs, on stderr: a bar on a terminal, a plain line now and then elsewhere."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from yanshou.settings import EVERY_S
from yanshou.train.curves import WINDOW, Curves, shown, warning


class TrainView:
    """Listens to a training."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._told = 0.0  # when the last plain line was written
        self._step = self._warned = 0

    def say(self, words: str) -> None:
        self.console.print(words, markup=False, emoji=False)

    def begin(self) -> None:
        self._told = time.monotonic()
        if self.console.is_terminal:
            self._bar = _bar(self.console)
            self._task = self._bar.add_task("training", total=None, words="the trainer is starting")
            self._bar.start()

    def update(self, curves: Curves) -> None:
        if curves.step == self._step:
            return
        self._step = curves.step
        words = " · ".join(shown(curves))
        if self._bar:
            self._bar.update(self._task, total=curves.steps or None, completed=curves.step, words=words)
        elif time.monotonic() - self._told >= EVERY_S:
            self._told = time.monotonic()
            self.say(f"step {curves.step} of {curves.steps}: {words}")
        self._warn(curves)

    def end(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _warn(self, curves: Curves) -> None:
        """Once in a window of steps, while it lasts."""
        if self._step - self._warned >= WINDOW and (words := warning(curves)):
            self._warned = self._step
            self.say(f"warning: {words}")


class Silence(TrainView):
    """Shows nothing."""

    def say(self, words: str) -> None: ...

    def begin(self) -> None: ...


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[words]}", markup=False), TimeRemainingColumn(), console=console,
    )  # fmt: skip
