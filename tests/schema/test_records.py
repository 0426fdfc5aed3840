"""Guarantees of `yanshou.schema.records`: identity of lines, verdicts bound to summaries; complete reference lines."""

import hashlib
from typing import Any

import pytest
from pydantic import ValidationError
from support.lines import BAD, GOOD, per_image, stage_a_line, verdict
from support.storage_runs import fault, record

from yanshou.schema.records import GroupKey, StageARecord, TruthRecord, VerdictRecord, summaries_sha256
from yanshou.storage.jsonl import dump_line


def test_a_key_prints_as_id_mission_and_label() -> None:
    assert str(GroupKey("挡风板安装检查", None, "QC-1")) == "QC-1 (挡风板安装检查, no label)"
    assert str(record(1).key) == "QC-1 (挡风板安装检查, pass)"


def test_a_line_is_compared_with_its_input_by_photo_names_or_summaries() -> None:
    renamed = record(1).model_copy(update={"images": ["/data/a/1.jpg", "/data/a/图片 2.png"]})
    assert renamed.freshness == "1.jpg/图片 2.png"
    assert VerdictRecord.model_validate(verdict("QC-1")).freshness == summaries_sha256(per_image(GOOD))
    assert fault(1).freshness == ""


def test_a_verdict_belongs_to_the_summaries_that_it_names() -> None:
    line = StageARecord.model_validate(stage_a_line("QC-1"))
    other = StageARecord.model_validate(stage_a_line("QC-1", "pass", BAD))
    said = VerdictRecord.model_validate(verdict("QC-1"))
    assert (said.belongs_to(line), said.belongs_to(other)) == (True, False)
    for unnamed in (said.model_copy(update={"summaries_sha256": None}), VerdictRecord.model_validate(unbound(said))):
        assert (unnamed.freshness, unnamed.belongs_to(line), unnamed.belongs_to(other)) == ("", True, True)


def test_the_checksum_of_summaries_is_that_of_compact_json_in_utf_8() -> None:
    """As `jq -cj .per_image | sha256sum` makes it from a line."""
    assert summaries_sha256({"图片_1": "电线/捆扎整齐×1", "图片_2": 'a "b" \\'}) == (
        hashlib.sha256('{"图片_1":"电线/捆扎整齐×1","图片_2":"a \\"b\\" \\\\"}'.encode()).hexdigest()
    )
    assert summaries_sha256({"图片_1": "\udcff"}) == hashlib.sha256('{"图片_1":"\\udcff"}'.encode()).hexdigest()


def test_sorted_keys_are_read_in_the_photos_order() -> None:
    line = stage_a_line("QC-1", "pass", *(f"标签/{number}×1" for number in range(1, 12)))
    by_name = {key: line["per_image"][key] for key in sorted(line["per_image"])}
    assert list(by_name)[:3] == ["图片_1", "图片_10", "图片_11"]
    read = StageARecord.model_validate({key: {**line, "per_image": by_name}[key] for key in sorted(line)})
    assert dump_line(read) == dump_line(line)
    assert read.summaries_sha256 == summaries_sha256(line["per_image"])
    assert list(truth(sorted(by_name)).per_image) == list(line["per_image"])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["图片_2", "图片_3"], "key 图片_1 is missing"),
        (["图片_1", "图片_2", "图片_10"], "key '图片_10' does not belong to a photo"),
        (["图片_2", "图片_01"], "key 图片_1 is missing"),
    ],
)
def test_keys_that_are_not_those_of_photos_are_named(keys: list[str], message: str) -> None:
    line = stage_a_line("QC-1", "pass", GOOD, GOOD)
    with pytest.raises(ValidationError, match=message):
        StageARecord.model_validate({**line, "per_image": dict.fromkeys(keys, GOOD)})


def test_a_line_of_many_photos_is_checked_in_time_in_proportion() -> None:
    """Comparing every key with every other would take hours."""
    line = stage_a_line("QC-1", "pass", *(f"标签/{number}×1" for number in range(200_000)))
    record = StageARecord.model_validate({**line, "per_image": dict(reversed(line["per_image"].items()))})
    assert list(record.per_image.values()) == line["clean_texts"]
    with pytest.raises(ValidationError, match="key '图片_0' does not belong to a photo"):
        StageARecord.model_validate({**line, "per_image": {**line["per_image"], "图片_0": GOOD}})


def unbound(said: VerdictRecord) -> dict[str, Any]:
    """The line as earlier versions wrote it."""
    return said.model_dump(exclude={"summaries_sha256"})


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
