"""Verdicts against what people said: how often the system is right, and what its mistakes cost.

    <mission>_verdicts.jsonl ──────┐
    <mission>_verdicts.errors.jsonl ├─ groups.read_judged ─ JudgedGroup… ─ metrics.Counts ─ Evaluation ─ JSON
    <mission>_stage_a.jsonl ───────┘             threshold.choose ┘                             ├─ sheet: groups.csv
                                                                                                └─ report: report.html

Each group falls into one cell, and the cells add up to the groups: `yanshou.evaluate.metrics` draws them.
"""

from yanshou.evaluate.csv_export import write_groups
from yanshou.evaluate.evaluation import Evaluation, EvaluationFigures, evaluate
from yanshou.evaluate.judged_groups import JudgedGroup
from yanshou.evaluate.metrics import Counts, Rate
from yanshou.evaluate.report import write_report
from yanshou.evaluate.threshold import ThresholdChoice, choose_threshold

__all__ = [
    "Counts",
    "Evaluation",
    "EvaluationFigures",
    "JudgedGroup",
    "Rate",
    "ThresholdChoice",
    "choose_threshold",
    "evaluate",
    "write_groups",
    "write_report",
]
