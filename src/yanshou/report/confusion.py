"""The confusion matrices of a report: human labels in rows, verdicts in columns, each number linked to its groups."""

from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.judged_groups import JudgedGroup
from yanshou.schema.records import Label


def confusions(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One table per mission, after one of all missions together where there are several of one judge."""
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
    counted = Counter((group.label, group.verdict) for group in groups)
    labels: list[Label | None] = ["pass", "fail"]
    labels += [None] if any(group.label is None for group in groups) else []
    rows = [(label, [_cell(name, label, verdict, counted) for verdict in ("pass", "fail", None)]) for label in labels]
    return {"mission": name, "rows": rows}


def _cell(mission: str, label: Label | None, verdict: Label | None, counted: Counter[Any]) -> dict[str, Any]:
    outcome = {
        ("pass", "pass"): "release", ("fail", "pass"): "false-release",
        ("pass", "fail"): "false-block", ("fail", "fail"): "block",
    }.get((label or "", verdict or ""))  # fmt: skip
    where = [("mission", mission)] if mission else []
    if outcome:
        where.append(("outcome", outcome))
    else:  # errors of either label, and groups without a label, share an outcome
        where += [("label", label or "none"), ("verdict", verdict or "none")]
    fragment = "&".join(f"{name}={url(value)}" for name, value in where)
    shown = outcome or ("no-label" if verdict else "error")
    return {"count": counted[label, verdict], "outcome": shown, "fragment": fragment}
