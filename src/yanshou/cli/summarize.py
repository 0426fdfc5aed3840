"""`yanshou summarize`."""

from yanshou.cli.command import command, json_option, quiet_option
from yanshou.cli.messages import print_warnings
from yanshou.cli.settings_options import given_options, settings_options
from yanshou.settings import StageASettings

DRAWN = ("--top-p", "--seed")  # options of tokens that are drawn


@command("Stage-A: one summary line per photo.")
@settings_options(StageASettings)
@quiet_option
@json_option
def summarize(settings: StageASettings, quiet: bool, as_json: bool) -> int:
    """Stage-A: one Chinese summary line per photo, one JSONL line per group."""
    from yanshou.cli.reporter import PHOTOS, RunReporter
    from yanshou.cli.signals import interruptible
    from yanshou.stage_a.summarize import prepare

    print_warnings(_unused_sampling(settings))
    reporter = RunReporter(PHOTOS, quiet, as_json)
    stage = prepare(settings, listener=reporter.listener)
    with interruptible(stage.interrupt):
        results = stage.run()
    return reporter.end(results)


def _unused_sampling(settings: StageASettings) -> list[str]:
    """Not refused: commands for other temperatures have them, too, and the run file records them."""
    given = [option for option in given_options("engine") if option in DRAWN]
    if settings.engine.sampling.temperature > 0 or not given:
        return []
    have = "have" if len(given) > 1 else "has"
    return [f"{' and '.join(given)} {have} no effect: --temperature is 0, which takes the most likely token"]
