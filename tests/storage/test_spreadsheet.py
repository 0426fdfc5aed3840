"""Cells that would be formulas: they become text, and come back as they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yanshou.storage.spreadsheet import FORMULA, as_meant, without_formula

cells = st.text(st.sampled_from("'=+-@＝ \t\r\n\u200ba李1"), max_size=6) | st.text(max_size=12)


@given(cells)
def test_every_text_comes_back(cell: str) -> None:
    written = without_formula(cell)
    assert isinstance(written, str)
    assert as_meant(written) == cell


@given(cells)
def test_no_written_cell_begins_like_a_formula(cell: str) -> None:
    assert not str(without_formula(cell)).lstrip().startswith((*FORMULA, "\t", "\r", "\n"))


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"), ("＠SUM", "'＠SUM"), ("\u200b-1", "'\u200b-1"), ("'=1", "''=1"), ("'tis", "'tis"),
        ("QC-1", "QC-1"), ("", ""), (-1.5, -1.5),
    ],
)  # fmt: skip
def test_only_formulas_are_marked(cell: object, written: object) -> None:
    assert without_formula(cell) == written
