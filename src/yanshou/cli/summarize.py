"""`yanshou summarize`."""

from yanshou.cli.command import command, json_option, quiet_option
from yanshou.cli.settings_options import settings_options
from yanshou.settings import StageASettings


@command("Stage-A: one summary line per photo.")
@settings_options(StageASettings)
@quiet_option
@json_option
def summarize(settings: StageASettings, quiet: bool, as_json: bool) -> int:
    """Stage-A: one Chinese summary line per photo, one JSONL line per group."""
    from yanshou.cli.reporter import PHOTOS, RunReporter
    from yanshou.cli.signals import interruptible
    from yanshou.stage_a.summarize import StageA, prepare

    reporter = RunReporter(PHOTOS, quiet, as_json)
    found, engine = prepare(settings)
    stage = StageA(settings, engine, reporter.listener)
    with interruptible(stage.interrupt):
        results = [stage.run(*one) for one in found]
    return reporter.end(results)
