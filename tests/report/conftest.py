"""The files of verdicts of a whole report."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.lines import BAD, GOOD, SHIELD, fault, stage_a_line, verdict


@pytest.fixture
def report_files(judged: Callable[..., Path]) -> list[Path]:
    """One mission with every kind of group, one with a single group."""
    verdicts = [
        verdict("QC-1", "pass", "pass", 0.9),
        verdict("QC-2", "pass", "fail", 0.4),
        verdict("QC-2b", "pass", "fail", 0.2),
        verdict("QC-3", "fail", "pass", 0.6),
        verdict("QC-3b", "fail", "pass", 0.95),
        verdict("QC-4", "fail", "fail", 0.1),
        verdict("QC-5", None, "pass", 0.8),
    ]
    lines = [stage_a_line(v["group_id"], v["label"], BAD if v["label"] == "fail" else GOOD) for v in verdicts]
    first = judged(verdicts, [*lines, stage_a_line("QC-6")], [fault("QC-6")])
    return [first, judged([verdict("QC-1", mission=SHIELD)], mission=SHIELD)]
