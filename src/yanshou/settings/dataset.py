"""One `yanshou dataset`."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from yanshou.settings.base import A_BASE, LABELS, SHARED_PHOTOS, MissionFileSettings

REPEATS = 4


class DatasetSettings(MissionFileSettings):
    """One `yanshou dataset`."""

    stage_a: tuple[Path, ...] = Field(min_length=1, description="Labelled Stage-A files (<mission>_stage_a.jsonl).")
    output_dir: Path = Field(description="Folder for train.jsonl, val.jsonl and dataset.card.json.")
    labels: tuple[Path, ...] = Field(
        default=(), description=f"{LABELS} Groups that are unsure or still without a label are left out."
    )
    val_fraction: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Share of the groups of each mission and label that go to val.jsonl; at least one group does. Each "
        "group id is in one of the two files only.",
    )
    seed: int = Field(default=0, description="Seed of the split; same seed and input, same files.")
    max_prompt_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Leave out groups whose prompt has more tokens than this, and list them. Default: no limit.",
    )
    checkpoint: str = Field(
        default="demo", description="Checkpoint whose chat template and tokenizer count prompt tokens."
    )
    base_checkpoint: str | None = Field(default=None, description=A_BASE)
    verdicts: tuple[Path, ...] = Field(
        default=(),
        description="File of verdicts on these groups, by the checkpoint to be trained. Groups that it judges wrong "
        "appear several times in train.jsonl. May be repeated.",
    )
    repeats: int = Field(
        default=REPEATS,
        ge=1,
        le=100,
        description="How often a group that --verdicts judges wrong appears in train.jsonl.",
    )
    allow_shared_photos: bool = Field(default=False, description=SHARED_PHOTOS)

    @model_validator(mode="after")
    def _repeats_of_verdicts(self) -> Self:
        if self.repeats != REPEATS and not self.verdicts:
            raise ValueError("`repeats` is about groups that are judged wrong. Give the files of `verdicts`")
        return self
