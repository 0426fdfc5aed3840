"""One group of an evaluation or a review: its summaries, verdict, decision of the rules, and fault."""

from collections.abc import Mapping
from dataclasses import dataclass

from yanshou.missions.rules import Decision as RuleDecision
from yanshou.schema.policy import Decision
from yanshou.schema.records import GroupKey, Label
from yanshou.stage_b.reason import ReasonCheck


@dataclass(frozen=True, slots=True)
class JudgedGroup:
    """One group and everything that is known about it."""

    key: GroupKey  # its label is the folder's
    label: Label | None  # that figures are computed with: the folder's, or a correction of it
    images: tuple[str, ...]  # paths, in the order of the summaries; empty without a Stage-A line
    summaries: tuple[str, ...]
    verdict: Label | None  # after a threshold; None: an error
    file_verdict: Label | None  # as written in the file
    reason: str | None
    p_pass: float | None
    rules: RuleDecision | None  # None without a Stage-A line
    fault: str | None  # why there is no verdict
    decision: Decision | None = None  # under a policy
    reason_checks: Mapping[Label, ReasonCheck] | None = None  # of the reason, as that of each verdict; None: unknown

    @property
    def reason_check(self) -> ReasonCheck | None:
        """Whether the reason holds, as that of the verdict."""
        return self.reason_checks[self.verdict] if self.reason_checks and self.verdict else None

    @property
    def rules_verdict(self) -> Label | None:
        return None if self.rules is None else "pass" if self.rules.passed else "fail"

    @property
    def outcome(self) -> str:
        """The cell of the confusion matrix; under a policy, `review` for what a person decides."""
        if self.verdict is None:
            return "error"
        if self.decision == "review":
            return "review"
        if self.label is None:
            return "no label"
        released = self.verdict == "pass" if self.decision is None else self.decision == "release"
        wrong = "" if released == (self.label == "pass") else "false "
        return wrong + ("release" if released else "block")
