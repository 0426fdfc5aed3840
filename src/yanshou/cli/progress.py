"""Shows the progress of some work on stderr: as a bar on a terminal, otherwise as one line every EVERY_S seconds."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from yanshou.cli.console import console as shared_console
from yanshou.cli.messages import one_message
from yanshou.text import printable

EVERY_S = 30.0  # seconds between two lines of a log


class ProgressMeter:
    """Counts towards a total: 挡风板安装检查: 120 of 500 groups, 400 photos, 3.10 images/s, 2 min left."""

    def __init__(self, name: str, unit: str, console: Console | None = None) -> None:
        self.name, self.unit = name, unit
        self.console = console or shared_console(stderr=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._started = self._printed = 0.0  # time.monotonic()

    def start(self, total: int | None = None, details: Sequence[str] = ()) -> None:
        """`total`: None where it is not known yet."""
        self._started = self._printed = time.monotonic()
        if self.console.is_terminal:
            self._bar = _bar(self.console)
            self._task = self._bar.add_task(printable(self.name), total=total, text=self._text(details))
            self._bar.start()

    def update(self, done: int, total: int | None, details: Sequence[str] = (), skipped: int = 0) -> None:
        """`skipped`: how many of `done` took no time, because an earlier run did them."""
        if self._bar:
            self._bar.update(self._task, completed=done, total=total, text=self._text(details))
        elif time.monotonic() - self._printed >= EVERY_S:
            self._printed = time.monotonic()
            parts = (f"{done} of {total} {self.unit}", *details, f"{self._left(done, total, skipped)} left")
            self.say(f"{self.name}: {', '.join(parts)}")

    def stop(self) -> None:
        """Gives the terminal back. May be called twice."""
        if self._bar:
            self._bar.stop()
            self._bar = None

    def say(self, message: str) -> None:
        """Prints one line, above the bar if there is one."""
        self.console.print(one_message(message), markup=False, emoji=False)

    def _text(self, details: Sequence[str]) -> str:
        return " · ".join((self.unit, *details))

    def _left(self, done: int, total: int | None, skipped: int) -> str:
        if total is None or done <= skipped:
            return "?"
        seconds = (time.monotonic() - self._started) / (done - skipped) * (total - done)
        return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


class _Unshown(ProgressMeter):
    def update(self, done: int, total: int | None, details: Sequence[str] = (), skipped: int = 0) -> None: ...


@contextmanager
def progress(name: str, unit: str, shown: bool = True) -> Iterator[ProgressMeter]:
    """A meter for the work inside the `with`; one that shows nothing unless `shown`."""
    if not shown:
        yield _Unshown(name, unit)
        return
    meter = ProgressMeter(name, unit)
    meter.start()
    try:
        yield meter
    finally:
        meter.stop()


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False), TimeRemainingColumn(), console=console,
    )  # fmt: skip
