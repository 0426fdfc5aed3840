"""The lines that yanshou writes and reads.

One line of `<mission>_stage_a.jsonl` (the eight keys, in this order):

    {"group_id": "QC-TEMP-20241022-0015062", "mission": "挡风板安装检查", "label": "pass",
     "images": ["/data/挡风板安装检查/审核通过/QC-TEMP-20241022-0015062/QC-TEMP-20241022-0015062_4176693.jpeg"],
     "per_image": {"图片_1": "挡风板/华为,只显示部分,安装方向正确×1"},
     "raw_texts": ["挡风板/华为,只显示部分,安装方向正确×1<|im_end|>"],
     "clean_texts": ["挡风板/华为,只显示部分,安装方向正确×1"], "timestamp": "2026-01-18T09:30:00+08:00"}

One line of `<mission>_verdicts.jsonl` (Stage-B); `p_pass` and `raw_text` are null where a rule decided:

    {"group_id": "QC-TEMP-20241022-0015062", "mission": "挡风板安装检查", "label": "pass", "verdict": "pass",
     "reason": "有图片_1 挡风板/华为,只显示部分,安装方向正确×1", "p_pass": 0.97,
     "raw_text": "通过\n理由: 有图片_1 挡风板/华为,只显示部分,安装方向正确×1<|im_end|>",
     "timestamp": "2026-01-18T09:31:00+08:00", "summaries_sha256": "3c4b…"}

One line of `<mission>_stage_a.errors.jsonl` and `<mission>_verdicts.errors.jsonl`, one per fault:

    {"group_id": "QC-20241022-0015063", "mission": "挡风板安装检查", "label": "fail", "photo": "a.jpg", "step": "load",
     "message": "…/a.jpg: the file is empty (0 bytes)", "advice": "…", "timestamp": "2026-01-18T09:30:00+08:00"}
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from yanshou.errors import SummaryError
from yanshou.text import excerpt, trimmed, truncate
from yanshou.thinking import TAG as THINK_TAG

EMPTY = "Look at the photo. If it shows something, try another prompt or checkpoint."
INCOMPLETE = "Every photo needs one line, under 图片_1, 图片_2, … in the photos' order."
REASONING = "Summarize the group again: reasoning is taken off before a line is written."

OTHER_SUMMARIES = "its summaries are not those it was judged from"

Label = Literal["pass", "fail"]
TIME = "ISO 8601, seconds, local offset."  # describes every time in a file


class GroupKey(NamedTuple):
    """The identity of a group. One id may occur under both labels: failed, resubmitted, passed."""

    mission: str
    label: Label | None  # None: a new job that no person has judged yet
    group_id: str

    def __str__(self) -> str:
        """`QC-20241022-0015063 (挡风板安装检查, fail)`"""
        return f"{truncate(self.group_id)} ({truncate(self.mission)}, {self.label or 'no label'})"


class Record(BaseModel):
    """Something that yanshou writes: frozen, without unknown keys, nothing coerced."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def image_key(number: int) -> str:
    """The key of a group's photo, counted from 1: `图片_1`."""
    return f"图片_{number}"


def now() -> str:
    """The current time in ISO 8601: seconds, local offset."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def in_photo_order(per_image: dict[str, str]) -> dict[str, str]:
    """The same summaries, 图片_1 first: a program that sorts keys writes 图片_10 before 图片_2.

    Where keys are not those of photos, the order stays: the checks name such keys.
    """
    expected = [image_key(number) for number in range(1, len(per_image) + 1)]
    if list(per_image) == expected or per_image.keys() != set(expected):
        return per_image
    return {key: per_image[key] for key in expected}


PerImage = Annotated[dict[str, str], AfterValidator(in_photo_order)]  # 图片_i → summary line

_compact_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def summaries_sha256(per_image: Mapping[str, str]) -> str:
    """What binds a verdict to its summaries: the SHA-256 of `per_image` as compact JSON in UTF-8, in the photos' order.

    A lone surrogate is hashed as its JSON escape, as it is in the file.
    """
    return sha256(_compact_json(per_image).encode("utf-8", errors="backslashreplace")).hexdigest()


def unbound_warnings(unbound: int) -> list[str]:
    """The warning about verdicts that do not name their summaries, if there are any."""
    if not unbound:
        return []
    return [
        f"{unbound} verdicts do not name the summaries they were judged from (key summaries_sha256): an earlier "
        "version or another program wrote them. `yanshou judge --fresh` writes verdicts that name them"
    ]


class GroupRecord(Record):
    """A line about one group."""

    group_id: str = Field(min_length=1, description="Id of the job; it may occur once under each label.")
    mission: str = Field(min_length=1, description="The mission's own name, never an alias.")
    label: Label | None = Field(description="The human label; null: a new job without one.")

    @property
    def key(self) -> GroupKey:
        return GroupKey(self.mission, self.label, self.group_id)

    @property
    def freshness(self) -> str:
        """What a resume compares with its input to see whether the line still fits it; "" where it compares nothing."""
        return ""


class StageARecord(GroupRecord):
    """One group: its photos and what each of them shows."""

    images: list[str] = Field(min_length=1, description="Absolute paths of the photos, in natural order.")
    per_image: PerImage = Field(
        description="One summary line per photo, under 图片_1, 图片_2, … in the order of `images`.",
        json_schema_extra={"propertyNames": {"pattern": "^图片_[1-9][0-9]*$"}},
    )
    raw_texts: list[str] = Field(description="What the model wrote for each photo, special tokens included.")
    clean_texts: list[str] = Field(description="The summary lines again, as a list.")
    timestamp: str = Field(description=TIME)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        check_group(self.images, self.per_image, self.raw_texts, self.clean_texts)
        return self

    @property
    def freshness(self) -> str:
        """The photos' names, between slashes, which no name holds."""
        return "/".join(image.rstrip("/").rpartition("/")[2] for image in self.images)

    @property
    def summaries_sha256(self) -> str:
        """What its verdict names."""
        return summaries_sha256(self.per_image)


