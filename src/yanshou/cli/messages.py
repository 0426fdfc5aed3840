"""Messages of commands: one line each, on stdout or stderr, with nothing in it that a terminal would obey.

Every message goes through `say` (ruff refuses `click.echo` elsewhere), so that no caller has to think of escape
sequences and line breaks in names of files, in answers of a model, or in the messages of libraries.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from yanshou.text import printable

INDENTED = "\n  "  # the one line break that a message may hold: it begins an indented line


def say(message: str, err: bool = False) -> None:
    """Prints one message."""
    click.echo(one_message(message), err=err)


def print_warnings(warnings: Iterable[str]) -> None:
    for warning in warnings:
        say(f"warning: {warning}", err=True)


def print_json(result: object) -> None:
    """Prints the result as JSON. What a terminal would obey stays the data that it is, as JSON's own escape."""
    lines = json.dumps(result, ensure_ascii=False, indent=1, default=str).split("\n")
    click.echo("\n".join(line if line.isprintable() else "".join(map(_json_character, line)) for line in lines))


def one_message(message: str) -> str:
    """The message in printable characters. A line break in a name becomes its escape, so no name can forge a line."""
    return INDENTED.join(map(printable, message.split(INDENTED)))


@contextmanager
def printable_usage_errors() -> Iterator[None]:
    """click's own errors repeat arguments as they were given: they become one printable message, too."""
    try:
        yield
    except click.UsageError as error:
        message = error.format_message()
        if message == one_message(message):
            raise
        raise click.UsageError(one_message(message), error.ctx) from error


def _json_character(character: str) -> str:
    return character if printable(character) == character else json.dumps(character)[1:-1]
