"""Every setting of a run and its default: the one place. The command line, the API and run.json read them here."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ExifMode = Literal["apply", "ignore"]
Layout = Literal["labelled", "flat"]
ALL = "all"  # `--mission all`: every known mission that has a folder


COLDEST = 0.01  # the lowest temperature that is not greedy


class Settings(BaseModel):
    """Frozen, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PhotoSettings(Settings):
    """How a photo becomes pixels."""

    exif: ExifMode = "apply"  # turn the photo as its EXIF orientation says, once, at load
    max_pixels: int = Field(default=786_432, ge=1024)  # height × width after resizing; 1,024 pixels = 1 visual token
    min_pixels: int = Field(default=65_536, ge=1024)  # smaller photos are enlarged to this

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_pixels > self.max_pixels:
            raise ValueError(f"min_pixels {self.min_pixels} is larger than max_pixels {self.max_pixels}")
        return self


class SamplingSettings(Settings):
    """How the next token is chosen. A checkpoint's own generation_config.json gives only its stop tokens."""

    max_new_tokens: int = Field(default=256, ge=1)
    temperature: float = Field(default=0.0, ge=0)  # 0 is greedy
    top_p: float = Field(default=1.0, gt=0, le=1)
    repetition_penalty: float = Field(default=1.0, gt=0)
    seed: int = Field(default=0, ge=0, lt=2**63)  # of the run; each photo draws from a stream of its own

    @field_validator("temperature")
    @classmethod
    def _greedy_or_warm(cls, temperature: float) -> float:
        if 0 < temperature < COLDEST:
            raise ValueError(f"0 is greedy; otherwise at least {COLDEST}, below which scores overflow")
        return temperature


class EngineSettings(Settings):
    """What runs the checkpoint, and how many photos at once."""

    checkpoint: str  # a folder, a hub id, or "demo"
    engine: str = "transformers"
    device: str = "auto"  # auto, cpu, cuda, cuda:N
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"  # auto: bfloat16 on CUDA, float32 on the CPU
    attn: Literal["auto", "sdpa", "flash_attention_2", "eager"] = "auto"  # auto: FlashAttention 2 where installed
    batch_size: int = Field(default=8, ge=1, le=65_536)  # photos at once, filled across groups; 1 is one by one
    photo: PhotoSettings = PhotoSettings()
    sampling: SamplingSettings = SamplingSettings()


class PromptSettings(Settings):
    """Which words go beside the photo. None takes yanshou's own."""

    system_prompt: Path | None = None
    user_prompt: Path | None = None
    mission_focus: bool = True


class StageASettings(Settings):
    """One `yanshou summarize`."""

    input_dir: Path
    output_dir: Path
    missions: tuple[str, ...] = Field(min_length=1)  # names or aliases, or (ALL,)
    layout: Layout = "labelled"
    mission_files: tuple[Path, ...] = ()
    limit: int | None = Field(default=None, ge=1)  # the first N groups of each mission, done ones counted
    fresh: bool = False  # move the old files aside and start over
    allow_truncated: bool = False  # accept answers cut off at max_new_tokens
    engine: EngineSettings
    prompts: PromptSettings = PromptSettings()


VERDICT_TOKENS = 128  # max_new_tokens of a verdict


class JudgeSettings(Settings):
    """One `yanshou judge`."""

    stage_a: tuple[Path, ...] = Field(min_length=1)
    output_dir: Path
    engine: EngineSettings | None  # None: the missions' rules, no model
    threshold: float | None = Field(default=None, ge=0, le=1)  # pass is p_pass ≥ this; None: what the first line says
    mission_files: tuple[Path, ...] = ()
    limit: int | None = Field(default=None, ge=1)  # the first N groups of each mission, done ones counted
    fresh: bool = False  # move the old files aside and start over

    @model_validator(mode="after")
    def _rules_have_no_probability(self) -> Self:
        if self.engine is None and self.threshold is not None:
            raise ValueError("--threshold asks for a model's p_pass; --rules has none. Give one of the two")
        return self


class EvaluateSettings(Settings):
    """One `yanshou evaluate`."""

    threshold: float | None = Field(default=None, ge=0, le=1)  # pass is p_pass ≥ this; None: the verdicts as written
    max_false_release: float | None = Field(default=None, gt=0, lt=1)  # false releases / human fails: finds a threshold
    confidence: float = Field(default=0.95, gt=0, lt=1)  # of the intervals, and of what max_false_release promises

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.threshold is not None and self.max_false_release is not None:
            raise ValueError("threshold and max_false_release: one sets P, the other finds it. Give one of them")
        return self


class DatasetSettings(Settings):
    """One `yanshou dataset`."""

    stage_a: tuple[Path, ...] = Field(min_length=1)
    output_dir: Path
    val_fraction: float = Field(default=0.1, gt=0, lt=1)  # of the groups of each mission and label
    seed: int = 0  # draws the group ids of val.jsonl
    max_prompt_tokens: int | None = Field(default=None, ge=1)  # longer groups are left out, never cut; None: no limit
    checkpoint: str = "demo"  # its chat template and tokenizer count the prompts' tokens
    mission_files: tuple[Path, ...] = ()
