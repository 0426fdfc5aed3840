"""What to look at in a report of new jobs, whose groups have no human label: counts that link to their groups."""

from collections.abc import Callable
from typing import Any, NamedTuple

from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.report.confusion import by_mission, url
from yanshou.report.order import flags


class Kind(NamedTuple):
    """One row: the groups that `fits` counts are those that the page's filter selects."""

    text: str  # key of the translations
    css: str
    filter: str  # as in the address
    fits: Callable[[JudgedGroup], bool]


KINDS = (
    Kind("outcome_error", "error", "outcome=error", lambda group: group.outcome == "error"),
    Kind("outcome_review", "review", "outcome=review", lambda group: group.outcome == "review"),
    Kind("flag_any", "flagged", "flag=any", lambda group: bool(flags(group))),
    Kind("verdict_fail", "fail", "verdict=fail", lambda group: group.verdict == "fail"),
    Kind("verdict_pass", "pass", "verdict=pass", lambda group: group.verdict == "pass"),
)


def overview(evaluation: Evaluation) -> list[tuple[str, list[dict[str, Any]]]]:
    """The counts of all missions ("") if there are several of one judge, and of each; none if a group has a label."""
    if any(group.label for group in evaluation.groups):
        return []
    kinds = _kinds(evaluation)
    return [(name, [_row(kind, name, groups) for kind in kinds]) for name, groups in by_mission(evaluation)]


def _kinds(evaluation: Evaluation) -> list[Kind]:
    """Without a policy nothing is left to a person."""
    decided = any(group.decision for group in evaluation.groups)
    return [kind for kind in KINDS if decided or kind.css != "review"]


def _row(kind: Kind, mission: str, groups: list[JudgedGroup]) -> dict[str, Any]:
    where = f"mission={url(mission)}&" if mission else ""
    return {
        "text": kind.text,
        "css": kind.css,
        "fragment": where + kind.filter,
        "count": sum(map(kind.fits, groups)),
    }
