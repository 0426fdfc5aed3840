"""Options that several commands have, and how options become settings. Every default stands in settings.py."""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click

from yanshou.settings import EngineSettings, Settings

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
EXISTING = click.Path(path_type=Path, exists=True)
CONTEXT = {"token_normalize_func": lambda name: name.replace("_", "-"), "help_option_names": ["-h", "--help"]}


class _Folder(click.Path):
    """A folder, there or not. An empty name is a script's unset variable; as a path it would be the working folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the name is empty. Is a variable of the script not set?", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = _Folder(path_type=Path, file_okay=False)


def setting(name: str, model: type[Settings], text: str, **options: Any) -> Decorator[Any]:
    """An option whose default stands in settings.py under the same name."""
    default = model.model_fields[name.strip("-").replace("-", "_")].default
    return click.option(name, default=default, show_default=True, help=text, **options)


def together(*options: Decorator[Any]) -> Decorator[Any]:
    """Several options as one decorator, in this order."""
    return lambda command: reduce(lambda wrapped, option: option(wrapped), reversed(options), command)


def engine_options(at_once: str) -> Decorator[Any]:
    """What every command that runs a checkpoint takes. `at_once`: what a batch holds."""
    return together(
        setting("--engine", EngineSettings, "auto: continuous on CUDA, transformers on the CPU. scripted: for tests."),
        setting("--device", EngineSettings, "auto, cpu, cuda or cuda:N."),
        setting("--batch-size", EngineSettings, at_once, type=int),
        setting("--gpu-memory", EngineSettings, "Share of its memory that the continuous engine takes.", type=float),
        setting("--dtype", EngineSettings, "auto: bfloat16 on CUDA, float32 on the CPU.",
                type=click.Choice(["auto", "bfloat16", "float16", "float32"])),
        setting("--attn", EngineSettings, "auto: FlashAttention 2 where installed, else SDPA.",
                type=click.Choice(["auto", "sdpa", "flash_attention_2", "eager"])),
    )  # fmt: skip


mission_file_option = click.option(
    "--mission-file", "mission_files", type=EXISTING, multiple=True,
    help="A mission TOML of your own, or a folder of them.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
run_options = together(
    mission_file_option,
    click.option("--limit", type=click.IntRange(1), help="The first N groups of each mission."),
    click.option("--fresh", is_flag=True, help="Start over; the old files are kept under another name."),
    click.option("--quiet", is_flag=True, help="Only errors."),
    json_option,
)


def part(model: type[Settings], options: dict[str, Any]) -> dict[str, Any]:
    """Takes those of the options that the model has a field for."""
    return {name: options.pop(name) for name in list(options) if name in model.model_fields}


class checked:  # noqa: N801 - reads as what it does
    """A pydantic complaint about an option is wrong usage."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from pydantic import ValidationError

        if isinstance(error, ValidationError):
            first = error.errors()[0]
            if not first["loc"]:  # two options that do not go together; the message shows both
                raise click.UsageError(str(first["ctx"]["error"])) from error
            option = "--" + str(first["loc"][-1]).replace("_", "-")
            raise click.UsageError(
                f"{option}: {first['msg'].removeprefix('Value error, ')}, got {first['input']!r}"
            ) from error
