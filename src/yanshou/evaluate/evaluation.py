"""The result of `yanshou evaluate`: figures of the judge and of baselines, on the same groups.

    files = [Path("out/挡风板安装检查_verdicts.jsonl")]
    evaluation = evaluate(files, None, load_missions(), ThresholdSettings(threshold=0.9))
    evaluation.overall.judge.false_release
    write_groups(evaluation.groups, Path("out"))

Always-pass releases every group, including errors. A judge whose balanced accuracy is not above that of always-pass has
learned nothing. The rules decide about the same summaries, and `worth.py` has what a simple model learns from them.

With a given threshold, the judge's verdict is pass if and only if p_pass ≥ P; the other two do not change. With limits
on false releases or false blocks the verdicts stay as they are: a policy with thresholds per mission decides which
groups are released, blocked, or left to a person. Thresholds look better than they are on the set on which they were
found; what holds elsewhere is their promise.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from yanshou.errors import UsageError
from yanshou.evaluate.decision_counts import DecisionCounts
from yanshou.evaluate.figures import EvaluationFigures
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.judged_groups import JudgedGroups, read_judged
from yanshou.evaluate.judges import Judge, judge_warnings, judges_of_missions, one_judge
from yanshou.evaluate.policy import build_policy, decide_groups, unbound_warnings, unfounded
from yanshou.evaluate.promises import Promises, find_promises
from yanshou.evaluate.training_check import training_warnings
from yanshou.evaluate.worth import Worth, learned_verdicts, worth_warnings
from yanshou.missions import Missions
from yanshou.schema.label_row import LabelsUsed
from yanshou.schema.policy import Policy
from yanshou.schema.run_record import RunRecord
from yanshou.settings import ThresholdSettings

AS_WRITTEN = ThresholdSettings()  # the verdicts of the files, and no promise


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that a report needs: the figures, and what is known about every group."""

    groups: tuple[JudgedGroup, ...]  # with verdicts after the threshold, and decisions under the policy
    overall: EvaluationFigures | None  # of all missions; None: different judges judged them
    missions: Mapping[str, EvaluationFigures]  # in the order of the groups
    worth: Mapping[str, Worth]  # by mission
    threshold: float | None  # None: verdicts as written in the files
    promises: Promises | None  # the result of --max-false-release and --max-false-block
    policy: Policy | None  # these promises as policy.json
    confidence: float  # of the intervals
    verdict_files: tuple[Path, ...]
    stage_a_files: tuple[Path, ...]
    unbound: int  # verdicts that do not name the summaries they were judged from
    warnings: tuple[str, ...]
    runs: Mapping[Path, RunRecord | None]  # file → its run.json; None: missing or damaged
    labels: LabelsUsed | None = None  # None: no labels files, so each group has its folder's label

    def decisions(self) -> dict[str, DecisionCounts]:
        """What the policy decides in each mission; empty without one."""
        if self.policy is None:
            return {}
        return {name: self._decisions(part) for name, part in _by_mission(self.groups).items()}

    def all_decisions(self) -> DecisionCounts | None:
        """What the policy decides in all missions together. None: there is no policy."""
        return self._decisions(self.groups) if self.policy else None

    def unfounded(self) -> int | None:
        """Groups that a person gets only because their reason does not hold. None: the policy does not ask for that."""
        if self.policy is None or self.policy.require_grounded is None:
            return None
        return unfounded(self.groups, self.policy)

    @staticmethod
    def _decisions(groups: Iterable[JudgedGroup]) -> DecisionCounts:
        return DecisionCounts.of((group.label, group.decision) for group in groups)

    def to_dict(self) -> dict[str, Any]:
        """For --json: shares are between 0 and 1, or null if there are no groups to count."""
        return {
            "verdict_files": list(map(str, self.verdict_files)),
            "stage_a_files": list(map(str, self.stage_a_files)),
            "threshold": self.threshold,
            "promises": self.promises and self.promises.to_dict(),
            "decisions": {name: counts.to_dict(self.confidence) for name, counts in self.decisions().items()},
            "unfounded": self.unfounded(),
            "policy": self.policy and self.policy.content(),
            "confidence": self.confidence,
            "overall": self.overall and self.overall.to_dict(self.confidence),
            "missions": {name: self._mission(name) for name in self.missions},
            "unbound_verdicts": self.unbound,
            "labels": self.labels and self.labels.model_dump(),
            "warnings": list(self.warnings),
        }

    def _mission(self, name: str) -> dict[str, Any]:
        return {**self.missions[name].to_dict(self.confidence), **self.worth[name].to_dict(self.confidence)}


