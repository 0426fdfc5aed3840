"""The confusion matrices of a report: labels in rows, verdicts or decisions in columns, each number with a link."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.schema.records import Label

VERDICTS, DECISIONS = ("pass", "fail", None), ("release", "block", "review")  # columns
OUTCOMES: Mapping[tuple[str | None, str | None], str] = {
    ("pass", "pass"): "release", ("fail", "pass"): "false-release",
    ("pass", "fail"): "false-block", ("fail", "fail"): "block",
}  # fmt: skip


def confusions(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One table per mission, after one of all missions together where there are several of one judge.

    The columns are the verdicts, or under a policy the decisions.
    """
    return [_table(name, groups) for name, groups in by_mission(evaluation)]


def by_mission(evaluation: Evaluation) -> Iterator[tuple[str, list[JudgedGroup]]]:
    """All groups under "", if there are several missions of one judge, and those of each mission under its name."""
    if len(evaluation.missions) > 1 and evaluation.overall:
        yield "", list(evaluation.groups)
    for name in evaluation.missions:
        yield name, [group for group in evaluation.groups if group.key.mission == name]


def url(text: str) -> str:
    """The text as part of an address."""
    return quote(text, safe="", errors="backslashreplace")


def _table(name: str, groups: list[JudgedGroup]) -> dict[str, Any]:
    labels: list[Label | None] = ["pass", "fail"]
    labels += [None] if any(group.label is None for group in groups) else []
    if decided := any(group.decision for group in groups):
        counted = Counter[tuple[str | None, str | None]]((group.label, group.decision) for group in groups)
    else:
        counted = Counter((group.label, group.verdict) for group in groups)
    columns = DECISIONS if decided else VERDICTS
    cell = _decision_cell if decided else _verdict_cell
    rows = [
        (label, [{"count": counted[label, what], **cell(name, label, what)} for what in columns]) for label in labels
    ]
    return {"mission": name, "columns": [_heading(what, decided) for what in columns], "rows": rows}


def _heading(what: str | None, decided: bool) -> str:
    """The key of the column's text."""
    return f"{'decision' if decided else 'verdict'}_{what or 'none'}"


def _verdict_cell(mission: str, label: Label | None, verdict: str | None) -> dict[str, str]:
    outcome = OUTCOMES.get((label, verdict))
    if outcome:
        return {"outcome": outcome, "fragment": _fragment(mission, outcome=outcome)}
    # Errors of either label, and groups without a label, share an outcome.
    where = _fragment(mission, label=label or "none", verdict=verdict or "none")
    return {"outcome": "no-label" if verdict else "error", "fragment": where}


def _decision_cell(mission: str, label: Label | None, decision: str | None) -> dict[str, str]:
    """A group without a verdict goes to a person, too."""
    verdict = {"release": "pass", "block": "fail"}.get(decision or "")
    outcome = OUTCOMES.get((label, verdict), "no-label") if verdict else "review"
    return {"outcome": outcome, "fragment": _fragment(mission, label=label or "none", decision=decision or "none")}


def _fragment(mission: str, **where: str) -> str:
    """The filters in an address."""
    filters = {"mission": mission, **where} if mission else where
    return "&".join(f"{name}={url(value)}" for name, value in filters.items())
