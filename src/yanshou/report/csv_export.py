"""groups.csv: one row per group of an evaluation, to be opened in a spreadsheet.

    mission,label,corrected_label,group_id,outcome,verdict,p_pass,reason,rules,rules_reason,fault,photos,images,summaries
    挡风板安装检查,fail,,QC-20241022-0015063,false release,pass,0.97,有图片_1 …,fail,没有看到…,,1,/…/1.jpg,图片_1: …

Two more columns follow: `reason_check`, whether the reason holds (`yanshou.stage_b.reason`), and `reason_problems`,
what is wrong with it, in Chinese as the reasons are.

`label` is the folder's, as in every file. `corrected_label` is that of a labels file where it is another one: pass,
fail or unsure.

The file is UTF-8 with a byte-order mark, because without one Excel shows wrong characters for Chinese. Every cell is
quoted, so that no line break and no separator in a text begins a cell of its own; spreadsheets still read a quoted
number as a number. Text that a spreadsheet would read as a formula gets a leading apostrophe
(`storage/spreadsheet.py`): model answers and file names are untrusted.
"""

import codecs
import csv
import io
from collections.abc import Iterable
from pathlib import Path

from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.schema.records import image_key
from yanshou.stage_b.reason_words import explain
from yanshou.storage.atomic import replace_file, write_error
from yanshou.storage.spreadsheet import without_formula

NAME = "groups.csv"
COLUMNS = (
    "mission", "label", "corrected_label", "group_id", "outcome", "verdict", "decision", "p_pass", "reason", "rules",
    "rules_reason", "fault", "photos", "images", "summaries", "reason_check", "reason_problems",
)  # fmt: skip


def write_groups(groups: Iterable[JudgedGroup], output_dir: Path) -> Path:
    """Writes `<output_dir>/groups.csv`, and replaces an old one. Raises OutputError."""
    path = output_dir / NAME
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(path, error) from error
    replace_file(path, to_csv(groups))
    return path


def to_csv(groups: Iterable[JudgedGroup]) -> bytes:
    """The file's content."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    writer.writerows([without_formula(cell) for cell in _row(group)] for group in groups)
    # A lone surrogate, from a file name that is not UTF-8, is written as its escape.
    return codecs.BOM_UTF8 + text.getvalue().encode("utf-8", errors="backslashreplace")


def _row(group: JudgedGroup) -> Iterable[object]:
    yield from (
        group.key.mission,
        group.key.label,
        _correction(group),
        group.key.group_id,
        group.outcome,
        group.verdict,
        group.decision,
    )
    yield from (group.p_pass, group.reason)
    yield from (group.rules_verdict, group.rules and group.rules.reason, group.fault)
    yield len(group.images)
    yield "\n".join(group.images)
    yield "\n".join(f"{image_key(number)}: {text}" for number, text in enumerate(group.summaries, 1))
    check = group.reason_check
    yield from (check and check.outcome, "；".join(explain(check.problems, "zh")) if check else None)


def _correction(group: JudgedGroup) -> str | None:
    """The label of a labels file, where it is not the folder's."""
    return None if group.label == group.key.label else group.label or "unsure"
