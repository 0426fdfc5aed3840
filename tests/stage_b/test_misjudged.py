"""Verdicts in a dataset: they count for the summaries they were judged from, whatever the clocks say."""

from pathlib import Path
from typing import Any

import pytest
from support.lines import BAD, GROUNDING, stage_a_line, verdict, write_lines

from yanshou.errors import InputError
from yanshou.missions import load_missions
from yanshou.schema.records import GroupKey, StageARecord
from yanshou.stage_b.misjudged import Misjudged, read_misjudged

MISSIONS = load_missions()


def read(folder: Path, verdicts: list[Any], *lines: Any) -> Misjudged:
    records = map(StageARecord.model_validate, lines)
    groups = {record.key: record.summaries_sha256 for record in records}
    return read_misjudged([write_lines(folder / "a_verdicts.jsonl", verdicts)], MISSIONS, groups)


def test_groups_whose_verdict_is_not_their_label_are_misjudged(tmp_path: Path) -> None:
    """The summaries are a century newer than the verdicts, and the same."""
    lines = [stage_a_line(f"QC-{number}", "fail", timestamp="2126-01-01T00:00:00+08:00") for number in range(3)]
    said = [verdict(f"QC-{number}", "fail", says) for number, says in enumerate(["fail", "pass", "pass"])]
    found = read(tmp_path, [*said, verdict("QC-elsewhere", "fail", "pass", summaries_sha256=None)], *lines)
    assert found == Misjudged(frozenset(GroupKey(GROUNDING, "fail", group) for group in ("QC-1", "QC-2")), 0)


def test_a_verdict_about_other_summaries_is_refused(tmp_path: Path) -> None:
    message = (
        r"a_verdicts.jsonl:2: group QC-1 .*: its summaries are not those it was judged from\. Delete the verdict's line"
    )
    with pytest.raises(InputError, match=message):
        read(tmp_path, [verdict("QC-0"), verdict("QC-1")], stage_a_line("QC-0"), stage_a_line("QC-1", "pass", BAD))


def test_verdicts_that_name_no_summaries_count_and_are_counted(tmp_path: Path) -> None:
    said = [verdict("QC-0", "fail", summaries_sha256=None), verdict("QC-1", "fail")]
    del said[1]["summaries_sha256"]  # as an earlier version wrote it
    found = read(tmp_path, said, stage_a_line("QC-0", "fail", BAD), stage_a_line("QC-1", "fail", BAD))
    assert ({key.group_id for key in found.groups}, found.unbound) == ({"QC-0", "QC-1"}, 2)


def test_verdicts_about_other_groups_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of the 1 verdicts is about a group of the Stage-A files"):
        read(tmp_path, [verdict("QC-elsewhere", "fail", "pass")], stage_a_line("QC-0"))
