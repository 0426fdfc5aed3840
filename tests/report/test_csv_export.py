"""groups.csv: complete, and safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from support.lines import GROUNDING, fault, stage_a_line, verdict

from yanshou.errors import OutputError
from yanshou.evaluate import evaluate
from yanshou.missions import load_missions
from yanshou.report import write_groups

Judged = Callable[..., Path]


def rows(path: Path) -> list[dict[str, str]]:
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def written(file: Path, output_dir: Path) -> list[dict[str, str]]:
    return rows(write_groups(evaluate([file], None, load_missions()).groups, output_dir))


def test_each_group_is_one_row_with_everything_known_about_it(judged: Judged, tmp_path: Path) -> None:
    text = "电线/捆扎整齐×1"
    line = stage_a_line("QC-1", "fail", text)
    first, second = written(judged([verdict("QC-1", "fail", "pass", 0.97)], [line], [fault("QC-2")]), tmp_path / "new")
    assert list(first.values())[:8] == [GROUNDING, "fail", "", "QC-1", "false release", "pass", "", "0.97"]
    assert first["rules"] == "fail"
    assert (first["photos"], first["images"], first["summaries"]) == ("1", line["images"][0], f"图片_1: {text}")
    assert (first["reason_check"], first["reason_problems"][:5]) == ("unreadable", "没有引用任")
    assert (second["outcome"], second["verdict"], second["p_pass"]) == ("error", "", "")
    assert (second["reason_check"], second["reason_problems"]) == ("", "")
    assert (second["fault"], second["photos"]) == ("generate: out of memory", "0")


@pytest.mark.parametrize(
    "reason",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "\u3000@x", "\u200b=1", "\ufeff+1", "\xa0-1"],
)
def test_a_formula_becomes_text(judged: Judged, tmp_path: Path, reason: str) -> None:
    (row,) = written(judged([verdict("QC-1", reason=reason)]), tmp_path)
    assert row["reason"] == "'" + reason


def test_every_cell_is_quoted_and_numbers_stay_numbers(judged: Judged, tmp_path: Path) -> None:
    path = write_groups(evaluate([judged([verdict("QC-1", p=0.97)])], None, load_missions()).groups, tmp_path / "new")
    header, row = path.read_text(encoding="utf-8-sig").split("\n")[:2]
    assert header.startswith('"mission","label","corrected_label","group_id","outcome"')
    assert row.startswith(f'"{GROUNDING}","pass","","QC-1","release","pass","","0.97","')


def test_line_breaks_and_separators_begin_no_cell_of_their_own(judged: Judged, tmp_path: Path) -> None:
    reason, image = 'a"\n=1;=1\t=1,"=1', '/photos/\n"=HYPERLINK("x")\r\n,=1.jpg'
    line = stage_a_line("QC-1", images=[image])
    (row,) = written(judged([verdict("QC-1", reason=reason)], [line]), tmp_path)
    assert (row["reason"], row["images"]) == (reason, image)


def test_punctuation_in_text_stays_unchanged(judged: Judged, tmp_path: Path) -> None:
    reason = '有图片_1 标签/5G-BBU-(-48V)×1，"说明"\n第二行, 逗号；=不是公式'
    (row,) = written(judged([verdict("QC-1", reason=reason)]), tmp_path)
    assert row["reason"] == reason


def test_a_file_name_that_is_not_utf_8_is_written_as_its_escape(judged: Judged, tmp_path: Path) -> None:
    line = stage_a_line("QC-1", images=["/photos/\udcff.jpg"])
    (row,) = written(judged([verdict("QC-1")], [line]), tmp_path)
    assert row["images"] == "/photos/\\udcff.jpg"


def test_a_folder_that_cannot_be_created_is_named(judged: Judged, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"groups\.csv: cannot be written"):
        written(judged([verdict("QC-1")]), tmp_path / "file")
