"""Every setting of a run and its default: the one place. The command line, the API and run.json read them here."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

EVERY_S = 30.0  # between two plain lines

ExifMode = Literal["apply", "ignore"]
Layout = Literal["labelled", "flat"]
ALL = "all"  # `--mission all`: every known mission that has a folder


BATCH_SIZE = 8  # photos a batch of the transformers engine
MIN_TEMPERATURE = 0.01  # the lowest temperature that is not greedy


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
        if 0 < temperature < MIN_TEMPERATURE:
            raise ValueError(f"0 is greedy; otherwise at least {MIN_TEMPERATURE}, below which scores overflow")
        return temperature


class EngineSettings(Settings):
    """What runs the checkpoint, and how many photos at once."""

    checkpoint: str  # a folder, a hub id, or "demo"
    engine: str = "auto"  # continuous on CUDA, transformers on the CPU; or one of ENGINES by name
    device: str = "auto"  # auto, cpu, cuda, cuda:N
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"  # auto: bfloat16 on CUDA, float32 on the CPU
    attn: Literal["auto", "sdpa", "flash_attention_2", "eager"] = "auto"  # auto: FlashAttention 2 where installed
    batch_size: int | None = Field(default=None, ge=1, le=65_536)  # photos at once, whatever group they are of. None:
    # BATCH_SIZE by the transformers engine, where 1 is one by one; by the continuous one as many as the memory holds
    gpu_memory: float = Field(default=0.9, gt=0, le=1)  # share of it that the continuous engine takes
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
    max_false_release: float | None = Field(default=None, ge=1e-6, lt=1)  # false releases / human fails: finds P.
    # At least 1e-6: below that the human fails it takes, more than anybody has, overflow
    confidence: float = Field(
        default=0.95, gt=0, le=0.999999
    )  # of the intervals, and of what max_false_release promises

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
    verdicts: tuple[Path, ...] = ()  # on these groups, by the checkpoint that is to be trained
    repeats: int = Field(default=4, ge=1, le=100)  # times that a group which `verdicts` get wrong stands in train.jsonl
    mission_files: tuple[Path, ...] = ()


GRPO_RATE, SFT_RATE = 5e-6, 1e-4  # learning rates


class TrainSettings(Settings):
    """One `yanshou train`: ms-swift's GRPO, or with `sft` its supervised fine-tuning."""

    checkpoint: str  # a folder, a hub id, or "demo"
    train_file: Path
    val_file: Path | None = None  # judged at every save; None: never
    output_dir: Path
    sft: bool = False
    tuner: Literal["lora", "full"] = "lora"  # full: the whole language model; vision tower and aligner stay either way
    last_blocks: int = Field(default=4, ge=1)  # LoRA goes into the last K blocks of the language model
    lora_rank: int = Field(default=8, ge=1)
    lora_alpha: int = Field(default=16, ge=1)
    lora_dropout: float = Field(default=0.05, ge=0, lt=1)
    learning_rate: float | None = Field(default=None, gt=0)  # None: GRPO_RATE or SFT_RATE
    beta: float = Field(default=0.04, ge=0)  # weight of the KL to the checkpoint trained from; 0: no KL
    generations: int = Field(default=4, ge=2)  # answers a group of photos; they are compared with each other
    max_new_tokens: int = Field(default=VERDICT_TOKENS, ge=1)
    temperature: float = Field(default=0.7, ge=MIN_TEMPERATURE)
    top_p: float = Field(default=0.9, gt=0, le=1)
    dynamic_sampling: bool = True  # groups whose answers all earn the same are replaced by others
    batch_size: int = Field(default=8, ge=1)  # answers (SFT: rows) at once on a device
    accumulation: int = Field(default=4, ge=1)  # batches a step
    epochs: float = Field(default=1.0, gt=0)
    max_steps: int | None = Field(default=None, ge=1)  # instead of epochs
    save_steps: int = Field(default=50, ge=1)  # an interrupted training loses at most so many steps
    keep_checkpoints: int = Field(default=3, ge=1)  # older ones are deleted
    seed: int = Field(default=0, ge=0, lt=2**31)
    device: Literal["auto", "cpu", "cuda"] = "auto"  # NPROC_PER_NODE spreads a training over several GPUs
    mission_files: tuple[Path, ...] = ()  # their rules write the reasons of `sft`
    fresh: bool = False  # move the old training aside and start over
    extra_args: tuple[str, ...] = ()  # go to swift unchanged, after all others

    @property
    def rate(self) -> float:
        return self.learning_rate or (SFT_RATE if self.sft else GRPO_RATE)

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        answers = self.batch_size * self.accumulation
        if not self.sft and answers % self.generations:
            raise ValueError(
                f"--batch-size {self.batch_size} × --accumulation {self.accumulation} = {answers} answers a step: no "
                f"multiple of --generations {self.generations}"
            )
        return self
