"""One `yanshou train`: method, GRPO, schedule, files."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from yanshou.settings.base import (
    A_BASE,
    A_CHECKPOINT,
    MIN_TEMPERATURE,
    TOP_P,
    VERDICT_TOKENS,
    MissionFileSettings,
    Settings,
)

GRPO_LEARNING_RATE, SFT_LEARNING_RATE = 5e-6, 1e-4
LORA = ("last_blocks", "lora_rank", "lora_alpha", "lora_dropout")
REWARD_WEIGHTS: Mapping[str, float] = {"label": 1.0, "format": 0.2, "grounded": 0.0}  # of those in stage_b/rewards.py


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
    """How GRPO samples and compares answers. With SFT they are refused."""

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
    reward: tuple[str, ...] = Field(
        default=(),
        description="Weight of a reward: NAME=WEIGHT, for example grounded=0.3. Names: label, the human label; format, "
        "the two lines; grounded, a reason that is true and complete. 0 leaves a reward out. May be repeated. Default: "
        + ", ".join(f"{name}={weight:g}" for name, weight in REWARD_WEIGHTS.items())
        + ".",
    )

    @property
    def reward_weights(self) -> dict[str, float]:
        """The weight of every reward."""
        return {**REWARD_WEIGHTS, **dict(map(_weight, self.reward))}

    @field_validator("reward")
    @classmethod
    def _known_rewards(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        names = [_weight(text)[0] for text in given]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"{twice} has two weights. Give it one")
        return given

    @model_validator(mode="after")
    def _some_reward(self) -> Self:
        if not any(self.reward_weights.values()):
            raise ValueError(
                "`reward`: every weight is 0, so nothing can be learned. Give one of them a weight above 0"
            )
        return self


def _weight(text: str) -> tuple[str, float]:
    """Name and weight of NAME=WEIGHT. Raises ValueError."""
    name, equals, number = (part.strip() for part in text.partition("="))
    if not equals:
        raise ValueError(f"{text!r} is not NAME=WEIGHT, as in grounded=0.3")
    if name not in REWARD_WEIGHTS:
        raise ValueError(f"there is no reward {name!r}. Give one of {', '.join(REWARD_WEIGHTS)}")
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not 0 <= weight < math.inf:
        raise ValueError(f"{number!r} is not a weight of {name}. Give a number from 0, as in {name}=0.3")
    return name, weight


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

    checkpoint: str = Field(description=f"Qwen3-VL checkpoint or LoRA adapter to train: {A_CHECKPOINT}")
    base_checkpoint: str | None = Field(default=None, description=A_BASE)
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
    def unused(self) -> Mapping[str, str]:
        """The fields that do nothing with this method and this tuner, with what they are for and what is given."""
        full = dict.fromkeys(LORA, ("LoRA", "`tuner` is full")) if self.tuner == "full" else {}
        grpo = dict.fromkeys(GrpoSettings.model_fields, ("GRPO", "`sft` is given")) if self.sft else {}
        return {name: f"is for {use}, and {given}" for name, (use, given) in {**full, **grpo}.items()}

    @property
    def rate(self) -> float:
        return self.learning_rate or (SFT_LEARNING_RATE if self.sft else GRPO_LEARNING_RATE)

    @model_validator(mode="after")
    def _all_used(self) -> Self:
        for name, why in self.unused.items():
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"`{name}` {why}. Leave it out")
        return self

    @model_validator(mode="after")
    def _whole_groups(self) -> Self:
        answers = self.batch_size * self.accumulation
        if not self.sft and answers % self.generations:
            raise ValueError(
                f"`batch_size` {self.batch_size} × `accumulation` {self.accumulation} = {answers} answers per step: "
                f"not a multiple of `generations` {self.generations}"
            )
        return self
