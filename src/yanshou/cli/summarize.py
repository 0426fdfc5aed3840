"""`yanshou summarize`, and `yanshou score` for what it wrote."""

from pathlib import Path
from typing import Any, get_args

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
    EngineSettings,
    ExifMode,
    Layout,
    PhotoSettings,
    PromptSettings,
    SamplingSettings,
    StageASettings,
)


@click.command(context_settings=CONTEXT, short_help="Stage-A: a line a photo.")
@click.option("--checkpoint", required=True, help='A Qwen3-VL folder, a hub id, or "demo".')
@click.option("--input-dir", type=FOLDER, required=True, help="Holds <mission>/{审核通过|审核不通过}/<group>/*.jpg.")
@click.option("--output-dir", type=FOLDER, required=True, help="Gets <mission>_stage_a.jsonl; a run there is resumed.")
@click.option("--mission", "missions", multiple=True, required=True, help='Several times, or "all".')
@engine_options(at_once="Photos at once, across groups; 1 is one by one. Default: every slot; transformers: 8.")
@setting("--max-new-tokens", SamplingSettings, "An answer that is longer fails its group.", type=int)
@setting("--temperature", SamplingSettings, "0 is greedy.", type=float)
@setting("--top-p", SamplingSettings, "Of the probability mass.", type=float)
@setting("--repetition-penalty", SamplingSettings, "1 is none.", type=float)
@setting("--seed", SamplingSettings, "Each photo draws from a stream of its own.", type=int)
@setting("--max-pixels", PhotoSettings, "Pixels a photo after resizing; 1,024 are one token.", type=int)
@setting("--min-pixels", PhotoSettings, "Smaller photos are enlarged.", type=int)
@setting("--exif", PhotoSettings, "Turn photos as their EXIF orientation says.", type=click.Choice(get_args(ExifMode)))
@click.option("--system-prompt", type=FILE, help="Instead of yanshou's own, for a checkpoint trained with another.")
@click.option("--user-prompt", type=FILE, help="Likewise; the mission's focus is appended.")
@click.option("--mission-focus/--no-mission-focus", default=True, show_default=True, help="Append the mission's focus.")
@setting("--layout", StageASettings, "flat: new jobs, <mission>/<group>/*.jpg, no labels.",
         type=click.Choice(get_args(Layout)))  # fmt: skip
@click.option("--allow-truncated", is_flag=True, help="Accept answers cut off at --max-new-tokens.")
@run_options
@click.pass_context
def summarize(ctx: click.Context, /, quiet: bool, as_json: bool, **options: Any) -> None:
    """Stage-A: one Chinese summary line a photo, one JSONL line a group."""
    settings = _settings(options)
    ctx.exit(_summarize(settings, quiet, as_json))


def _settings(options: dict[str, Any]) -> StageASettings:
    """Options → settings: each goes to the model that has a field of its name."""
    with checked():
        prompts = PromptSettings(**part(PromptSettings, options))
        photo = PhotoSettings(**part(PhotoSettings, options))
        sampling = SamplingSettings(**part(SamplingSettings, options))
        engine = EngineSettings(**part(EngineSettings, options), photo=photo, sampling=sampling)
        return StageASettings(**options, engine=engine, prompts=prompts)


def _summarize(settings: StageASettings, quiet: bool, as_json: bool) -> int:
    from yanshou.cli.progress import PHOTOS
    from yanshou.cli.runs import RunReporter, silence_transformers
    from yanshou.cli.signals import interruptible
    from yanshou.stage_a.summarize import prepare

    silence_transformers()
    telling = RunReporter(PHOTOS, quiet, as_json)
    stage = prepare(settings, listener=telling.listener)
    with interruptible(stage.interrupt):
        results = stage.run()
    return telling.end(results)


@click.command(context_settings=CONTEXT, short_help="Summaries against reference summaries.")
@click.option("--truth", type=FILE, required=True, help="Reference summaries: mission, label, group_id, per_image.")
@click.option("--stage-a", "stage_a", type=FILE, multiple=True, required=True, help="Stage-A files; more may follow.")
@click.option("--mission", "missions", multiple=True, help="Score only these; else all that the truth holds.")
@mission_file_option
@json_option
@click.argument("more", type=FILE, nargs=-1, metavar="[FILE]...")
def score(
    truth: Path,
    stage_a: tuple[Path, ...],
    more: tuple[Path, ...],
    missions: tuple[str, ...],
    mission_files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """How near summaries are to reference summaries: identical lines, precision, recall and F1 of entries."""
    import json

    from yanshou.cli.progress import page
    from yanshou.cli.tables import score_tables
    from yanshou.evaluate import summaries as scoring
    from yanshou.missions import load_missions

    known = load_missions(mission_files)
    result = scoring.score(truth, [*stage_a, *more], known, {known.get(name).name for name in missions} or None)
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        click.echo(json.dumps(result.to_dict(), ensure_ascii=False, indent=1))
    else:
        page().print(*score_tables(result), sep="\n")
