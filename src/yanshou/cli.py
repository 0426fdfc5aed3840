"""The command line: parse, then import. One command a stage; errors are caught here and nowhere else.

Exit status: 0 all done · 1 a run-level error · 2 wrong usage · 3 finished, some groups failed · 130 interrupted.
Options may be spelt with - or _ (`--input-dir`, `--input_dir`).
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from yanshou import __version__
from yanshou.errors import RunError, UsageError, YanshouError
from yanshou.settings import (
    ALL,
    GRPO_RATE,
    SFT_RATE,
    VERDICT_TOKENS,
    DatasetSettings,
    EngineSettings,
    EvaluateSettings,
    ExifMode,
    JudgeSettings,
    Layout,
    PhotoSettings,
    PromptSettings,
    SamplingSettings,
    Settings,
    StageASettings,
    TrainSettings,
)

if TYPE_CHECKING:
    from yanshou.mission_run import MissionResult

Command = TypeVar("Command", bound=Callable[..., Any])

LISTED = 20  # lines of a kind on the terminal
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


def _default(model: type[Settings], field: str) -> Any:
    """An option's default: the one in settings.py."""
    return model.model_fields[field].default


def _setting(name: str, model: type[Settings], text: str, **options: Any) -> Callable[[Command], Command]:
    """An option whose default stands in settings.py under the same name."""
    default = _default(model, name.strip("-").replace("-", "_"))
    return click.option(name, default=default, show_default=True, help=text, **options)


