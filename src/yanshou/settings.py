"""Every setting of a run, with its unit, its default and what it does: the one place.

The command line makes its options from these models (`yanshou.cli.settings_options`): a field's description is the
option's help text, and `heading` is the section of `--help` in which the options of a class are listed. A description
can be read alone: what the setting is, its unit, when to change it, what a default of None means. Commands that no run
depends on (score, synth, doctor …) have their models in their own modules.

A model's own check names fields in backticks; on the command line they become option names.
"""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ExifMode = Literal["apply", "ignore"]
Layout = Literal["labelled", "flat"]
ALL = "all"  # `--mission all`: every known mission that has a folder

BATCH_SIZE = 8  # photos per batch of the transformers engine
MIN_TEMPERATURE = 0.01  # the lowest temperature that is not greedy: below it, scores divided by it overflow
VERDICT_TOKENS = 128  # max_new_tokens of a verdict
GRPO_LEARNING_RATE, SFT_LEARNING_RATE = 5e-6, 1e-4

# Descriptions of settings that several models have.
A_CHECKPOINT = 'a folder, a Hugging Face Hub id, or "demo", the small one that ships with yanshou.'
TOP_P = "Nucleus sampling: keep the smallest set of tokens with this probability mass; 1 keeps all."
P_PASS = "The verdict is pass exactly when p_pass, the probability of 通过, is at least this (0 to 1)."


class Settings(BaseModel):
    """Frozen, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    heading: ClassVar[str] = "Input and output"


class PhotoSettings(Settings):
    """How a photo becomes pixels."""

    heading = "Photos"

    max_pixels: int = Field(
        default=786_432,
        ge=1024,
        description="Maximum height × width of a photo after resizing, in pixels; 1,024 pixels are one visual token. "
        "Lower it for more speed and less detail.",
    )
    min_pixels: int = Field(
        default=65_536, ge=1024, description="Minimum height × width in pixels; smaller photos are enlarged."
    )
    exif: ExifMode = Field(
        default="apply",
        description="apply: turn each photo upright as its EXIF orientation says. ignore: keep the pixels as stored.",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_pixels > self.max_pixels:
            raise ValueError(f"`min_pixels` {self.min_pixels} is larger than `max_pixels` {self.max_pixels}")
        return self


class SamplingSettings(Settings):
    """How the next token is chosen. A checkpoint's own generation_config.json gives only its stop tokens."""

    heading = "Sampling"

    max_new_tokens: int = Field(
        default=256,
        ge=1,
        description="Maximum new tokens per answer. A longer answer fails its group. To repair such groups, raise "
        "this and run the same command again: only they are redone.",
    )
    temperature: float = Field(
        default=0.0, ge=0, description="Sampling temperature; 0 is greedy: always the most likely token."
    )
    top_p: float = Field(default=1.0, gt=0, le=1, description=TOP_P)
    repetition_penalty: float = Field(
        default=1.0, gt=0, description="Repetition penalty; 1 disables it, larger values discourage repeated tokens."
    )
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="Seed of the sampling; each photo draws from its own random stream."
    )

    @field_validator("temperature")
    @classmethod
    def _greedy_or_warm(cls, temperature: float) -> float:
        if 0 < temperature < MIN_TEMPERATURE:
            raise ValueError(f"give 0 (greedy) or at least {MIN_TEMPERATURE}; values between them overflow")
        return temperature


class EngineSettings(Settings):
    """What runs the checkpoint, and how many requests at once."""

    heading = "Model"

    checkpoint: str = Field(description=f"Qwen3-VL checkpoint: {A_CHECKPOINT}")
    engine: str = Field(
        default="auto",
        description="auto, continuous, transformers or scripted. auto: continuous on CUDA, transformers on the CPU. "
        "scripted answers from a JSON file, for tests.",
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N. auto: the first GPU, else the CPU.")
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="Maximum number of requests per batch: photos for summarize, groups for judge. "
        f"Default: {BATCH_SIZE} (transformers engine), all KV slots (continuous engine).",
    )
    gpu_memory: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="Share of GPU memory that the continuous engine uses (0 to 1). Lower it if other processes "
        "use the GPU.",
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        default="auto", description="Type of weights and activations. auto: bfloat16 on CUDA, float32 on the CPU."
    )
    attn: Literal["auto", "sdpa", "flash_attention_2", "eager"] = Field(
        default="auto",
        description="Attention of the transformers engine. auto: FlashAttention 2 where installed, else SDPA.",
    )
    photo: PhotoSettings = PhotoSettings()
    sampling: SamplingSettings = SamplingSettings()


