"""`-v`: shows the log of the package `yanshou` on stderr. -v shows INFO, -vv also DEBUG.

The option may be given before the command's name, after it, or both; the counts add up. Lines of the log appear above
a progress bar, because one console writes both.
"""

import logging

import click

from yanshou.cli.messages import one_message

COUNT = "yanshou.verbosity"  # in the context's `meta`, which a command shares with the group
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LOGGER = logging.getLogger("yanshou")


class ConsoleHandler(logging.Handler):
    """Writes each record as one line to the console that the progress bar uses."""

    def emit(self, record: logging.LogRecord) -> None:
        from yanshou.cli.console import console

        console(stderr=True).print(one_message(self.format(record)))


def verbose_option() -> click.Option:
    """A new option -v."""
    return click.Option(
        ["-v", "--verbose"], count=True, expose_value=False, callback=_count,
        help="Show the log on stderr: slots, batch sizes, out-of-memory errors, retries, timings. -vv shows more.",
    )  # fmt: skip


def _count(ctx: click.Context, param: click.Parameter, count: int) -> None:
    ctx.meta[COUNT] = ctx.meta.get(COUNT, 0) + count
    if ctx.meta[COUNT]:
        show_log(logging.INFO if ctx.meta[COUNT] == 1 else logging.DEBUG)
        ctx.call_on_close(hide_log)


def show_log(level: int) -> None:
    """Shows records of this level and above."""
    hide_log()
    handler = ConsoleHandler()
    handler.setFormatter(logging.Formatter(FORMAT, "%H:%M:%S"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(level)


def hide_log() -> None:
    """Undoes `show_log`."""
    for handler in [handler for handler in LOGGER.handlers if isinstance(handler, ConsoleHandler)]:
        LOGGER.removeHandler(handler)
    LOGGER.setLevel(logging.NOTSET)
