"""What happens to each group under a policy: one line of `<mission>_decisions.jsonl` per group.

    p_pass ≥ release.threshold   release   通过概率 0.970000 不低于放行阈值 0.93
    p_pass < block.threshold     block     通过概率 0.020000 低于拦截阈值 0.05
    anything else                review    with the reason: between the thresholds, no verdict, no p_pass, …

With `require_grounded` in the policy, a release or block whose reason does not hold (`reason.py`) becomes a review.

Every group of the Stage-A files has a line, and so has every group that Stage-A failed on. A group about which too
little is known is `review`, never anything else: judged from other summaries, not judged yet, of a mission that the
policy does not have.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from yanshou.missions import Missions, Rule
from yanshou.pipeline.mission_result import DecisionCounts
from yanshou.schema.policy import Decision, DecisionRecord, MissionPolicy, Policy
from yanshou.schema.records import Fault, GroupKey, StageARecord, VerdictRecord, now
from yanshou.schema.summary import parse
from yanshou.stage_b.policy_comparison import PolicyComparison
from yanshou.stage_b.reason import GroupReasons
from yanshou.stage_b.reason_words import explain
from yanshou.storage.errors_file import latest_attempts, read_faults
from yanshou.storage.read_groups import canonical_key
from yanshou.storage.run_files import RunFiles, RunPaths
from yanshou.text import escape_surrogates, printable, truncate

LONGEST = 200  # characters of a fault in a reason


class Decided(NamedTuple):
    """One decision. `why`: of a review, as the terminal counts it."""

    decision: Decision
    reason: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """What is known about a group when a policy decides."""

    verdict: VerdictRecord | None
    fits: bool  # the verdict is about the summaries that the group has now
    faults: Sequence[Fault]  # of the judge
    missing: Sequence[Fault] = ()  # of Stage-A: the group has no summaries
    summaries: Sequence[str] = ()

    @property
    def p_pass(self) -> float | None:
        """As in the verdict; None where it does not count."""
        return self.verdict.p_pass if self.verdict and self.fits else None


def decide(facts: GroupFacts, policy: MissionPolicy | None, reasons_by: Rule | None = None) -> Decided:
    """What happens to the group. `policy`: None where the policy lacks its mission.

    `reasons_by`: the rule under which the reason must hold. None: it need not hold.
    """
    unknown = _not_known(facts)
    if unknown:
        return unknown
    if policy is None:
        return Decided("review", "策略中没有此检查项", "the policy does not have the mission")
    release, block = _threshold(policy, "release"), _threshold(policy, "block")
    if release is None and block is None:
        return Decided("review", "策略中此检查项没有阈值", "the policy has no threshold for the mission")
    assert facts.verdict is not None
    p_pass = facts.verdict.p_pass
    if p_pass is None:
        return Decided("review", "判定结果没有通过概率", "no p_pass")
    decision = policy.decide(p_pass)
    if reasons_by and decision != "review" and (wrong := _wrong_with_reason(facts, decision, reasons_by)):
        return Decided("review", f"理由不成立：{wrong}", "the reason is not grounded")
    reason = f"通过概率 {p_pass:.6f} {_compared(p_pass, release, block)}"
    return Decided(decision, reason, "between the thresholds" if decision == "review" else "")


@dataclass(frozen=True, slots=True)
class MissionUnderPolicy:
    """A mission whose groups a policy decides about."""

    mission: str
    policy: Policy
    comparison: PolicyComparison
    rule: Rule
    missing: Mapping[GroupKey, Sequence[Fault]]  # groups that Stage-A failed on

    @classmethod
    def of_missions(
        cls,
        path: Path,
        policy: Policy,
        files: Mapping[str, Collection[Path]],
        missing: Mapping[GroupKey, Sequence[Fault]],
        known: Missions,
    ) -> dict[str, Self]:
        """By mission. `files`: the Stage-A files with groups of each mission."""
        rules = {mission: known.get(mission).rule for mission in files}
        return {
            mission: cls(mission, policy, PolicyComparison(path, policy, mission, tuple(read)), rules[mission], missing)
            for mission, read in files.items()
        }

    def check(self, judge: Mapping[str, Any]) -> list[str]:
        """Warnings. Raises PolicyError where judge or summaries are not those of the policy."""
        return self.comparison.check(judge, self.rule.to_dict())

    def write_decisions(self, files: RunFiles[VerdictRecord], groups: Sequence[StageARecord]) -> DecisionCounts:
        """Replaces the mission's decisions by those about these groups, and about those that Stage-A failed on."""
        facts = self._facts(files, groups)
        of_mission, moment = self.policy.missions.get(self.mission), now()
        reasons_by = None if self.policy.require_grounded is None else self.rule
        decided = {key: decide(one, of_mission, reasons_by) for key, one in facts.items()}
        files.replace_decisions(
            DecisionRecord(
                **key._asdict(), decision=one.decision, reason=one.reason, p_pass=facts[key].p_pass,
                policy=self.policy.sha256, timestamp=moment,
            )
            for key, one in decided.items()
        )  # fmt: skip
        return _count(files.decisions, decided.values(), len(files.lines.done.keys() - facts.keys()))

    def _facts(self, files: RunFiles[VerdictRecord], groups: Sequence[StageARecord]) -> dict[GroupKey, GroupFacts]:
        verdicts = {record.key: record for record in files.lines.records()}
        failing = files.errors.failing
        facts = {}
        for group in groups:
            verdict = verdicts.get(group.key)
            fits = verdict is not None and verdict.belongs_to(group)
            facts[group.key] = GroupFacts(
                verdict, fits, failing.get(group.key, ()), summaries=tuple(group.per_image.values())
            )
        for key, faults in self.missing.items():
            if key.mission == self.mission and key not in facts:
                facts[key] = GroupFacts(None, False, (), faults)
        return facts