class VerdictEngineSettings(EngineSettings):
    """An engine for verdicts, which are shorter than summaries."""

    sampling: SamplingSettings = SamplingSettings(max_new_tokens=VERDICT_TOKENS)


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


class MissionFileSettings(Settings):
    """Missions beside those that ship with yanshou."""

    mission_files: tuple[Path, ...] = Field(
        default=(), description="TOML file of an additional mission, or a folder of such files. May be repeated."
    )


class RunSettings(MissionFileSettings):
    """One run over missions, resumed by the same command."""

    limit: int | None = Field(
        default=None,
        ge=1,
        description="Use only the first N groups of each mission; groups that are done count, too. Default: all "
        "groups.",
    )
    fresh: bool = Field(default=False, description="Start over. The old files are kept under another name.")


class StageASettings(RunSettings):
    """One `yanshou summarize`."""

    input_dir: Path = Field(description="Folder of photos: <mission>/{审核通过|审核不通过}/<group>/*.jpg.")
    output_dir: Path = Field(description="Folder for <mission>_stage_a.jsonl; an unfinished run in it is resumed.")
    missions: tuple[str, ...] = Field(
        min_length=1,
        description='Mission to summarize, by name or alias; "all" takes every known mission that has a folder. '
        "May be repeated.",
    )
    layout: Layout = Field(
        default="labelled",
        description="Folders under --input-dir. labelled: <mission>/<label>/<group>/. flat: new jobs without labels, "
        "<mission>/<group>/.",
    )
    allow_truncated: bool = Field(
        default=False, description="Accept answers cut off at --max-new-tokens instead of failing their groups."
    )
    engine: EngineSettings
    prompts: PromptSettings = PromptSettings()


class JudgeSettings(RunSettings):
    """One `yanshou judge`."""

    stage_a: tuple[Path, ...] = Field(min_length=1, description="Stage-A files (<mission>_stage_a.jsonl) to judge.")
    output_dir: Path = Field(description="Folder for <mission>_verdicts.jsonl; an unfinished run in it is resumed.")
    threshold: float | None = Field(
        default=None, ge=0, le=1, description=f"{P_PASS} Default: the verdict is the first line of the answer."
    )
    engine: VerdictEngineSettings | EngineSettings | None  # None: the missions' rules, no model

    @model_validator(mode="after")
    def _rules_have_no_probability(self) -> Self:
        if self.engine is None and self.threshold is not None:
            raise ValueError("`threshold` needs the p_pass of a model, and the rules give none. Give a checkpoint")
        return self


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
    lang: Literal["zh", "en"] = Field(default="zh", description="Language of report.html.")


class DatasetSettings(MissionFileSettings):
    """One `yanshou dataset`."""

    stage_a: tuple[Path, ...] = Field(min_length=1, description="Labelled Stage-A files (<mission>_stage_a.jsonl).")
    output_dir: Path = Field(description="Folder for train.jsonl, val.jsonl and dataset.card.json.")
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
    verdicts: tuple[Path, ...] = Field(
        default=(),
        description="File of verdicts on these groups, by the checkpoint to be trained. Groups that it judges wrong "
        "appear several times in train.jsonl. May be repeated.",
    )
    repeats: int = Field(
        default=4,
        ge=1,
        le=100,
        description="How often a group that is judged wrong in --verdicts appears in train.jsonl.",
    )


