"""The command line: one module per command, named as the command.

    group.py      the commands together, errors → exit status     settings_options.py   settings model → options
    command.py    the shape of a command                          reporter.py           what a run prints
    progress.py   a bar, or a line now and then                   tables.py             every table
    messages.py, console.py, streams.py, verbosity.py             stdout and stderr, -v
    start.py, signals.py                                          the begin of a process, Ctrl-C

A command's module is imported for `--help`, so it imports what does the work inside the command; this package imports
its commands only when they are asked for, because Ctrl-C is handled before that.
Exit status: 0 all done · 1 a run-level error · 2 wrong usage · 3 finished, some groups failed · 130 interrupted.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yanshou.cli.group import main as main

__all__ = ["main"]


def __getattr__(name: str) -> Any:
    if name != "main":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from yanshou.cli.group import main

    return main