class Main(click.Group):
    """Turns yanshou's errors into one message and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
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


def _check_locale() -> None:
    """Missions, folders and lines are Chinese: what reads file names as anything but UTF-8 finds none of them."""
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        raise RunError(f"this locale reads file names as {encoding}, not UTF-8. Run again with PYTHONUTF8=1.")


@click.group(cls=Main, context_settings=CONTEXT)
@click.version_option(__version__)
def main() -> None:
    """Acceptance checks of telecom installation photos with Qwen3-VL."""


@main.command(context_settings=CONTEXT)
@click.option("--checkpoint", required=True, help='A Qwen3-VL folder, a hub id, or "demo".')
@click.option("--input-dir", type=FOLDER, required=True, help="Holds <mission>/{审核通过|审核不通过}/<group>/*.jpg.")
@click.option("--output-dir", type=FOLDER, required=True, help="Gets <mission>_stage_a.jsonl; a run there is resumed.")
@click.option("--mission", "missions", multiple=True, required=True, help='Several times, or "all".')
@_setting("--engine", EngineSettings, "transformers, or scripted for tests.")
@_setting("--device", EngineSettings, "auto, cpu, cuda or cuda:N.")
@_setting("--batch-size", EngineSettings, "Photos at once, across groups; 1 is one by one.", type=int)
@_setting("--dtype", EngineSettings, "auto: bfloat16 on CUDA, float32 on the CPU.",
          type=click.Choice(["auto", "bfloat16", "float16", "float32"]))  # fmt: skip
@_setting("--attn", EngineSettings, "auto: FlashAttention 2 where installed, else SDPA.",
          type=click.Choice(["auto", "sdpa", "flash_attention_2", "eager"]))  # fmt: skip
@_setting("--max-new-tokens", SamplingSettings, "An answer that is longer fails its group.", type=int)
@_setting("--temperature", SamplingSettings, "0 is greedy.", type=float)
@_setting("--top-p", SamplingSettings, "Of the probability mass.", type=float)
@_setting("--repetition-penalty", SamplingSettings, "1 is none.", type=float)
@_setting("--seed", SamplingSettings, "Each photo draws from a stream of its own.", type=int)
@_setting("--max-pixels", PhotoSettings, "Pixels a photo after resizing; 1,024 are one token.", type=int)
@_setting("--min-pixels", PhotoSettings, "Smaller photos are enlarged.", type=int)
@_setting("--exif", PhotoSettings, "Turn photos as their EXIF orientation says.",
          type=click.Choice(get_args(ExifMode)))  # fmt: skip
@click.option("--system-prompt", type=FILE, help="Instead of yanshou's own, for a checkpoint trained with another.")
@click.option("--user-prompt", type=FILE, help="Likewise; the mission's focus is appended.")
@click.option("--mission-focus/--no-mission-focus", default=True, show_default=True, help="Append the mission's focus.")
@_setting("--layout", StageASettings, "flat: new jobs, <mission>/<group>/*.jpg, no labels.",
          type=click.Choice(get_args(Layout)))  # fmt: skip
@click.option("--mission-file", "mission_files", type=EXISTING, multiple=True,
              help="A mission TOML of your own, or a folder of them.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), help="The first N groups of each mission.")
@click.option("--fresh", is_flag=True, help="Start over; the old files are kept under another name.")
@click.option("--allow-truncated", is_flag=True, help="Accept answers cut off at --max-new-tokens.")
@click.option("--quiet", is_flag=True, help="Only errors.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
@click.pass_context
def summarize(ctx: click.Context, /, quiet: bool, as_json: bool, **options: Any) -> None:
    """Stage-A: one Chinese summary line a photo, one JSONL line a group."""
    settings = _stage_a_settings(options)
    ctx.exit(_summarize(settings, quiet, as_json))


def _stage_a_settings(options: dict[str, Any]) -> StageASettings:
    """Options → settings: each goes to the model that has a field of its name."""

    def part(model: type[Settings]) -> dict[str, Any]:
        return {name: options.pop(name) for name in list(options) if name in model.model_fields}

    with _checked():
        prompts = PromptSettings(**part(PromptSettings))
        photo, sampling = PhotoSettings(**part(PhotoSettings)), SamplingSettings(**part(SamplingSettings))
        engine = EngineSettings(**part(EngineSettings), photo=photo, sampling=sampling)
        return StageASettings(**options, engine=engine, prompts=prompts)


class _checked:  # noqa: N801 - reads as what it does
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


def _summarize(settings: StageASettings, quiet: bool, as_json: bool) -> int:
    from yanshou.interrupt import interruptible
    from yanshou.mission_run import Silence, exit_status
    from yanshou.progress import ProgressView, last_words, page, table, whereabouts
    from yanshou.stage_a import StageA, prepare

    _quieten()
    view = Silence() if quiet or as_json else ProgressView()
    found, engine = prepare(settings)
    stage = StageA(settings, engine, view)
    with interruptible(stage.interrupt):
        results = [stage.run(*one) for one in found]
    if as_json:
        click.echo(_json(results))
    elif not quiet:
        page(stderr=True).print(table(results), *whereabouts(results), sep="\n", markup=False)
    for words in last_words(results):
        click.echo(words, err=True)
    return exit_status(results)


def _json(results: "list[MissionResult]") -> str:
    import json
    from dataclasses import asdict

    rows = [
        {**asdict(r), "images_per_s": round(r.images_per_s, 3), "status": r.status, "seconds": round(r.seconds, 3)}
        for r in results
    ]
    return json.dumps(rows, ensure_ascii=False, indent=1, default=str)


def _quieten() -> None:
    """transformers talks and draws bars on its own; its warnings stay, its chatter goes."""
    import os

    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@main.command(context_settings=CONTEXT)
@click.option("--output-dir", type=FOLDER, required=True, help="Gets train.jsonl, val.jsonl and dataset.card.json.")
@_setting("--val-fraction", DatasetSettings, "Of the groups; one id stands on one side.", type=float)
@_setting("--seed", DatasetSettings, "Same seed and input, same bytes.", type=int)
@_setting("--max-prompt-tokens", DatasetSettings, "Leaves longer groups out and lists them; off by default.", type=int)
@_setting("--checkpoint", DatasetSettings, "Whose tokenizer counts.")
@click.option("--mission-file", "mission_files", type=EXISTING, multiple=True, help="Mission TOMLs of your own.")
@click.option("--json", "as_json", is_flag=True, help="The card as JSON on stdout.")
@click.argument("stage_a", type=FILE, nargs=-1, required=True, metavar="FILE...")
def dataset(as_json: bool, **options: Any) -> None:
    """Stage-B's training data: Stage-A files with labels in, train.jsonl and val.jsonl for ms-swift out."""
    import json

    from yanshou.missions import load_missions
    from yanshou.progress import page
    from yanshou.stage_b.card import tables
    from yanshou.stage_b.dataset import build_dataset

    with _checked():
        settings = DatasetSettings(**options)
    _quieten()
    card = build_dataset(settings, load_missions(settings.mission_files))
    for warning in card.warnings:
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        click.echo(json.dumps(card.model_dump(), ensure_ascii=False, indent=1))
        return
    page().print(*tables(card), sep="\n")
    for left_out in card.left_out[:LISTED]:
        click.echo(f"left out: {left_out}")
    if len(card.left_out) > LISTED:
        click.echo(f"… and {len(card.left_out) - LISTED} more, all in dataset.card.json")
    click.echo(f"train.jsonl, val.jsonl, dataset.card.json: {settings.output_dir}")


