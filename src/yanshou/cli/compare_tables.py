"""What `yanshou compare` prints: the tables of its page in English, and the settings that differ."""

from collections.abc import Iterator

from rich.table import Table

from yanshou.cli.run_table import figure_table, name_cell, right_columns
from yanshou.compare.comparison import Comparison
from yanshou.compare.figure_tables import figure_tables
from yanshou.compare.translations import EN


def comparison_tables(comparison: Comparison) -> list[Table]:
    tables = []
    for found in figure_tables(comparison, EN):
        first, *others = found.head
        missions = first == EN["mission"]
        table = figure_table(*others) if missions else Table(first, *right_columns(*others), box=None, pad_edge=False)
        for name, *cells in found.rows:
            table.add_row(name_cell(name), *cells)
        tables.append(table)
    return tables


def setting_lines(comparison: Comparison) -> Iterator[str]:
    """One message per kind of difference, one indented line per setting."""
    runs = comparison.runs
    for what, found in (("settings", runs.settings), ("environments", runs.environment)):
        if found:
            lines = (f"\n  {one.key}: A has {one.texts[0]}, B has {one.texts[1]}" for one in found)
            yield f"{what} that differ:{''.join(lines)}"
        elif runs.known:
            yield f"{what} that differ: none"