def evaluate(
    verdict_files: Sequence[Path],
    stage_a_files: Sequence[Path] | None,
    missions: Missions,
    settings: ThresholdSettings = AS_WRITTEN,
    *,
    only: Sequence[Path] = (),
    labels: Sequence[Path] = (),
    allow_shared_photos: bool = False,
) -> Evaluation:
    """Reads the files and computes the figures. `stage_a_files`: None takes those named by the verdicts' run files.

    `only`: dataset files (`val.jsonl`), to whose groups the evaluation is limited. `labels`: labels files, whose latest
    row about a group replaces the folder's label in all figures. `allow_shared_photos`: lines of two labels may name
    the same photo, with a warning. Raises UsageError where the verdicts have no p_pass that a threshold needs, and
    InputError or DamagedFileError for files that cannot be used.
    """
    read = read_judged(
        verdict_files, stage_a_files, missions, only, labels=labels, allow_shared_photos=allow_shared_photos
    )
    judges = judges_of_missions(read.verdict_files, read.runs)
    decided = _decide(read, missions, settings)
    judges = {name: judges[name] for name in _by_mission(read.groups)}
    if settings.pooled and one_judge(list(judges.values())) is None:
        raise UsageError("--pooled: the missions were judged by different judges, so they cannot share a threshold.")
    figures = _Figures.of(decided.groups, judges, missions, settings.confidence)
    return Evaluation(
        groups=decided.groups,
        overall=figures.overall,
        missions=figures.missions,
        worth=figures.worth,
        threshold=settings.threshold,
        promises=decided.promises,
        policy=decided.policy,
        confidence=settings.confidence,
        verdict_files=tuple(verdict_files),
        stage_a_files=read.stage_a_files,
        unbound=read.unbound,
        labels=read.labels,
        warnings=(
            *read.warnings,
            *judge_warnings(judges, read.verdict_files),
            *worth_warnings(figures.worth, judges),
            *unbound_warnings(decided.policy),
            *training_warnings(decided.policy),
        ),
        runs=read.runs,
    )


class _Decided(NamedTuple):
    """The groups with the verdicts of a threshold, or with the decisions of a policy."""

    groups: tuple[JudgedGroup, ...]
    promises: Promises | None = None
    policy: Policy | None = None


def _decide(read: JudgedGroups, missions: Missions, settings: ThresholdSettings) -> _Decided:
    if settings.threshold is not None:
        return _Decided(_apply_threshold(read.groups, settings.threshold))
    promises = find_promises(read.groups, settings)
    if promises is None:
        return _Decided(read.groups)
    policy = build_policy(promises, read, missions if settings.require_grounded else None)
    return _Decided(decide_groups(read.groups, policy), promises, policy)


class _Figures(NamedTuple):
    overall: EvaluationFigures | None
    missions: dict[str, EvaluationFigures]
    worth: dict[str, Worth]

    @classmethod
    def of(
        cls, groups: Sequence[JudgedGroup], judges: Mapping[str, Judge], missions: Missions, confidence: float
    ) -> Self:
        parts, judge = _by_mission(groups), one_judge(list(judges.values()))
        worth = {name: Worth.of(part, missions.get(name).rule, confidence) for name, part in parts.items()}
        return cls(
            EvaluationFigures.of(groups, judge, learned_verdicts(worth)) if judge else None,
            {name: EvaluationFigures.of(part, judges[name], worth[name].learned) for name, part in parts.items()},
            worth,
        )


def _apply_threshold(groups: Iterable[JudgedGroup], threshold: float) -> tuple[JudgedGroup, ...]:
    return tuple(
        replace(group, verdict="pass" if _p_pass(group) >= threshold else "fail") if group.verdict else group
        for group in groups
    )


def _p_pass(group: JudgedGroup) -> float:
    if group.p_pass is None:
        raise UsageError(
            f"group {group.key} has no p_pass: rules, reasoning models and most servers give none, so their verdicts "
            "cannot have a threshold. Leave out --threshold, or judge with a checkpoint."
        )
    return group.p_pass


def _by_mission(groups: Iterable[JudgedGroup]) -> dict[str, list[JudgedGroup]]:
    parts: dict[str, list[JudgedGroup]] = {}
    for group in groups:
        parts.setdefault(group.key.mission, []).append(group)
    return parts
