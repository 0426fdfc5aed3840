"""`yanshou train`."""

from typing import Any

import click

from yanshou.cli.options import CONTEXT, FILE, FOLDER, checked, mission_file_option, setting
from yanshou.settings import GRPO_RATE, SFT_RATE, TrainSettings


@click.command(context_settings=CONTEXT, short_help="GRPO, or SFT, by ms-swift.")
@click.option("--checkpoint", required=True, help='What is trained: a Qwen3-VL folder, a hub id, or "demo".')
@click.option("--train-file", type=FILE, required=True, help="train.jsonl of `yanshou dataset`.")
@click.option("--val-file", type=FILE, help="val.jsonl: judged at every save.")
@click.option("--output-dir", type=FOLDER, required=True,
              help="Gets final/, a checkpoint; a training there is resumed.")  # fmt: skip
@click.option("--sft", is_flag=True, help="Supervised: teaches the two lines, with reasons by the missions' rules.")
@setting("--tuner", TrainSettings, "full: the whole language model; the vision tower stays either way.",
         type=click.Choice(["lora", "full"]))  # fmt: skip
@setting("--last-blocks", TrainSettings, "LoRA goes into the last K blocks.", type=int)
@setting("--lora-rank", TrainSettings, "Of the adapters.", type=int)
@setting("--lora-alpha", TrainSettings, "Of the adapters.", type=int)
@setting("--lora-dropout", TrainSettings, "Of the adapters.", type=float)
@click.option("--learning-rate", type=float, help=f"{GRPO_RATE:g}; with --sft {SFT_RATE:g}.")
@setting("--beta", TrainSettings, "Weight of the KL; 0 is none.", type=float)
@setting("--generations", TrainSettings, "Answers a group, compared with each other.", type=int)
@setting("--max-new-tokens", TrainSettings, "Of an answer.", type=int)
@setting("--temperature", TrainSettings, "Of the answers.", type=float)
@setting("--top-p", TrainSettings, "Of the probability mass.", type=float)
@click.option("--dynamic-sampling/--no-dynamic-sampling", default=True, show_default=True,
              help="Replace groups whose answers all earn the same.")  # fmt: skip
@setting("--batch-size", TrainSettings, "Answers at once on a device.", type=int)
@setting("--accumulation", TrainSettings, "Batches a step.", type=int)
@setting("--epochs", TrainSettings, "Over the training file.", type=float)
@setting("--max-steps", TrainSettings, "Instead of epochs.", type=int)
@setting("--save-steps", TrainSettings, "An interrupted training loses at most so many.", type=int)
@setting("--keep-checkpoints", TrainSettings, "Older ones are deleted.", type=int)
@setting("--seed", TrainSettings, "Of data order and answers.", type=int)
@setting("--device", TrainSettings, "Where to train.", type=click.Choice(["auto", "cpu", "cuda"]))
@mission_file_option
@click.option("--fresh", is_flag=True, help="Start over; the old training is kept under another name.")
@click.option("--dry-run", is_flag=True, help="Print swift's command line and do nothing.")
@click.option("--quiet", is_flag=True, help="Only errors and the last words.")
@click.argument("extra_args", nargs=-1, type=click.UNPROCESSED, metavar="[-- SWIFT ARGUMENTS]...")
@click.pass_context
def train(ctx: click.Context, /, dry_run: bool, quiet: bool, **options: Any) -> None:
    """GRPO by ms-swift (extra "train"): a checkpoint that judges better. What follows -- goes to swift as it is."""
    from yanshou.cli.runs import silence_transformers
    from yanshou.cli.signals import interruptible
    from yanshou.train.progress_view import NullView, TrainView
    from yanshou.train.run import Training

    with checked():
        settings = TrainSettings(**options)
    silence_transformers()
    training = Training(settings, NullView() if quiet else TrainView())
    if dry_run:
        click.echo(training.command_line())
        return
    with interruptible(training.interrupt):
        result = training.run()
    for message in result.final_messages():
        click.echo(message, err=True)
    ctx.exit(result.status)
