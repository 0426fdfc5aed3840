"""Groups of an evaluation, without files."""

from collections.abc import Sequence

from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.schema.records import GroupKey, Label


def judged_group(
    group_id: str,
    label: Label | None,
    summaries: Sequence[str] = (),
    p: float | None = None,
    verdict: Label | None = "pass",
    mission: str = "m",
) -> JudgedGroup:
    """A group with one photo per summary."""
    photos = tuple(f"/photos/{group_id}/{number}.jpg" for number, _ in enumerate(summaries, 1))
    fault = None if verdict else "out of memory"
    return JudgedGroup(
        GroupKey(mission, label, group_id), label, photos, tuple(summaries), verdict, verdict, "x", p, None, fault
    )
