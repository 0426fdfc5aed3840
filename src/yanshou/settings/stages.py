"""One run of `yanshou summarize` or `yanshou judge`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from yanshou.settings.base import P_PASS, SHARED_PHOTOS, MissionFileSettings, Settings
from yanshou.settings.engine import EngineSettings, VerdictEngineSettings

Layout = Literal["labelled", "flat"]
ALL = "all"  # `--mission all`: every known mission that has a folder


class PromptSettings(Settings):
    """The text that goes with each photo. None is yanshou's own."""

    heading = "Prompt"

    system_prompt: Path | None = Field(
        default=None,
        description="File with the system prompt, for a checkpoint that was trained with another one. Default: "
        "yanshou's own.",
    )
    user_prompt: Path | None = Field(
        default=None,
        description="File with the user prompt, for a checkpoint that was trained with another one. Default: "
        "yanshou's own.",
    )
    mission_focus: bool = Field(default=True, description="Append the mission's focus (重点) to the user prompt.")


class RunSettings(MissionFileSettings):
    """One run over missions, resumed by the same command."""

    limit: int | None = Field(
        default=None,
        ge=1,
        description="Use only the first N groups of each mission; groups that are done count, too. Default: all "
        "groups.",
    )
    fresh: bool = Field(default=False, description="Start over. The old files are kept under another name.")
    prune: bool = Field(
        default=False,
        description="Move stale lines, whose group is no longer in the input, to <file>.removed.jsonl. At most half of "
        "a file's lines are moved. Default: they stay, are reported, and the exit status is 3.",
    )
    prune_all: bool = Field(default=False, description="Like --prune, even where it moves more than half of the lines.")

    @property
    def prune_share(self) -> float:
        """The largest share of a file's lines that may be moved because they are stale."""
        return 1.0 if self.prune_all else 0.5 if self.prune else 0.0

    @model_validator(mode="after")
    def _prune_needs_all_groups(self) -> Self:
        if self.prune_share and self.limit is not None:
            raise ValueError("`prune` needs all groups of the input, and `limit` leaves some out. Give one of the two")
        return self


class StageASettings(RunSettings):
    """One `yanshou summarize`."""

    input_dir: Path | None = Field(
        default=None,
        description="Folder of photos: <mission>/{审核通过|审核不通过}/<group>/*.jpg. Default: none, and "
        "--photos is needed.",
    )
    photos: tuple[Path, ...] = Field(
        default=(),
        description="Photo, or folder that is searched for photos with all its sub-folders. Replaces --input-dir, for "
        "one --mission. Photos are grouped by the id in their names, else by their folders; the groups have no labels. "
        "May be repeated.",
    )
    output_dir: Path = Field(description="Folder for <mission>_stage_a.jsonl; an unfinished run in it is resumed.")
    missions: tuple[str, ...] = Field(
        min_length=1,
        description='Mission to summarize, by name or alias; "all" takes every known mission that has a folder. '
        "May be repeated.",
    )
    layout: Layout | None = Field(
        default=None,
        description="Folders under --input-dir. labelled: <mission>/<label>/<group>/. flat: new jobs without labels, "
        "<mission>/<group>/. Default: labelled.",
    )
    allow_truncated: bool = Field(
        default=False, description="Accept answers cut off at --max-new-tokens instead of failing their groups."
    )
    engine: EngineSettings
    prompts: PromptSettings = PromptSettings()

    @model_validator(mode="after")
    def _one_input(self) -> Self:
        if self.input_dir is None and not self.photos:
            raise ValueError("Missing option `input_dir` or `photos`: a folder of missions, or photos of one mission")
        if self.input_dir is not None and self.photos:
            raise ValueError("`input_dir` holds folders of missions, and `photos` has none. Give one of the two")
        if self.photos and self.layout is not None:
            raise ValueError("`layout` is about folders of missions, and `photos` has none. Leave it out")
        if self.photos and self.prune_share:
            raise ValueError("`prune` needs all groups of the input, and `photos` are some. Leave it out")
        if self.photos and (len(self.missions) != 1 or ALL in self.missions):
            raise ValueError("`photos` are photos of one mission: give exactly one `missions`, by its name")
        return self


class JudgeSettings(RunSettings):
    """One `yanshou judge`."""

    stage_a: tuple[Path, ...] = Field(min_length=1, description="Stage-A files (<mission>_stage_a.jsonl) to judge.")
    output_dir: Path = Field(description="Folder for <mission>_verdicts.jsonl; an unfinished run in it is resumed.")
    threshold: float | None = Field(
        default=None, ge=0, le=1, description=f"{P_PASS} Default: the verdict is the first line of the answer."
    )
    policy: Path | None = Field(
        default=None,
        description="policy.json of `yanshou evaluate --max-false-release`. Also writes <mission>_decisions.jsonl: "
        "release, block or review for every group. Checkpoint, engine and settings of both stages must be those that "
        "the policy was made with.",
    )
    allow_shared_photos: bool = Field(default=False, description=SHARED_PHOTOS)
    engine: VerdictEngineSettings | EngineSettings | None  # None: the missions' rules, no model

    @model_validator(mode="after")
    def _rules_have_no_probability(self) -> Self:
        if self.engine is None and self.threshold is not None:
            raise ValueError("`threshold` needs the p_pass of a model, and the rules give none. Give a checkpoint")
        if self.engine is None and self.policy is not None:
            raise ValueError("`policy` needs the p_pass of a model, and the rules give none. Give a checkpoint")
        if self.threshold is not None and self.policy is not None:
            raise ValueError("`policy` has thresholds of its own, and `threshold` is another one. Give one of the two")
        return self
