"""The command line: parse, then import. One command a stage; errors are caught here and nowhere else.

    yanshou summarize   stage_a.py     yanshou dataset, judge, evaluate   stage_b.py     options.py   what they share
    yanshou score       stage_a.py     yanshou train                      training.py    runs.py      how a run is told
    yanshou doctor, synth, demo        tools.py

Exit status: 0 all done · 1 a run-level error · 2 wrong usage · 3 finished, some groups failed · 130 interrupted.
Options may be spelt with - or _ (`--input-dir`, `--input_dir`).
"""

import os
import sys
from typing import Any

# Read when torch's OpenMP is loaded. Threads that spin while they wait for each other, between the hundreds of small
# products of a token, are many times slower on a busy CPU: verdicts beside another process took 37–66 s, so 9–13 s.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import click

from yanshou import __version__
from yanshou.cli.options import CONTEXT
from yanshou.cli.signals import interruptible
from yanshou.cli.stage_b import dataset, evaluate, judge
from yanshou.cli.streams import guarded_streams
from yanshou.cli.summarize import score, summarize
from yanshou.cli.tools import demo, doctor, synth
from yanshou.cli.train import train
from yanshou.errors import RunError, UsageError, YanshouError


class Main(click.Group):
    """Turns yanshou's errors into one message and an exit status."""

    def main(self, *args: Any, **options: Any) -> Any:
        with guarded_streams():
            return super().main(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with interruptible(_end):  # SIGTERM ends as Ctrl-C does, also where nothing else listens
                _check_locale()
                return super().invoke(ctx)
        except UsageError as error:
            raise click.UsageError(str(error)) from error
        except YanshouError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:  # before the run had begun, or for the second time
            click.echo("interrupted", err=True)
            ctx.exit(130)


def _end() -> None:
    raise KeyboardInterrupt


def _check_locale() -> None:
    """Missions, folders and lines are Chinese: what reads file names as anything but UTF-8 finds none of them."""
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise RunError(f"this locale reads file names as {encoding}, not UTF-8. Run again with PYTHONUTF8=1.")


@click.group(cls=Main, context_settings=CONTEXT)
@click.version_option(__version__)
def main() -> None:
    """Acceptance checks of telecom installation photos with Qwen3-VL."""


for command in (summarize, score, dataset, train, judge, evaluate, doctor, synth, demo):
    main.add_command(command)
