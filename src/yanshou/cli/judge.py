"""`yanshou judge`."""

import click

from yanshou.cli.command import command, json_option, quiet_option
from yanshou.cli.settings_options import SettingOption, given_options, settings_options
from yanshou.settings import EngineSettings, JudgeSettings

GREEDY = [f"engine.sampling.{name}" for name in ("temperature", "top_p", "repetition_penalty", "seed")]


@command("Stage-B: one verdict per group.")
@settings_options(JudgeSettings, arguments={"stage_a": "FILE..."}, omit=["engine.photo", *GREEDY])
@click.option(
    "--rules", is_flag=True, cls=SettingOption, heading=EngineSettings.heading,
    help="Judge by each mission's pass rule, without a checkpoint. The result is a baseline.",
)  # fmt: skip
@quiet_option
@json_option
def judge(settings: JudgeSettings, rules: bool, quiet: bool, as_json: bool) -> int:
    """Stage-B: one verdict (通过 or 不通过) with a reason for every group of Stage-A files."""
    from yanshou.cli.reporter import VERDICTS, RunReporter
    from yanshou.cli.signals import interruptible
    from yanshou.stage_b.judge import prepare

    if rules == (settings.engine is not None):
        raise click.UsageError("--checkpoint, --endpoint or --rules: give one of them.")
    if rules and (option := next(given_options("engine"), None)):
        raise click.UsageError(f"{option} is for a model, and --rules asks none. Leave it out.")
    reporter = RunReporter(VERDICTS, quiet, as_json)
    stage = prepare(settings, listener=reporter.listener)
    with interruptible(stage.interrupt):
        results = stage.run()
    return reporter.end(results)
