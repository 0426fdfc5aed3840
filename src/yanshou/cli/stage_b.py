"""`yanshou dataset`, `yanshou judge` and `yanshou evaluate`: from summary lines to verdicts and what they are worth."""

from pathlib import Path
from typing import Any

import click

from yanshou.cli.options import (
    CONTEXT,
    FILE,
    FOLDER,
    checked,
    engine_options,
    json_option,
    mission_file_option,
    part,
    run_options,
    setting,
)
from yanshou.settings import (
    VERDICT_TOKENS,
    DatasetSettings,
    EngineSettings,
    EvaluateSettings,
    JudgeSettings,
    SamplingSettings,
)

LISTED = 20  # groups left out of a dataset that the terminal shows


@click.command(context_settings=CONTEXT, short_help="Training data from labelled Stage-A files.")
@click.option("--output-dir", type=FOLDER, required=True, help="Gets train.jsonl, val.jsonl and dataset.card.json.")
@setting(
    "--val-fraction",
    DatasetSettings,
    "Of the groups of each mission and label, at least one; one id stands on one side.",
    type=float,
)
@setting("--seed", DatasetSettings, "Same seed and input, same bytes.", type=int)
@setting("--max-prompt-tokens", DatasetSettings, "Leaves longer groups out and lists them; off by default.", type=int)
@setting("--checkpoint", DatasetSettings, "Whose tokenizer counts.")
@click.option(
    "--verdicts",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="By the checkpoint to be trained, on these groups: what it gets wrong is repeated. May be given again.",
)
@setting("--repeats", DatasetSettings, "Times that such a group stands in train.jsonl.", type=int)
@mission_file_option
@json_option
@click.argument("stage_a", type=FILE, nargs=-1, required=True, metavar="FILE...")
def dataset(as_json: bool, **options: Any) -> None:
    """Stage-B's training data: Stage-A files with labels in, train.jsonl and val.jsonl for ms-swift out."""
    import json

    from yanshou.cli.progress import page
    from yanshou.cli.runs import silence_transformers
    from yanshou.cli.tables import dataset_tables
    from yanshou.missions import load_missions
    from yanshou.stage_b.dataset import build_dataset

    with checked():
        settings = DatasetSettings(**options)
    silence_transformers()
    card = build_dataset(settings, load_missions(settings.mission_files))
    for warning in card.warnings:
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        click.echo(json.dumps(card.model_dump(), ensure_ascii=False, indent=1))
        return
    page().print(*dataset_tables(card), sep="\n")
    for left_out in card.left_out[:LISTED]:
        click.echo(f"left out: {left_out}")
    if len(card.left_out) > LISTED:
        click.echo(f"… and {len(card.left_out) - LISTED} more, all in dataset.card.json")
    if settings.verdicts:
        train = card.files["train.jsonl"]
        click.echo(f"train.jsonl: {train.rows} rows for {train.groups} groups")
    click.echo(f"train.jsonl, val.jsonl, dataset.card.json: {settings.output_dir}")


@click.command(context_settings=CONTEXT, short_help="Stage-B: a verdict a group.")
@click.option("--checkpoint", help='A Qwen3-VL folder, a hub id, or "demo".')
@click.option("--rules", is_flag=True, help="Each mission's pass rule instead of a checkpoint: the baseline.")
@click.option("--output-dir", type=FOLDER, required=True, help="Gets <mission>_verdicts.jsonl; a run there is resumed.")
@click.option("--threshold", type=float, help="Pass is p_pass ≥ P; else what the answer's first line says.")
@engine_options(at_once="Groups at once.")
@click.option("--max-new-tokens", type=int, default=VERDICT_TOKENS, show_default=True,
              help="An answer that is longer fails its group.")  # fmt: skip
@run_options
@click.argument("stage_a", type=FILE, nargs=-1, required=True, metavar="FILE...")
@click.pass_context
def judge(ctx: click.Context, /, quiet: bool, as_json: bool, **options: Any) -> None:
    """Stage-B: 通过 or 不通过 and a reason for every group of Stage-A files."""
    ctx.exit(_judge(_judge_settings(options), quiet, as_json))


def _judge_settings(options: dict[str, Any]) -> JudgeSettings:
    checkpoint, rules = options.pop("checkpoint"), options.pop("rules")
    if rules == (checkpoint is not None):
        raise click.UsageError("--checkpoint or --rules: give one of the two.")
    with checked():
        sampling = SamplingSettings(**part(SamplingSettings, options))
        engine = part(EngineSettings, options)
        return JudgeSettings(
            **options,
            engine=None if rules else EngineSettings(checkpoint=checkpoint, sampling=sampling, **engine),
        )


def _judge(settings: JudgeSettings, quiet: bool, as_json: bool) -> int:
    from yanshou.cli.progress import VERDICTS
    from yanshou.cli.runs import RunReporter, silence_transformers
    from yanshou.cli.signals import interruptible
    from yanshou.stage_b.judge import prepare

    silence_transformers()
    telling = RunReporter(VERDICTS, quiet, as_json)
    stage = prepare(settings, listener=telling.listener)
    with interruptible(stage.interrupt):
        results = stage.run()
    return telling.end(results)


@click.command(context_settings=CONTEXT, short_help="Verdicts against human labels, and a report.")
@click.option("--output-dir", type=FOLDER, required=True, help="Gets report.html, its thumbnails and groups.csv.")
@click.option("--stage-a", "stage_a", type=FILE, multiple=True,
              help="The Stage-A files that were judged; else those that the verdicts' run.json names.")  # fmt: skip
@click.option(
    "--only",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="The groups of this dataset file alone: val.jsonl, which a training has not seen. May be repeated.",
)
@setting("--threshold", EvaluateSettings, "Pass is p_pass ≥ P; else the verdicts as they stand.", type=float)
@setting("--max-false-release", EvaluateSettings, "Finds the P that keeps false releases / human fails under this.",
         type=float)  # fmt: skip
@setting("--confidence", EvaluateSettings, "Of the intervals, and of what --max-false-release promises.", type=float)
@mission_file_option
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="Of report.html.")
@json_option
@click.argument("verdicts", type=FILE, nargs=-1, required=True, metavar="FILE...")
def evaluate(
    verdicts: tuple[Path, ...], stage_a: tuple[Path, ...], only: tuple[Path, ...], output_dir: Path,
    mission_files: tuple[Path, ...], lang: str, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Verdicts against human labels: accuracy, false releases, false blocks, beside always-pass and the rules."""
    import json

    from yanshou import evaluate as evaluating
    from yanshou.cli.progress import page
    from yanshou.cli.tables import evaluation_tables
    from yanshou.missions import load_missions
    from yanshou.storage.lock import locked

    with checked():
        EvaluateSettings(**options)
    result = evaluating.evaluate(verdicts, stage_a or None, load_missions(mission_files), only=only, **options)
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    with locked(output_dir / ".evaluate.lock", output_dir):  # two runs take away each other's thumbnails
        table = evaluating.write_groups(result.groups, output_dir)
        report = evaluating.write_report(result, output_dir, lang)
    if as_json:
        click.echo(json.dumps(result.to_dict(), ensure_ascii=False, indent=1))
        return
    page().print(*evaluation_tables(result), sep="\n")
    if result.choice:
        click.echo(result.choice.explanation)
    click.echo(f"report: {report}\nevery group: {table}")
