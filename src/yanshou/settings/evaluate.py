"""One `yanshou evaluate`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from yanshou.settings.base import LABELS, P_PASS, SHARED_PHOTOS, MissionFileSettings, Settings

LOWEST_LIMIT = 1e-6  # below it, the sample size that the test needs overflows


class ThresholdSettings(Settings):
    """How p_pass becomes a verdict in an evaluation, and how sure its figures are."""

    heading = "Figures"

    threshold: float | None = Field(default=None, ge=0, le=1, description=f"{P_PASS} Default: the verdicts as written.")
    max_false_release: float | None = Field(
        default=None,
        ge=LOWEST_LIMIT,
        lt=1,
        description="Per mission, find the threshold from which on groups are released, so that the false-release rate "
        "(false releases / human fails) is at most this share (0 to 1). Writes policy.json.",
    )
    max_false_block: float | None = Field(
        default=None,
        ge=LOWEST_LIMIT,
        lt=1,
        description="Per mission, find the threshold below which groups are blocked, so that the false-block rate "
        "(human passes blocked / human passes) is at most this share. Without it, nothing is blocked: what is not "
        "released goes to a person. Writes policy.json.",
    )
    pooled: bool = Field(
        default=False,
        description="One threshold per side for all missions together. Then nothing is promised about a single "
        "mission.",
    )
    require_grounded: bool = Field(
        default=False,
        description="Release and block only groups whose reason is grounded: true of the summaries, complete, and for "
        "this verdict. The others go to a person. Becomes part of policy.json.",
    )
    confidence: float = Field(
        default=0.95,
        gt=0,
        le=0.999999,
        description="Confidence of the intervals and of each promise: per mission and per side.",
    )

    @model_validator(mode="after")
    def _given_or_found(self) -> Self:
        limits = {"max_false_release": self.max_false_release, "max_false_block": self.max_false_block}
        given = [name for name, limit in limits.items() if limit is not None]
        if self.threshold is not None and given:
            raise ValueError(f"`threshold` sets a threshold, `{given[0]}` finds one. Give one of them")
        if self.pooled and not given:
            raise ValueError("`pooled` needs `max_false_release` or `max_false_block`: it pools their promises")
        if self.require_grounded and not given:
            raise ValueError(
                "`require_grounded` needs `max_false_release` or `max_false_block`: it is a condition of their policy"
            )
        return self


class EvaluateSettings(ThresholdSettings, MissionFileSettings):
    """One `yanshou evaluate`."""

    heading = "Input and output"

    verdicts: tuple[Path, ...] = Field(min_length=1, description="Files of verdicts (<mission>_verdicts.jsonl).")
    output_dir: Path = Field(description="Folder for report.html, its thumbnails, groups.csv and policy.json.")
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
    labels: tuple[Path, ...] = Field(default=(), description=f"{LABELS} A group that is unsure counts as without one.")
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
