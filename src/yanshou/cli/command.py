"""The shape of every command: options under headings, `-` or `_` in their names, -v, and a returned exit status."""

from collections.abc import Callable
from typing import Any

import click

from yanshou.cli.verbosity import verbose_option

CONTEXT = {"token_normalize_func": lambda name: name.replace("_", "-"), "help_option_names": ["-h", "--help"]}
ARGUMENTS, OTHER = "Arguments", "Other"  # the first and the last section; OTHER: options that are not settings


class Command(click.Command):
    """A command whose `--help` lists options under the headings of the settings that they belong to."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.params.append(verbose_option())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                sections.setdefault(getattr(param, "heading", OTHER), []).append(record)
        for heading in sorted(sections, key=lambda heading: (heading == OTHER, heading != ARGUMENTS)):
            with formatter.section(heading):
                formatter.write_dl(sections[heading])


def command(short_help: str) -> Callable[[Callable[..., int | None]], Command]:
    """Makes a command of a function that returns its exit status, None for 0."""
    return click.command(cls=Command, context_settings=CONTEXT, short_help=short_help)


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout, nothing else.")
quiet_option = click.option("--quiet", is_flag=True, help="Print only errors.")
