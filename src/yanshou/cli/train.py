"""`yanshou train`."""

import click

from yanshou.cli.command import command, quiet_option
from yanshou.cli.messages import print_warnings, say
from yanshou.cli.settings_options import settings_options
from yanshou.settings import TrainSettings


@command("Trains a checkpoint with ms-swift: GRPO, or SFT.")
@settings_options(TrainSettings, arguments={"extra_args": "[-- SWIFT_ARGUMENT...]"})
@click.option("--dry-run", is_flag=True, help="Only print swift's command line; do not train.")
@quiet_option
def train(settings: TrainSettings, dry_run: bool, quiet: bool) -> int | None:
    """Trains a checkpoint to judge better, with ms-swift (extra "train"): GRPO, or SFT."""
    from yanshou.cli.signals import interruptible
    from yanshou.cli.train_progress import TrainProgress
    from yanshou.train.run import Training

    training = Training(settings, None if quiet else TrainProgress())
    if dry_run:
        say(training.command_line())
        print_warnings(training.warnings)
        return None
    with interruptible(training.interrupt):
        result = training.run()
    for message in result.final_messages():
        say(message, err=True)
    return result.status
