"""Which groups people read, and why: possible false releases and doubtful groups. No file is read.

    p_pass     0 ······ 0.88 ─ doubt ─ 0.92 │ 0.93 ─ false_release ─ 0.97 ······ 1
                  highest that was not released │ lowest released         near 0.05
    rules      say fail, and the group was released               false_release, whatever its p_pass
    a fault    no verdict, or one about other summaries           doubt, whatever was decided

Released means decided so by a policy, or without one a verdict pass. The threshold, which not every file
names, lies between the highest `p_pass` that was not released and the lowest that was: where these are far apart, no
group is near it. Under a policy every group that it leaves to a
person is doubtful; without one, the groups about which judge and rules differ, or of which little is known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.review.store.imported_groups import Why
from yanshou.schema.records import GroupKey
from yanshou.schema.summary import parse

ROUNDING = 1e-9  # 0.95 is not less than 0.05 above 0.9


@dataclass(frozen=True, slots=True)
class QueueRule:
    """Which groups are read."""

    near: float  # how far from a group on the other side of the threshold a p_pass is still near it
    all_groups: bool = False

    def why(self, groups: Sequence[JudgedGroup]) -> dict[GroupKey, Why | None]:
        """Why each group is read. None: it is not, unless an audit has it."""
        released, kept = _p_pass(groups, released=True), _p_pass(groups, released=False)
        lowest = {mission: min(values) for mission, values in released.items()}
        highest = {mission: max(values) for mission, values in kept.items()}
        return {
            group.key: self._why(group, lowest.get(group.key.mission), highest.get(group.key.mission))
            for group in groups
        }

    def _why(self, group: JudgedGroup, lowest: float | None, highest: float | None) -> Why | None:
        """lowest: the p_pass of a group that was released; highest: of one that was not."""
        if group.fault is None and _released(group) and self._near_fail(group, highest):
            return "false_release"
        if self._doubtful(group, lowest):
            return "doubt"
        return "all" if self.all_groups else None

    def _near_fail(self, group: JudgedGroup, highest: float | None) -> bool:
        """Of a released group: whether the rules fail it, or its p_pass is just above the highest not released."""
        return group.rules_verdict == "fail" or self._is_less(group.p_pass, highest)

    def _doubtful(self, group: JudgedGroup, lowest: float | None) -> bool:
        if group.fault is not None:
            return True
        if group.decision is not None:
            return group.decision == "review"
        if group.verdict == "fail" and (group.rules_verdict == "pass" or self._is_less(lowest, group.p_pass)):
            return True
        return group.p_pass is None and _has_doubtful_entry(group.summaries)

    def _is_less(self, upper: float | None, lower: float | None) -> bool:
        """Whether `upper` is less than `near` above `lower`."""
        return upper is not None and lower is not None and upper - lower < self.near - ROUNDING


def _released(group: JudgedGroup) -> bool:
    return group.verdict == "pass" if group.decision is None else group.decision == "release"


def _p_pass(groups: Iterable[JudgedGroup], *, released: bool) -> Mapping[str, list[float]]:
    """By mission: the p_pass of the groups that were released, or of those that were not."""
    found: dict[str, list[float]] = {}
    for group in groups:
        if group.p_pass is not None and group.fault is None and _released(group) == released:
            found.setdefault(group.key.mission, []).append(group.p_pass)
    return found


def _has_doubtful_entry(summaries: Iterable[str]) -> bool:
    """Whether an entry is marked 需复核."""
    return any(entry.doubtful for summary in summaries for entry in parse(summary).entries)
