"""Compares verdicts with human labels: how often the system is right, and what its errors cost.

    <mission>_verdicts.jsonl ───────┐
    <mission>_verdicts.errors.jsonl ├─ read_judged ─ JudgedGroup… ─ Counts ─ Evaluation ─┬─ JSON
    <mission>_stage_a.jsonl ────────┘  └ find_promises ─ Policy ─┘                       └─ yanshou.report

Each group falls into one cell of a table, whose cells add up to the number of groups: see `metrics.py`. `summaries.py`
is separate: it compares summaries with reference summaries.
"""

from yanshou.evaluate.evaluation import Evaluation, evaluate
from yanshou.evaluate.figures import EvaluationFigures
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.metrics import Counts, Rate
from yanshou.evaluate.promises import Promises
from yanshou.evaluate.threshold import Promise, find_promise

__all__ = [
    "Counts",
    "Evaluation",
    "EvaluationFigures",
    "JudgedGroup",
    "Promise",
    "Promises",
    "Rate",
    "evaluate",
    "find_promise",
]
