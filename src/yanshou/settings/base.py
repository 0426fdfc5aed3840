"""What all settings models share."""

from pathlib import Path
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from yanshou.settings.local_path import refuse_address

# Descriptions of settings that several models have.
A_CHECKPOINT = 'a folder, a Hugging Face Hub id, or "demo", the small one that ships with yanshou.'
A_BASE = (
    "Checkpoint on which the adapter given as --checkpoint was trained: a folder or a Hugging Face Hub id. Default: "
    "the folder that the adapter names."
)
TOP_P = "Nucleus sampling: keep the smallest set of tokens with this probability mass; 1 keeps all."
P_PASS = "The verdict is pass exactly when p_pass, the probability of 通过, is at least this (0 to 1)."
SHARED_PHOTOS = (
    "Accept photos that lines of both labels name, and count them. Default: such lines are refused, because one of the "
    "labels is wrong."
)
LABELS = (
    "Labels file (CSV or JSON Lines): what people say about groups after the folders were labelled. Its latest row "
    "about a group replaces the folder's label. May be repeated."
)

VERDICT_TOKENS = 128  # max_new_tokens of a verdict
MIN_TEMPERATURE = 0.01  # the lowest temperature that is not greedy: below it, scores divided by it overflow


class Settings(BaseModel):
    """Frozen, and a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    heading: ClassVar[str] = "Input and output"
    needs_one_of: ClassVar[tuple[str, ...]] = ()  # fields, with those of nested models; without any there is no model

    @field_validator("*", mode="before")
    @classmethod
    def _is_on_this_machine(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        if Path in (annotation, *get_args(annotation)):
            for path in value if isinstance(value, list | tuple) else [value]:
                refuse_address(path)
        return value


class MissionFileSettings(Settings):
    """Missions beside those that ship with yanshou."""

    mission_files: tuple[Path, ...] = Field(
        default=(), description="TOML file of an additional mission, or a folder of such files. May be repeated."
    )
