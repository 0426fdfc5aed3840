"""Runs the closed GRPO loop in the demo world and prints its figures.

initial checkpoint → drawn groups → Stage-A → verdicts → dataset → GRPO, one training per seed → verdicts → figures

    python -m yanshou.world.grpo_loop
    python -m yanshou.world.grpo_loop --device cpu --train-groups 60 --held-groups 20 --other-groups 8 --initial-steps 2
        --initial-batch-size 4 --initial-exam 4 --steps 2 --answers 64 --micro-batch 32

The first command takes 16 minutes on one H200. The second takes 5 to 8 minutes on two cores and only shows that
every step runs: 20 held-out groups say nothing about verdicts. Both need the extra `train`.

Completed steps are not repeated: the same command resumes. `--output-dir` holds figures.json, times.tsv (seconds per
step) and logs/. Arguments after `--` are passed on to `yanshou train`.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import click
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from yanshou.errors import RunError, UsageError, YanshouError
from yanshou.storage.atomic import write_errors
from yanshou.validation import KeyPath, validation_message
from yanshou.world.grpo_loop.loop import Loop
from yanshou.world.grpo_loop.settings import Settings
from yanshou.world.grpo_loop.steps import StepError, Steps


def options(command: Callable[..., None]) -> Callable[..., None]:
    """One option per field of Settings."""
    for name, field in reversed(Settings.model_fields.items()):
        if name == "train_args":
            continue
        option = click.option(
            "--" + name.replace("_", "-"),
            type=_type(field),
            default=field.default,
            show_default=True,
            help=field.description,
        )
        command = option(command)
    return command


def _type(field: FieldInfo) -> Any:
    choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
    if choices:
        return click.Choice(choices)
    return click.Path(path_type=Path) if isinstance(field.default, Path) else type(field.default or "")


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))  # \b: click keeps the line breaks
@options
@click.argument("train_args", nargs=-1, type=click.UNPROCESSED)
def main(**values: Any) -> None:
    """Command line."""
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise click.UsageError(f"{validation_message(error, _option_name)}.") from error
    try:
        with write_errors(settings.output_dir):
            run(settings)
    except YanshouError as error:
        click.echo(f"grpo_loop: {error}", err=True)
        status = error.status if isinstance(error, StepError) else 2 if isinstance(error, UsageError) else 1
        raise SystemExit(status) from error


def _option_name(path: KeyPath) -> str:
    return "--" + str(path[0]).replace("_", "-")


def run(settings: Settings) -> None:
    """Runs the loop in its folder. Raises RunError if ms-swift is needed and not installed, OSError for a full disk."""
    if settings.until == "figures" and find_spec("swift") is None:
        raise RunError("ms-swift is not installed. Install the extra: pip install -c constraints.txt -e '.[train]'")
    steps = Steps(settings.output_dir, parallel=settings.device != "cpu")
    try:
        Loop(settings, steps).run()
    finally:
        steps.close()


if __name__ == "__main__":
    main()