@main.command(context_settings=CONTEXT)
@click.option("--checkpoint", required=True, help='What is trained: a Qwen3-VL folder, a hub id, or "demo".')
@click.option("--train-file", type=FILE, required=True, help="train.jsonl of `yanshou dataset`.")
@click.option("--val-file", type=FILE, help="val.jsonl: judged at every save.")
@click.option(
    "--output-dir", type=FOLDER, required=True, help="Gets final/, a checkpoint; a training there is resumed."
)
@click.option("--sft", is_flag=True, help="Supervised: teaches the two lines, with reasons by the missions' rules.")
@_setting("--tuner", TrainSettings, "full: the whole language model; the vision tower stays either way.",
          type=click.Choice(["lora", "full"]))  # fmt: skip
@_setting("--last-blocks", TrainSettings, "LoRA goes into the last K blocks.", type=int)
@_setting("--lora-rank", TrainSettings, "Of the adapters.", type=int)
@_setting("--lora-alpha", TrainSettings, "Of the adapters.", type=int)
@_setting("--lora-dropout", TrainSettings, "Of the adapters.", type=float)
@click.option("--learning-rate", type=float, help=f"{GRPO_RATE:g}; with --sft {SFT_RATE:g}.")
@_setting("--beta", TrainSettings, "Weight of the KL; 0 is none.", type=float)
@_setting("--generations", TrainSettings, "Answers a group, compared with each other.", type=int)
@_setting("--max-new-tokens", TrainSettings, "Of an answer.", type=int)
@_setting("--temperature", TrainSettings, "Of the answers.", type=float)
@_setting("--top-p", TrainSettings, "Of the probability mass.", type=float)
@click.option("--dynamic-sampling/--no-dynamic-sampling", default=True, show_default=True,
              help="Replace groups whose answers all earn the same.")  # fmt: skip
@_setting("--batch-size", TrainSettings, "Answers at once on a device.", type=int)
@_setting("--accumulation", TrainSettings, "Batches a step.", type=int)
@_setting("--epochs", TrainSettings, "Over the training file.", type=float)
@_setting("--max-steps", TrainSettings, "Instead of epochs.", type=int)
@_setting("--save-steps", TrainSettings, "An interrupted training loses at most so many.", type=int)
@_setting("--keep-checkpoints", TrainSettings, "Older ones are deleted.", type=int)
@_setting("--seed", TrainSettings, "Of data order and answers.", type=int)
@_setting("--device", TrainSettings, "Where to train.", type=click.Choice(["auto", "cpu", "cuda"]))
@click.option("--mission-file", "mission_files", type=EXISTING, multiple=True, help="Mission TOMLs of your own.")
@click.option("--fresh", is_flag=True, help="Start over; the old training is kept under another name.")
@click.option("--dry-run", is_flag=True, help="Print swift's command line and do nothing.")
@click.option("--quiet", is_flag=True, help="Only errors and the last words.")
@click.argument("more", nargs=-1, type=click.UNPROCESSED, metavar="[-- SWIFT ARGUMENTS]...")
@click.pass_context
def train(ctx: click.Context, /, dry_run: bool, quiet: bool, **options: Any) -> None:
    """GRPO by ms-swift (extra "train"): a checkpoint that judges better. What follows -- goes to swift as it is."""
    from yanshou.interrupt import interruptible
    from yanshou.train.run import Training
    from yanshou.train.view import Silence, TrainView

    with _checked():
        settings = TrainSettings(**options)
    _quieten()
    training = Training(settings, Silence() if quiet else TrainView())
    if dry_run:
        click.echo(training.command_line())
        return
    with interruptible(training.interrupt):
        result = training.run()
    for words in result.last_words():
        click.echo(words, err=True)
    ctx.exit(result.status)


