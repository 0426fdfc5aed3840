"""Progress of a training on stderr: a bar on a terminal, elsewhere a plain line every EVERY_S seconds."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from yanshou.settings import EVERY_S
from yanshou.train.curves import WINDOW, Curves, latest_values, warning


class TrainView:
    """Shows progress and warnings."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._last_line = 0.0  # when the last plain line was written
        self._step = self._last_warning = 0  # steps

    def say(self, message: str) -> None:
        """Prints one line."""
        self.console.print(message, markup=False, emoji=False)

    def begin(self) -> None:
        """The trainer's process has started."""
        self._last_line = time.monotonic()
        if self.console.is_terminal:
            self._bar = _bar(self.console)
            self._task = self._bar.add_task("training", total=None, values="the trainer is starting")
            self._bar.start()

    def update(self, curves: Curves) -> None:
        """The curves as they are now."""
        if curves.step == self._step:
            return
        self._step = curves.step
        values = " · ".join(latest_values(curves))
        if self._bar:
            self._bar.update(self._task, total=curves.steps or None, completed=curves.step, values=values)
        elif time.monotonic() - self._last_line >= EVERY_S:
            self._last_line = time.monotonic()
            self.say(f"step {curves.step} of {curves.steps}: {values}")
        self._warn(curves)

    def end(self) -> None:
        """The trainer's process has ended."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def _warn(self, curves: Curves) -> None:
        """Repeats a warning once per window of steps."""
        if self._step - self._last_warning >= WINDOW and (message := warning(curves)):
            self._last_warning = self._step
            self.say(f"warning: {message}")


class NullView(TrainView):
    """Shows nothing."""

    def say(self, message: str) -> None: ...

    def begin(self) -> None: ...


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[values]}", markup=False), TimeRemainingColumn(), console=console,
    )  # fmt: skip