def _count(file: Path, decided: Iterable[Decided], elsewhere: int) -> DecisionCounts:
    decided = list(decided)
    counts = Counter(one.decision for one in decided)
    why = Counter(one.why for one in decided if one.decision == "review")
    review = dict(why.most_common())
    return DecisionCounts(file, counts["release"], counts["block"], counts["review"], review, elsewhere)


def missing_of(files: Iterable[Path], known: Missions) -> dict[GroupKey, list[Fault]]:
    """The groups that Stage-A failed on, from the errors files beside its files."""
    faults = [fault for file in files for _, fault in read_faults(RunPaths.beside(file).errors)]
    return latest_attempts(
        fault.model_copy(update={"mission": canonical_key(fault.key, known).mission}) for fault in faults
    )


def undecided_warnings(missing: Iterable[GroupKey], missions: Collection[str]) -> list[str]:
    """A warning for each mission on all of whose groups Stage-A failed. `missions`: those that are judged."""
    counts = Counter(key.mission for key in missing if key.mission not in missions)
    return [
        f"{mission}: Stage-A failed on all of its groups ({count}). No decisions are written: a person reads them"
        for mission, count in counts.items()
    ]


def _not_known(facts: GroupFacts) -> Decided | None:
    """The review of a group without a verdict that counts; None: there is one."""
    if facts.missing:
        return Decided("review", f"照片没有摘要：{_first(facts.missing)}", "failed in Stage-A")
    if facts.verdict is None and facts.faults:
        return Decided("review", f"判定失败：{_first(facts.faults)}", "failed")
    if facts.verdict is None:
        return Decided("review", "尚未判定", "not judged yet")
    if not facts.fits:
        return Decided("review", "判定依据的摘要与现有摘要不同", "judged from other summaries")
    if facts.verdict.summaries_sha256 is None:
        return Decided("review", "判定结果没有注明依据的摘要", "the verdict does not name its summaries")
    return None


def _wrong_with_reason(facts: GroupFacts, decision: Decision, rule: Rule) -> str:
    """What is wrong with the reason, as that of this decision; "" where it holds."""
    assert facts.verdict is not None
    reasons = GroupReasons(rule, map(parse, map(escape_surrogates, facts.summaries)))
    check = reasons.check(decision == "release", facts.verdict.reason)
    return truncate(printable(escape_surrogates("；".join(explain(check.problems, "zh")))), LONGEST)


def _compared(p_pass: float, release: float | None, block: float | None) -> str:
    """How p_pass compares with the thresholds that there are."""
    parts = []
    if release is not None:
        parts.append(f"{'不低于' if p_pass >= release else '低于'}放行阈值 {release}")
    if block is not None:
        parts.append(f"{'低于' if p_pass < block else '不低于'}拦截阈值 {block}")
    return "，".join(parts)


def _threshold(policy: MissionPolicy, side: str) -> float | None:
    promise = policy.release if side == "release" else policy.block
    return promise.threshold if promise else None


def _first(faults: Sequence[Fault]) -> str:
    text = printable(" ".join(escape_surrogates(faults[0].message).split()))
    return f"{faults[0].step}: {truncate(text, LONGEST)}"