@main.command(context_settings=CONTEXT)
@click.option("--checkpoint", help='A Qwen3-VL folder, a hub id, or "demo".')
@click.option("--rules", is_flag=True, help="Each mission's pass rule instead of a checkpoint: the baseline.")
@click.option("--output-dir", type=FOLDER, required=True, help="Gets <mission>_verdicts.jsonl; a run there is resumed.")
@click.option("--threshold", type=float, help="Pass is p_pass ≥ P; else what the answer's first line says.")
@_setting("--engine", EngineSettings, "transformers, or scripted for tests.")
@_setting("--device", EngineSettings, "auto, cpu, cuda or cuda:N.")
@_setting("--batch-size", EngineSettings, "Groups at once.", type=int)
@_setting("--dtype", EngineSettings, "auto: bfloat16 on CUDA, float32 on the CPU.",
          type=click.Choice(["auto", "bfloat16", "float16", "float32"]))  # fmt: skip
@_setting("--attn", EngineSettings, "auto: FlashAttention 2 where installed, else SDPA.",
          type=click.Choice(["auto", "sdpa", "flash_attention_2", "eager"]))  # fmt: skip
@click.option("--max-new-tokens", type=int, default=VERDICT_TOKENS, show_default=True,
              help="An answer that is longer fails its group.")  # fmt: skip
@click.option("--mission-file", "mission_files", type=EXISTING, multiple=True,
              help="A mission TOML of your own, or a folder of them.")  # fmt: skip
