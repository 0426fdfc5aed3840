"""The report of an evaluation: one page beside its thumbnails, and a table of all groups.

Evaluation ─┬─ report.html, thumbnails/   page.py
            └─ groups.csv                 csv_export.py
"""

from yanshou.report.csv_export import write_groups
from yanshou.report.page import write_report

__all__ = ["write_groups", "write_report"]
