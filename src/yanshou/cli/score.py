"""`yanshou score`."""

from pathlib import Path

import click
from pydantic import Field

from yanshou.cli.command import command, json_option
from yanshou.cli.messages import print_json, print_warnings
from yanshou.cli.param_types import FILE
from yanshou.cli.settings_options import SettingArgument, settings_options
from yanshou.settings import MissionFileSettings


class ScoreSettings(MissionFileSettings):
    """One `yanshou score`."""

    truth: Path = Field(
        description="Reference summaries: a JSONL file with mission, label, group_id and per_image, as synth writes it."
    )
    stage_a: tuple[Path, ...] = Field(
        min_length=1, description="Stage-A file to compare. May be repeated; further files may also follow as FILE."
    )
    missions: tuple[str, ...] = Field(
        default=(), description="Score only this mission. May be repeated. Default: all missions of --truth."
    )


@command("Compares summaries with reference summaries.")
@settings_options(ScoreSettings)
@json_option
@click.argument("more", type=FILE, nargs=-1, metavar="[FILE...]", cls=SettingArgument, text="Further Stage-A files.")
def score(settings: ScoreSettings, more: tuple[Path, ...], as_json: bool) -> None:
    """Compares summaries with reference summaries: share of identical lines; precision, recall and F1 of entries."""
    from yanshou.cli.reporter import print_tables
    from yanshou.cli.tables import score_tables
    from yanshou.evaluate import summaries
    from yanshou.missions import load_missions

    known = load_missions(settings.mission_files)
    missions = {known.get(name).name for name in settings.missions} or None
    result = summaries.score(settings.truth, [*settings.stage_a, *more], known, missions)
    print_warnings(result.warnings)
    if as_json:
        print_json(result.to_dict())
    else:
        print_tables(score_tables(result))
