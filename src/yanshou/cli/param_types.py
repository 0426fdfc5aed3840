"""Types of options that click does not have."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from yanshou.settings.local_path import refuse_address
from yanshou.text import printable


class _LocalPath(click.Path):
    """A path of this machine. An address (s3://…) is refused as it was typed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            refuse_address(value)
        except ValueError as error:
            self.fail(f"'{printable(value)}': {error}.", param, ctx)
        return super().convert(value, param, ctx)


class _Folder(_LocalPath):
    """A folder, existing or not. An empty name is a script's unset variable, and would be the working folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the name is empty. Is a variable of the script not set?", param, ctx)
        if param and param.name == "input_dir" and (cure := _cure_of_file(value)):
            self.fail(f"'{printable(value)}' is a file. {cure}", param, ctx)
        return super().convert(value, param, ctx)


def _cure_of_file(path: str) -> str:
    """What to do about a file in place of the folder of missions; "" for another file, or none."""
    from yanshou.inputs.listing import PHOTO_SUFFIXES  # natsort: help stays fast without it

    kind = Path(path).suffix.lower()
    if kind in PHOTO_SUFFIXES and Path(path).is_file():
        return "Photos are given with --photos."
    if kind in {".zip", ".rar", ".7z", ".tar", ".gz", ".tgz"} and Path(path).is_file():
        return "Unpack the archive, and give the folder."
    return ""


FILE = _LocalPath(path_type=Path, dir_okay=False, exists=True)
NEW_FILE = _LocalPath(path_type=Path, dir_okay=False)
FILE_OR_FOLDER = _LocalPath(path_type=Path, exists=True)
FOLDER = _Folder(path_type=Path, file_okay=False)


class Values(click.Choice[str]):
    """Allowed values, shown as they are. `-` and `_` are interchangeable in what a user types."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        by_dashes = {choice.replace("_", "-"): choice for choice in self.choices}
        return super().convert(by_dashes.get(str(value).replace("_", "-"), value), param, ctx)

    def normalize_choice(self, choice: Any, ctx: click.Context | None) -> str:
        return str(choice)  # click would rewrite it as it rewrites the names of options


class NumberOrWord(click.ParamType[int | str]):
    """A whole number, or one of some words: `8` or `all`."""

    name = "number or word"

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "|".join(["N", *self.words])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        try:
            return str(value) if value in self.words else int(value)
        except ValueError:
            self.fail(f"'{printable(value)}' is neither a whole number nor {' or '.join(self.words)}.", param, ctx)
