"""The order in which a person looks at the groups of a report, and the marks that their summaries carry."""

from collections.abc import Sequence

from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.schema.summary import parse

SEVERITY = {"false release": 0, "error": 1, "false block": 2, "review": 3}  # all other outcomes follow


def worst_first(groups: Sequence[JudgedGroup], threshold: float | None = None) -> list[JudgedGroup]:
    """False releases with the highest p_pass first, then errors, then false blocks with the lowest p_pass.

    Groups that a policy leaves to a person follow, then all others, each of them with those nearest to the threshold
    (or to 0.5) first. Of groups without p_pass, those with 需复核 or 备注 come first; otherwise they keep their order.
    """
    middle = 0.5 if threshold is None else threshold

    def place(group: JudgedGroup) -> tuple[int, float, bool]:
        p = middle if group.p_pass is None else group.p_pass
        order = {"false release": -p, "false block": p}.get(group.outcome, abs(p - middle))
        return SEVERITY.get(group.outcome, len(SEVERITY)), order, group.p_pass is None and not flags(group)

    return sorted(groups, key=place)


def flags(group: JudgedGroup) -> list[str]:
    """`doubt` where an entry of a summary is left to a person (需复核), `note` where one has a 备注."""
    entries = [entry for summary in group.summaries for entry in parse(summary).entries]
    found = {"doubt": any(entry.doubtful for entry in entries), "note": any(entry.note for entry in entries)}
    return [name for name, there in found.items() if there]
