"""The consoles that tables and progress bars are printed with: results go to stdout, everything else to stderr."""

from collections.abc import Iterable
from functools import cache
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from yanshou.cli.streams import unescaped
from yanshou.text import printable_lines

WIDTH = 120  # columns where there is no terminal: wide enough for every table


class SafeConsole(Console):
    """Sends rich's own control sequences to the terminal, and those in the text that it prints as escapes."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(printable_lines(text), style)

    @property
    def file(self) -> IO[str]:
        """Behind the stream that escapes: what reaches it is rendered already."""
        file: IO[str] = unescaped(super().file)
        return file

    @file.setter
    def file(self, file: IO[str]) -> None:
        self._file = file


@cache
def console(stderr: bool = False) -> Console:
    """One console per stream, so that a progress bar and other lines know of each other. It reads no markup."""
    made = SafeConsole(stderr=stderr, soft_wrap=True, highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = WIDTH
    return made
