"""Groups of an evaluation that no file holds."""

from support.lines import GOOD, GROUNDING
from yanshou.evaluate.judged_groups import JudgedGroup
from yanshou.missions.rules import Decision as RuleDecision
from yanshou.schema.policy import Decision
from yanshou.schema.records import GroupKey, Label


def judged_group(
    group: str,
    label: Label | None = "pass",
    says: Label | None = "pass",
    p: float | None = 0.5,
    *,
    mission: str = GROUNDING,
    summaries: tuple[str, ...] = (GOOD,),
    rules: RuleDecision | None = None,
    decision: Decision | None = None,
) -> JudgedGroup:
    """A group with one good photo. `says`: None is an error."""
    return JudgedGroup(
        key=GroupKey(mission=mission, label=label, group_id=group),
        label=label,
        images=tuple(f"/photos/{group}_{number}.jpg" for number in range(1, len(summaries) + 1)),
        summaries=summaries,
        verdict=says,
        file_verdict=says,
        reason=None if says is None else "有图片_1",
        p_pass=None if says is None else p,
        rules=rules,
        fault="generate: out of memory" if says is None else None,
        decision=decision,
    )
