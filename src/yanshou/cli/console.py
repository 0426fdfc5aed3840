"""The consoles that commands print with: results go to stdout, everything else to stderr."""

from functools import cache

from rich.console import Console

WIDTH = 120  # columns where there is no terminal: wide enough for every table


@cache
def console(stderr: bool = False) -> Console:
    """One console per stream, so that a progress bar and other lines know of each other."""
    made = Console(stderr=stderr, soft_wrap=True, highlight=False)
    if not made.is_terminal:
        made.width = WIDTH
    return made
