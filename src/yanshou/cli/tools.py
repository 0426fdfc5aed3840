"""`yanshou doctor`, `yanshou synth` and `yanshou demo`: to try things out."""

from pathlib import Path

import click

from yanshou.cli.options import CONTEXT, FOLDER, mission_file_option
from yanshou.settings import ALL


@click.command(context_settings=CONTEXT, short_help="Whether machine and checkpoint will do.")
@click.option("--checkpoint", help="Also look at this checkpoint.")
@click.pass_context
def doctor(ctx: click.Context, /, checkpoint: str | None) -> None:
    """Versions, devices, memory, and whether a checkpoint would load, each with what to do."""
    from yanshou.cli.doctor import examine, report
    from yanshou.cli.runs import silence_transformers

    silence_transformers()
    ctx.exit(report(examine(checkpoint)))


@click.command(context_settings=CONTEXT, short_help="Draws photos with known truth.")
@click.option("--output-dir", type=FOLDER, required=True, help="A new or empty folder.")
@click.option("--groups", type=click.IntRange(1), required=True, help="Groups in all, spread over the missions.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same bytes.")
@click.option("--mission", "missions", multiple=True, default=(ALL,), help="Only these; else all.")
@mission_file_option
def synth(output_dir: Path, groups: int, seed: int, missions: tuple[str, ...], mission_files: tuple[Path, ...]) -> None:
    """Draws groups of photos with known truth: <mission>/<label>/<group>/*.jpeg and truth.jsonl."""
    from yanshou.missions import load_missions
    from yanshou.world.synth import synthesize

    known = load_missions(mission_files)
    named = [known.get(name) for name in missions if name != ALL]
    chosen = list(known) if ALL in missions else named
    truth = synthesize(output_dir, groups, seed, chosen)
    click.echo(f"{groups} groups and their truth: {truth}")


@click.command(context_settings=CONTEXT, short_help="Both stages on 24 drawn groups.")
@click.option("--output-dir", type=FOLDER, default=Path("demo"), show_default=True, help="Drawn anew at each call.")
@click.pass_context
def demo(ctx: click.Context, /, output_dir: Path) -> None:
    """Draws 24 groups; the shipped checkpoint summarises and judges them; scores, figures, and where everything is."""
    from yanshou.cli.demo import run
    from yanshou.cli.runs import silence_transformers

    silence_transformers()
    ctx.exit(run(output_dir))
