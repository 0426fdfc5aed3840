"""`yanshou audit draw` and `yanshou audit estimate`."""

from pathlib import Path

from pydantic import Field

from yanshou.settings.base import MissionFileSettings, Settings


class AuditFigureSettings(Settings):
    """How sure the figures of an audit are."""

    heading = "Figures"

    confidence: float = Field(default=0.95, gt=0, le=0.999999, description="Confidence of the upper bounds.")
    limit: float = Field(
        default=0.01,
        gt=0,
        lt=1,
        description="Largest tolerable share of bad groups among the released ones (0 to 1). The output says how large "
        "a sample must be to show that it is kept; nothing else changes.",
    )


class AuditDrawSettings(AuditFigureSettings, MissionFileSettings):
    """One `yanshou audit draw`."""

    heading = "Input and output"

    decisions: tuple[Path, ...] = Field(
        min_length=1, description="Files of decisions (<mission>_decisions.jsonl), all under one policy."
    )
    size: int = Field(ge=1, description="Number of released groups to draw, over all missions.")
    seed: int = Field(default=0, description="Seed of the draw; same seed and released groups, same sample.")
    output: Path = Field(description="File to write, for example audit.json. Another audit there is not overwritten.")


class AuditEstimateSettings(AuditFigureSettings, MissionFileSettings):
    """One `yanshou audit estimate`."""

    heading = "Input and output"

    audit: Path = Field(description="File that `yanshou audit draw` wrote.")
    labels: tuple[Path, ...] = Field(
        min_length=1,
        description="Labels file (CSV or JSON Lines) with an answer for each group of the sample, later than the draw; "
        "unsure counts as fail. May be repeated.",
    )
    human_fails: int | None = Field(
        default=None,
        ge=0,
        description="Number of blocked and reviewed groups of the decisions files that people failed. Default: no "
        "false-release rate.",
    )
