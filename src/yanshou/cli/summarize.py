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
    from yanshou.stage_a.summarize import prepare

    reporter = RunReporter(PHOTOS, quiet, as_json)
    stage = prepare(settings, listener=reporter.listener)
    with interruptible(stage.interrupt):
        results = stage.run()
    return reporter.end(results)
