"""groups.csv: every group of an evaluation, a row each, for people with spreadsheets.

    mission,label,group_id,outcome,verdict,p_pass,reason,rules,rules_reason,fault,photos,images,summaries
    挡风板安装检查,fail,QC-20241022-0015063,false release,pass,0.97,有图片_1 …,fail,没有看到…,,1,/…/1.jpg,图片_1: …

UTF-8 with a byte-order mark, so that Excel shows Chinese as Chinese. A text that a spreadsheet would take for a formula
(`=`, `+`, `-` or `@` in front, full-width or not, a tab, a line break) gets an apostrophe in front: model answers
and file names are not ours, and a formula can send what stands beside it to a stranger.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from yanshou.evaluate.judged_groups import JudgedGroup
from yanshou.schema.records import image_key
from yanshou.storage.atomic import replace_file, write_error

NAME = "groups.csv"
FORMULA = tuple("=+-@＝＋－＠\t\r\n")
COLUMNS = (
    "mission", "label", "group_id", "outcome", "verdict", "p_pass", "reason", "rules", "rules_reason", "fault",
    "photos", "images", "summaries",
)  # fmt: skip


def write_groups(groups: Iterable[JudgedGroup], output_dir: Path) -> Path:
    """Writes `<output_dir>/groups.csv`, in place of an old one."""
    path = output_dir / NAME
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(path, error) from error
    replace_file(path, sheet(groups))
    return path


def sheet(groups: Iterable[JudgedGroup]) -> bytes:
    """The file's bytes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_guarded(cell) for cell in _row(group)] for group in groups)
    return b"\xef\xbb\xbf" + text.getvalue().encode(
        "utf-8", errors="backslashreplace"
    )  # a lone surrogate by its escape


def _row(group: JudgedGroup) -> Iterable[object]:
    yield from (group.key.mission, group.key.label, group.key.group_id, group.outcome, group.verdict)
    yield from (group.p_pass, group.reason)
    yield from (group.rules_verdict, group.rules and group.rules.reason, group.fault)
    yield len(group.images)
    yield "\n".join(group.images)
    yield "\n".join(f"{image_key(number)}: {text}" for number, text in enumerate(group.summaries, 1))


def _guarded(cell: object) -> object:
    """Text that is text in a spreadsheet, too. Numbers, of which none is negative, stay numbers."""
    if not isinstance(cell, str):
        return cell
    first = cell.lstrip(" \u3000")
    return f"'{cell}" if first.startswith(FORMULA) else cell
