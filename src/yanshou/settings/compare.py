"""One `yanshou compare`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from yanshou.settings.base import MissionFileSettings


class CompareSettings(MissionFileSettings):
    """One `yanshou compare`."""

    files: tuple[Path, ...] = Field(
        min_length=1,
        description="Two Stage-A files (<mission>_stage_a.jsonl), or two files of verdicts (<mission>_verdicts.jsonl).",
    )
    output_dir: Path = Field(description="Folder for compare.html, its thumbnails and changes.jsonl.")
    labels: tuple[Path, ...] = Field(
        default=(),
        description="Labels file (CSV or JSON Lines) for verdicts: its labels replace the folders'. May be repeated.",
    )
    max_shown: int = Field(
        default=500, ge=0, description="Changes shown in compare.html, the worst first; changes.jsonl has all of them."
    )
    lang: Literal["zh", "en"] = Field(default="zh", description="Language of compare.html.")

    @model_validator(mode="after")
    def _two_files(self) -> Self:
        if len(self.files) != 2:
            raise ValueError(f"two files are compared, A and B, and {len(self.files)} are given")
        return self
