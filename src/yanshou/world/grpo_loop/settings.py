"""The loop's settings: each field is one option of the command."""

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, field_validator, model_validator

# fp32 without autocast: bf16 weights would lose small updates, and the speed of so small a model is bound by the number
# of kernel launches.
SWIFT_ARGS = (
    "--torch_dtype float32 --fp16 false --bf16 false --gradient_checkpointing false --warmup_ratio 0.05 "
    "--log_completions false"
)
DATA = {
    *("checkpoint", "initial_steps", "initial_batch_size", "train_groups", "held_groups", "other_groups"),
    *("train_world", "held_world", "repeats"),
}
TRAINING = {
    *("steps", "generations", "answers", "micro_batch", "learning_rate", "tuner", "beta", "temperature"),
    *("grounded", "max_new_tokens", "swift_args", "train_args"),
}


class Settings(BaseModel):
    """What one folder's loop does. DATA and TRAINING stay the same in every call for the folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    output_dir: Path = Field(Path("runs/demo_grpo"), description="Folder of all files; an unfinished loop resumes.")
    device: Literal["cuda", "cpu"] = Field("cuda", description="On cuda, seeds and evaluations run at the same time.")
    seeds: str = Field("0 1", description="Seeds, one training each.")
    until: Literal["figures", "dataset"] = Field("figures", description="dataset: stop before the training.")
    checkpoint: str | None = Field(
        None, description="Initial checkpoint, of the demo checkpoint's shapes. Default: made from the demo checkpoint."
    )
    initial_steps: PositiveInt = Field(
        5000, description="Training steps that make the demo checkpoint a mediocre judge again."
    )
    initial_batch_size: PositiveInt = Field(128, description="Photos or verdicts per initial step.")
    initial_exam: PositiveInt = Field(128, description="Photos of the evaluation after the initial steps.")
    train_groups: PositiveInt = Field(4000, description="Drawn groups for training.")
    held_groups: PositiveInt = Field(1000, description="Drawn groups for the figures of the verdicts.")
    other_groups: PositiveInt = Field(330, description="Drawn groups for the score of the summaries before and after.")
    train_world: int = Field(41, description="Seed of the training groups' photos.")
    held_world: int = Field(42, description="Seed of the held-out groups' photos.")
    batch_size: PositiveInt = Field(128, description="Photos or groups per batch of an engine.")
    repeats: PositiveInt = Field(
        4, description="Copies of a training group that the initial checkpoint judges wrongly."
    )
    steps: PositiveInt = Field(40, description="GRPO steps.")
    generations: PositiveInt = Field(8, description="Answers per group.")
    answers: PositiveInt = Field(512, description="Answers per step.")
    micro_batch: PositiveInt = Field(
        512, description="Answers generated at once. Each batch takes as long as its longest answer."
    )
    learning_rate: PositiveFloat = Field(1e-4, description="Learning rate of GRPO.")
    tuner: Literal["full", "lora"] = Field("full", description="Weights that are trained.")
    beta: float = Field(0.04, description="Weight of the KL term.")
    temperature: PositiveFloat = Field(1.0, description="Sampling temperature of the answers.")
    grounded: float = Field(0.3, description="Weight of the reward for true and complete reasons.")
    max_new_tokens: PositiveInt = Field(128, description="Maximum tokens of an answer.")
    save_steps: PositiveInt = Field(10, description="Steps between checkpoints of a training.")
    swift_args: str = Field(SWIFT_ARGS, description="Arguments for ms-swift.")
    train_args: tuple[str, ...] = ()

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: str) -> str:
        each = seeds.split()
        if not all(seed.isdecimal() for seed in each) or len(set(each)) < len(each):
            raise ValueError("give different whole numbers with spaces between them, such as '0 1'")
        return seeds

    @model_validator(mode="after")
    def _check_answers(self) -> Self:
        if self.answers % self.micro_batch:
            raise ValueError(
                f"--answers {self.answers} is not a multiple of --micro-batch {self.micro_batch}. Change one of the two"
            )
        return self

    def subset(self, names: set[str]) -> dict[str, Any]:
        """These settings as JSON values, in the order of the fields."""
        values: dict[str, Any] = json.loads(self.model_dump_json(include=names))
        return values
