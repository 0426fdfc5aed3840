"""`yanshou demo`."""

from pathlib import Path

from pydantic import Field

from yanshou.cli.command import command
from yanshou.cli.settings_options import settings_options
from yanshou.settings import Settings


class DemoSettings(Settings):
    """One `yanshou demo`."""

    output_dir: Path = Field(
        default=Path("demo"),
        description="Folder for photos, summaries, verdicts and the report. An old demo in it is replaced.",
    )


@command("Runs both stages on 24 drawn groups.")
@settings_options(DemoSettings)
def demo(settings: DemoSettings) -> int:
    """Draws 24 groups of photos, then summarizes, scores, judges and evaluates them with the checkpoint that ships
    with yanshou."""
    from yanshou.cli.demo_steps import run

    return run(settings.output_dir)
