"""The group of all commands: turns errors into one message and an exit status."""

import os
import sys
from typing import Any

import click

from yanshou.cli.audit import audit
from yanshou.cli.command import CONTEXT
from yanshou.cli.compare import compare
from yanshou.cli.dataset import dataset
from yanshou.cli.demo import demo
from yanshou.cli.doctor import doctor
from yanshou.cli.evaluate import evaluate
from yanshou.cli.judge import judge
from yanshou.cli.machine_faults import machine_faults
from yanshou.cli.messages import one_message, printable_usage_errors, say
from yanshou.cli.review import review
from yanshou.cli.review_export import review_export
from yanshou.cli.score import score
from yanshou.cli.signals import INTERRUPTED
from yanshou.cli.streams import guarded_streams
from yanshou.cli.summarize import summarize
from yanshou.cli.synth import synth
from yanshou.cli.train import train
from yanshou.cli.verbosity import verbose_option
from yanshou.errors import RunError, UsageError, YanshouError
from yanshou.version import __version__

ENVIRONMENT = {
    # Read when torch loads OpenMP. Threads that spin while they wait for each other, between the hundreds of small
    # products of a token, are many times slower on a busy CPU: verdicts beside another process took 37–66 s, not 9–13.
    "OMP_WAIT_POLICY": "PASSIVE",
    # numpy's OpenBLAS sends its own process SIGINT where it can start no thread, which would look like Ctrl-C. The
    # products of a model are torch's, which does not use it.
    "OPENBLAS_NUM_THREADS": "1",
    # The warnings of transformers and its tokenizers stay; their advice and progress bars go.
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class Main(click.Group):
    """Errors of yanshou and interrupts end here, and nowhere else."""

    def main(self, *args: Any, **options: Any) -> Any:
        with guarded_streams():
            return super().main(*args, **options)

    def invoke(self, ctx: click.Context) -> None:
        try:
            _check_locale()
            for name, value in ENVIRONMENT.items():
                os.environ.setdefault(name, value)
            with printable_usage_errors(), machine_faults():
                status = super().invoke(ctx)
        except UsageError as error:
            raise click.UsageError(one_message(str(error))) from error
        except YanshouError as error:
            say(f"error: {error}", err=True)
            status = 1
        except KeyboardInterrupt:  # the second interrupt of a run
            say("interrupted", err=True)
            status = INTERRUPTED
        ctx.exit(status or 0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with printable_usage_errors():
            return super().make_context(*args, **options)


def _check_locale() -> None:
    """Missions, folders and lines are Chinese: a locale that reads file names as anything but UTF-8 finds none."""
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise RunError(f"this locale reads file names as {encoding}, not UTF-8. Run again with PYTHONUTF8=1.")


@click.group(cls=Main, context_settings=CONTEXT)
@click.version_option(__version__)
def main() -> None:
    """Checks photos of telecom installations with Qwen3-VL: one summary line per photo, one verdict per group.

    Without photos and without a GPU, try: yanshou demo"""


main.params.append(verbose_option())
COMMANDS = (  # in the order of the data, which is the order of `yanshou --help`
    demo, doctor, summarize, judge, evaluate, review, review_export, audit, compare, dataset, train, score, synth,
)  # fmt: skip
for command in COMMANDS:
    main.add_command(command)