@click.option("--limit", type=click.IntRange(1), help="The first N groups of each mission.")
@click.option("--fresh", is_flag=True, help="Start over; the old files are kept under another name.")
@click.option("--quiet", is_flag=True, help="Only errors.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
@click.argument("stage_a", type=FILE, nargs=-1, required=True, metavar="FILE...")
@click.pass_context
def judge(ctx: click.Context, /, quiet: bool, as_json: bool, **options: Any) -> None:
    """Stage-B: 通过 or 不通过 and a reason for every group of Stage-A files."""
    ctx.exit(_judge(_judge_settings(options), quiet, as_json))


def _judge_settings(options: dict[str, Any]) -> JudgeSettings:
    checkpoint, rules = options.pop("checkpoint"), options.pop("rules")
    if rules == (checkpoint is not None):
        raise click.UsageError("--checkpoint or --rules: give one of the two.")
    with _checked():
        sampling = SamplingSettings(max_new_tokens=options.pop("max_new_tokens"))
        engine = {name: options.pop(name) for name in list(options) if name in EngineSettings.model_fields}
        return JudgeSettings(
            **options,
            engine=None if rules else EngineSettings(checkpoint=checkpoint, sampling=sampling, **engine),
        )


def _judge(settings: JudgeSettings, quiet: bool, as_json: bool) -> int:
    from yanshou.interrupt import interruptible
    from yanshou.mission_run import Silence, exit_status
    from yanshou.progress import VERDICTS, ProgressView, last_words, page, table, whereabouts
    from yanshou.stage_b.judge import Judge, prepare

    _quieten()
    view = Silence() if quiet or as_json else ProgressView(unit=VERDICTS)
    found, engine = prepare(settings)
    stage = Judge(settings, engine, view)
    with interruptible(stage.interrupt):
        results = [stage.run(work) for work in found]
    if as_json:
        click.echo(_json(results))
    elif not quiet:
        page(stderr=True).print(table(results, VERDICTS), *whereabouts(results), sep="\n", markup=False)
    for words in last_words(results):
        click.echo(words, err=True)
    return exit_status(results)


@main.command(context_settings=CONTEXT)
@click.option("--truth", type=FILE, required=True, help="Reference summaries: mission, label, group_id, per_image.")
@click.option("--stage-a", "stage_a", type=FILE, multiple=True, required=True, help="Stage-A files; more may follow.")
@click.option("--mission", "missions", multiple=True, help="Score only these; else all that the truth holds.")
@click.option("--mission-file", "mission_files", type=EXISTING, multiple=True, help="Mission TOMLs of your own.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
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

    from yanshou import score as scoring
    from yanshou.missions import load_missions
    from yanshou.progress import page

    known = load_missions(mission_files)
    result = scoring.score(truth, [*stage_a, *more], {known.get(name).name for name in missions} or None)
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    if as_json:
        click.echo(json.dumps(result.to_dict(), ensure_ascii=False, indent=1))
    else:
        page().print(*scoring.tables(result), sep="\n")


@main.command(context_settings=CONTEXT)
@click.option("--output-dir", type=FOLDER, required=True, help="Gets report.html, its thumbnails and groups.csv.")
@click.option("--stage-a", "stage_a", type=FILE, multiple=True,
              help="The Stage-A files that were judged; else those that the verdicts' run.json names.")  # fmt: skip
@_setting("--threshold", EvaluateSettings, "Pass is p_pass ≥ P; else the verdicts as they stand.", type=float)
@_setting("--max-false-release", EvaluateSettings, "Finds the P that keeps false releases / human fails under this.",
          type=float)  # fmt: skip
@_setting("--confidence", EvaluateSettings, "Of the intervals, and of what --max-false-release promises.", type=float)
@click.option("--mission-file", "mission_files", type=EXISTING, multiple=True, help="Mission TOMLs of your own.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="Of report.html.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON on stdout.")
@click.argument("verdicts", type=FILE, nargs=-1, required=True, metavar="FILE...")
def evaluate(
    verdicts: tuple[Path, ...], stage_a: tuple[Path, ...], output_dir: Path, mission_files: tuple[Path, ...],
    lang: str, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Verdicts against human labels: accuracy, false releases, false blocks, beside always-pass and the rules."""
    import json

    from yanshou import evaluate as evaluating
    from yanshou.missions import load_missions
    from yanshou.progress import page

    with _checked():
        EvaluateSettings(**options)
    result = evaluating.evaluate(verdicts, stage_a or None, load_missions(mission_files), **options)
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)
    table = evaluating.write_groups(result.groups, output_dir)
    report = evaluating.write_report(result, output_dir, lang)
    if as_json:
        click.echo(json.dumps(result.to_dict(), ensure_ascii=False, indent=1))
        return
    page().print(*evaluating.tables(result), sep="\n")
    if result.choice:
        click.echo(result.choice.words)
    click.echo(f"report: {report}\nevery group: {table}")


@main.command(context_settings=CONTEXT)
@click.option("--checkpoint", help="Also look at this checkpoint.")
@click.pass_context
def doctor(ctx: click.Context, /, checkpoint: str | None) -> None:
    """Versions, devices, memory, and whether a checkpoint would load, each with what to do."""
    from yanshou.doctor import examine, report

    _quieten()
    ctx.exit(report(examine(checkpoint)))


@main.command(context_settings=CONTEXT)
@click.option("--output-dir", type=FOLDER, required=True, help="A new or empty folder.")
@click.option("--groups", type=click.IntRange(1), required=True, help="Groups in all, spread over the missions.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same bytes.")
@click.option("--mission", "missions", multiple=True, default=(ALL,), help="Only these; else all.")
@click.option("--mission-file", "mission_files", type=EXISTING, multiple=True, help="Mission TOMLs of your own.")
def synth(output_dir: Path, groups: int, seed: int, missions: tuple[str, ...], mission_files: tuple[Path, ...]) -> None:
    """Draws groups of photos with known truth: <mission>/<label>/<group>/*.jpeg and truth.jsonl."""
    from yanshou.missions import load_missions
    from yanshou.world.synth import synthesize

    known = load_missions(mission_files)
    named = [known.get(name) for name in missions if name != ALL]
    chosen = list(known) if ALL in missions else named
    truth = synthesize(output_dir, groups, seed, chosen)
    click.echo(f"{groups} groups and their truth: {truth}")


@main.command(context_settings=CONTEXT)
@click.option("--output-dir", type=FOLDER, default=Path("demo"), show_default=True, help="Drawn anew at each call.")
@click.pass_context
def demo(ctx: click.Context, /, output_dir: Path) -> None:
    """Draws 24 groups; the shipped checkpoint summarises and judges them; scores, figures, and where everything is."""
    from yanshou.demo import run

    _quieten()
    ctx.exit(run(output_dir))


if __name__ == "__main__":
    sys.exit(main())