class VerdictRecord(GroupRecord):
    """One group and its verdict."""

    verdict: Label = Field(description="With a threshold, pass means p_pass ≥ threshold; without, the first line.")
    reason: str = Field(min_length=1, description="One line of Chinese.")
    p_pass: float | None = Field(
        ge=0, le=1,
        description="P(通过) / (P(通过) + P(不通过)), each of the whole first line; null: a rule decided, or the model "
        "reasoned before its verdict.",
    )  # fmt: skip
    raw_text: str | None = Field(description="What the model wrote, special tokens included; null: a rule decided.")
    timestamp: str = Field(description=TIME)
    summaries_sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the Stage-A line's per_image, as compact JSON in UTF-8; null or missing: not known.",
    )

    @property
    def freshness(self) -> str:
        """The summaries that were judged; "" where the line does not name them."""
        return self.summaries_sha256 or ""

    def belongs_to(self, summaries: StageARecord) -> bool:
        """Whether these are the summaries that were judged. A verdict that does not name them is taken at its word."""
        return self.summaries_sha256 in (None, summaries.summaries_sha256)


class Fault(GroupRecord):
    """One reason why a group is not written."""

    photo: str | None = Field(description="File name of the photo at fault; null: the group as a whole.")
    step: str = Field(description="What failed: discover, load, generate, worker, check or verdict.")
    message: str = Field(description="What is wrong, with the value and its place.")
    advice: str = Field(description="What to do about it; may be empty.")
    timestamp: str = Field(description=f"The time of the attempt, which all its faults share. {TIME}")


def check_group(
    images: Sequence[str], per_image: Mapping[str, str], raw_texts: Sequence[str], clean_texts: Sequence[str]
) -> None:
    """Raises SummaryError, naming the first thing that a written group must not have. `per_image`: in photo order."""
    _check_keys(per_image, [image_key(number) for number in range(1, len(images) + 1)])
    for key, text in per_image.items():
        if not trimmed(text):
            raise SummaryError(f"{key} is empty: {text!r}", EMPTY)
        if len(text.splitlines()) > 1:
            raise SummaryError(f"{key} has several lines: {excerpt(text)}", INCOMPLETE)
        if tag := THINK_TAG.search(text):
            raise SummaryError(f"{key} holds {excerpt(tag[0])}, a reasoning tag: {excerpt(text)}", REASONING)
    for name, texts in (("raw_texts", raw_texts), ("clean_texts", clean_texts)):
        if len(texts) != len(images):
            raise SummaryError(f"{name} has {len(texts)} texts for {len(images)} photos", INCOMPLETE)
    for (key, text), clean in zip(per_image.items(), clean_texts, strict=True):
        if text != clean:
            raise SummaryError(f"{key} is {excerpt(text)} in per_image and {excerpt(clean)} in clean_texts", INCOMPLETE)


def _check_keys(per_image: Mapping[str, str], expected: Sequence[str]) -> None:
    for key in expected:
        if key not in per_image:
            raise SummaryError(f"key {key} is missing", INCOMPLETE)
    known = set(expected)  # a line may have thousands of photos
    for key in per_image:
        if key not in known:
            raise SummaryError(f"key {excerpt(key)} does not belong to a photo", INCOMPLETE)


TRUTH = "truth.jsonl"  # what synth writes beside the folders of the missions


class TruthRecord(GroupRecord):
    """What the photos of one group really show: reference lines. The line of `truth.jsonl`."""

    label: Label
    per_image: PerImage = Field(min_length=1)

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        expected = [image_key(number) for number in range(1, len(self.per_image) + 1)]
        if wrong := sorted(set(self.per_image) ^ set(expected)):
            raise ValueError(f"per_image must have the keys 图片_1…图片_{len(expected)} only: see {wrong[0]}")
        return self
