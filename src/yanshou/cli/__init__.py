"""The command line: one module per command, named as the command.

    group.py      the commands together, errors → exit status     settings_options.py   settings model → options
    command.py    the shape of a command                          reporter.py           what a run prints
    progress.py   a bar, or a line now and then                   tables.py             every table
    console.py, streams.py, signals.py, verbosity.py              stdout and stderr, Ctrl-C, -v

A command's module is imported for `--help`, so it imports what does the work inside the command.
Exit status: 0 all done · 1 a run-level error · 2 wrong usage · 3 finished, some groups failed · 130 interrupted.
"""

from yanshou.cli.group import main

__all__ = ["main"]
