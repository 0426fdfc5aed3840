"""Guarantees of `yanshou.schema.records`: identity, freshness and age of lines; complete reference lines."""

from typing import Any

import pytest
from pydantic import ValidationError
from support.storage_runs import fault, record
from support.verdict_files import MOMENT, verdict

from yanshou.schema.records import GroupKey, TruthRecord, VerdictRecord, stale_verdict


def test_a_key_prints_as_id_mission_and_label() -> None:
    assert str(GroupKey("挡风板安装检查", None, "QC-1")) == "QC-1 (挡风板安装检查, no label)"
    assert str(record(1).key) == "QC-1 (挡风板安装检查, pass)"


def test_a_line_is_compared_with_its_input_by_photo_names_or_time() -> None:
    renamed = record(1).model_copy(update={"images": ["/data/a/1.jpg", "/data/a/图片 2.png"]})
    assert renamed.freshness == "1.jpg/图片 2.png"
    assert VerdictRecord.model_validate(verdict("QC-1")).freshness == MOMENT
    assert fault(1).freshness == ""


@pytest.mark.parametrize(
    ("summaries", "judged", "stale"),
    [
        ("2026-01-18T09:30:01+08:00", "2026-01-18T09:30:00+08:00", True),
        ("2026-01-18T09:30:00+08:00", "2026-01-18T09:30:00+08:00", False),
        ("2026-01-18T09:30:00+08:00", "2026-01-18T02:30:00+00:00", False),  # 10:30 in China
        ("2026-01-18T09:30:00", "2025-01-18T09:30:00+08:00", False),  # no offset: not yanshou's time
        ("yesterday", "2025-01-18T09:30:00+08:00", False),
    ],
)
def test_summaries_that_are_newer_than_the_verdict_make_it_stale(summaries: str, judged: str, stale: bool) -> None:
    message = stale_verdict(summaries, judged)
    assert message == (f"its summaries were written at {summaries}, its verdict at {judged}" if stale else None)


@pytest.mark.parametrize("keys", [["图片_1"], ["图片_1", "图片_2"]])
def test_reference_lines_are_numbered(keys: list[str]) -> None:
    assert truth(keys).per_image.keys() == set(keys)


@pytest.mark.parametrize("keys", [["图片_2"], ["图片_1", "图片_3"], ["1"]])
def test_reference_lines_with_a_gap_are_refused(keys: list[str]) -> None:
    with pytest.raises(ValidationError, match=f"must have the keys 图片_1…图片_{len(keys)} only"):
        truth(keys)


def truth(keys: list[str]) -> TruthRecord:
    fields: dict[str, Any] = {"group_id": "QC-1", "mission": "挡风板安装检查", "label": "pass"}
    return TruthRecord(**fields, per_image=dict.fromkeys(keys, "无关图片×1"))
