"""`yanshou synth`."""

from pathlib import Path

from pydantic import Field

from yanshou.cli.command import command, quiet_option
from yanshou.cli.messages import say
from yanshou.cli.settings_options import settings_options
from yanshou.settings import ALL, MissionFileSettings


class SynthSettings(MissionFileSettings):
    """One `yanshou synth`."""

    output_dir: Path = Field(description="New or empty folder for the photos and truth.jsonl.")
    groups: int = Field(ge=1, description="Number of groups in all, spread over the missions.")
    seed: int = Field(default=0, description="Seed of the drawings; same seed, same bytes.")
    missions: tuple[str, ...] = Field(
        default=(ALL,), min_length=1, description='Draw only this mission; "all" draws every one. May be repeated.'
    )


@command("Draws photos whose true summaries and labels are known.")
@settings_options(SynthSettings)
@quiet_option
def synth(settings: SynthSettings, quiet: bool) -> None:
    """Draws groups of photos (<mission>/<label>/<group>/*.jpeg), and writes their true summaries and labels
    (truth.jsonl)."""
    from itertools import count

    from yanshou.cli.progress import progress
    from yanshou.missions import load_missions
    from yanshou.world.synth import synthesize

    known = load_missions(settings.mission_files)
    named = [known.get(name) for name in settings.missions if name != ALL]
    missions = list(known) if ALL in settings.missions else named
    with progress("drawing", "groups", shown=not quiet) as meter:
        drawn = count(1)
        truth = synthesize(
            settings.output_dir, settings.groups, settings.seed, missions,
            progress=lambda record: meter.update(next(drawn), settings.groups),
        )  # fmt: skip
    if not quiet:
        say(f"{settings.groups} groups and their truth: {truth}")
