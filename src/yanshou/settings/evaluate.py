"""One `yanshou evaluate`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from yanshou.settings.base import P_PASS, SHARED_PHOTOS, MissionFileSettings, Settings


class ThresholdSettings(Settings):
    """How p_pass becomes a verdict in an evaluation, and how sure its figures are."""

    heading = "Figures"

    threshold: float | None = Field(default=None, ge=0, le=1, description=f"{P_PASS} Default: the verdicts as written.")
    max_false_release: float | None = Field(
        default=None,
        ge=1e-6,  # below it, the sample size that the test needs overflows
        lt=1,
        description="Find the threshold that keeps the false-release rate (false releases / human fails) at or below "
        "this share (0 to 1).",
    )
    confidence: float = Field(
        default=0.95, gt=0, le=0.999999, description="Confidence of the intervals and of --max-false-release."
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.threshold is not None and self.max_false_release is not None:
            raise ValueError("`threshold` sets the threshold, `max_false_release` finds it. Give one of them")
        return self


class EvaluateSettings(ThresholdSettings, MissionFileSettings):
    """One `yanshou evaluate`."""

    heading = "Input and output"

    verdicts: tuple[Path, ...] = Field(min_length=1, description="Files of verdicts (<mission>_verdicts.jsonl).")
    output_dir: Path = Field(description="Folder for report.html, its thumbnails and groups.csv.")
    stage_a: tuple[Path, ...] = Field(
        default=(),
        description="Stage-A file that was judged. May be repeated. Default: the files named in the verdicts' "
        "run.json.",
    )
    only: tuple[Path, ...] = Field(
        default=(),
        description="Evaluate only the groups of this dataset file, for example val.jsonl, which the training has not "
        "seen. May be repeated.",
    )
    allow_shared_photos: bool = Field(default=False, description=SHARED_PHOTOS)
    lang: Literal["zh", "en"] = Field(default="zh", description="Language of report.html.")
    portable: bool = Field(
        default=False,
        description="Also write report.zip into the folder: the report with reduced photos, to be unpacked and opened "
        "on another PC.",
    )
    groups: Literal["worst", "all"] = Field(
        default="worst",
        description="Groups in report.zip. worst: false releases, false blocks, groups without a verdict and groups "
        "left to a person, at most 500.",
    )

    @model_validator(mode="after")
    def _groups_of_the_archive(self) -> Self:
        if self.groups != "worst" and not self.portable:
            raise ValueError("`groups` chooses the groups of report.zip. Give `portable` with it")
        return self
