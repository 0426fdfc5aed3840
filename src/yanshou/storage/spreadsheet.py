"""Cells that a spreadsheet would read as formulas, and the cells that they mean.

    without_formula("=1+1")     "'=1+1"      as_meant("'=1+1")     "=1+1"
    without_formula("QC-1")     "QC-1"       as_meant("'tis")      "'tis"

Text that begins with `=`, `+`, `-` or `@`, full-width or not, perhaps after invisible characters, or with a tab or a
line break, gets a leading apostrophe: names of people, folders and files are untrusted, and a formula can send
neighbouring cells to a stranger. Text that begins so after apostrophes of its own gets one more, so that `as_meant`
gives back every text as it was.
"""

from yanshou.text import trimmed

FORMULA, CONTROL = tuple("=+-@＝＋－＠"), tuple("\t\r\n")
MARK = "'"


def without_formula(cell: object) -> object:
    """Text that a spreadsheet shows as text. Numbers stay numbers; none is negative."""
    return f"{MARK}{cell}" if isinstance(cell, str) and _is_formula(cell) else cell


def as_meant(cell: str) -> str:
    """The text for which `without_formula` wrote the cell."""
    return cell[1:] if cell.startswith(MARK) and _is_formula(cell) else cell


def _is_formula(cell: str) -> bool:
    bare = cell.lstrip(MARK)
    return bare.startswith(CONTROL) or trimmed(bare).startswith(FORMULA)
