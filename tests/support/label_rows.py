"""Rows of labels files."""

import csv
import io
from pathlib import Path
from typing import Any

from support.lines import GROUNDING
from yanshou.storage.labels_file import COLUMNS

MORNING, NOON = "2026-02-03T09:30:00+08:00", "2026-02-03T12:00:00+08:00"


def row(
    label: str, when: str = MORNING, group: str = "QC-1", given: str | None = "pass", **more: Any
) -> dict[str, Any]:
    """What a person says about a group; `given`: the folder's label."""
    said = {"mission": GROUNDING, "group_id": group, "label_given": given, "label": label, "who": "Li", "when": when}
    return {**said, **more}


def as_csv(*rows: dict[str, Any]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_labels(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text(as_csv(*rows), encoding="utf-8-sig", newline="")
    return path