class MethodSettings(Settings):
    """What is trained, and by which method."""

    heading = "Method"

    sft: bool = Field(
        default=False,
        description="Supervised fine-tuning (SFT) instead of GRPO. The answers are the human labels, with reasons from "
        "the missions' rules.",
    )
    tuner: Literal["lora", "full"] = Field(
        default="lora",
        description="lora: adapters in the last blocks of the language model. full: the whole language model. The "
        "vision tower is never trained.",
    )
    last_blocks: int = Field(default=4, ge=1, description="Number of blocks, counted from the last, that get LoRA.")
    lora_rank: int = Field(default=8, ge=1, description="LoRA rank.")
    lora_alpha: int = Field(default=16, ge=1, description="LoRA alpha: updates are scaled by alpha / rank.")
    lora_dropout: float = Field(default=0.05, ge=0, lt=1, description="LoRA dropout probability.")


class GrpoSettings(Settings):
    """How GRPO samples and compares answers. SFT ignores these."""

    heading = "GRPO"

    beta: float = Field(
        default=0.04, ge=0, description="Weight of the KL divergence from the initial checkpoint; 0 disables it."
    )
    generations: int = Field(
        default=4, ge=2, description="Answers sampled per group of photos; their rewards are compared with each other."
    )
    max_new_tokens: int = Field(default=VERDICT_TOKENS, ge=1, description="Maximum new tokens per sampled answer.")
    temperature: float = Field(default=0.7, ge=MIN_TEMPERATURE, description="Sampling temperature of the answers.")
    top_p: float = Field(default=0.9, gt=0, le=1, description=TOP_P)
    dynamic_sampling: bool = Field(
        default=True, description="Replace groups whose answers all get the same reward: nothing is learned from them."
    )


class ScheduleSettings(Settings):
    """How long and in which steps a training runs."""

    heading = "Schedule"

    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description=f"Learning rate. Default: {GRPO_LEARNING_RATE:g}; with --sft {SFT_LEARNING_RATE:g}.",
    )
    batch_size: int = Field(
        default=8, ge=1, description="Answers (with --sft: rows) per batch on one device. Lower it to save memory."
    )
    accumulation: int = Field(default=4, ge=1, description="Batches per optimizer step (gradient accumulation).")
    epochs: float = Field(default=1.0, gt=0, description="Passes over the training file.")
    max_steps: int | None = Field(
        default=None, ge=1, description="Number of optimizer steps; overrides --epochs. Default: --epochs decides."
    )
    save_steps: int = Field(
        default=50,
        ge=1,
        description="Steps between two saved checkpoints; an interrupted training loses at most this many.",
    )
    keep_checkpoints: int = Field(default=3, ge=1, description="Saved checkpoints to keep; older ones are deleted.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of the data order and of the sampled answers.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="Where to train. auto: the GPU if there is one, else the CPU. With NPROC_PER_NODE=N in the "
        "environment: on N GPUs.",
    )


class TrainSettings(MethodSettings, GrpoSettings, ScheduleSettings, MissionFileSettings):
    """One `yanshou train`: ms-swift's GRPO, or with `sft` its supervised fine-tuning."""

    heading = "Input and output"

    checkpoint: str = Field(description=f"Qwen3-VL checkpoint to train: {A_CHECKPOINT}")
    train_file: Path = Field(description="train.jsonl of `yanshou dataset`.")
    val_file: Path | None = Field(
        default=None, description="val.jsonl of `yanshou dataset`, evaluated at every save. Default: no validation."
    )
    output_dir: Path = Field(
        description="Folder for the trained checkpoint (final/) and its curves; an unfinished training in it is "
        "resumed."
    )
    fresh: bool = Field(default=False, description="Start over. The old training is kept under another name.")
    extra_args: tuple[str, ...] = Field(
        default=(), description="Arguments for swift; they come after all others and are passed on unchanged."
    )

    @property
    def rate(self) -> float:
        return self.learning_rate or (SFT_LEARNING_RATE if self.sft else GRPO_LEARNING_RATE)

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        answers = self.batch_size * self.accumulation
        if not self.sft and answers % self.generations:
            raise ValueError(
                f"`batch_size` {self.batch_size} × `accumulation` {self.accumulation} = {answers} answers per step: "
                f"not a multiple of `generations` {self.generations}"
            )
        return self
