"""The result of `yanshou evaluate`: figures of the judge and of baselines, on the same groups.

    evaluation = evaluate([Path("out/挡风板安装检查_verdicts.jsonl")], None, load_missions(), threshold=0.9)
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
from typing import Any

from pydantic import ValidationError

from yanshou.errors import UsageError
from yanshou.evaluate.decision_counts import DecisionCounts
from yanshou.evaluate.figures import EvaluationFigures
from yanshou.evaluate.judged_groups import JudgedGroup, JudgedGroups, read_judged
from yanshou.evaluate.judges import judge_warnings, judges_of_missions, one_judge
from yanshou.evaluate.policy import build_policy, decide_groups, unbound_warnings, unfounded
from yanshou.evaluate.promises import Promises, find_promises
from yanshou.evaluate.sources import read_run
from yanshou.evaluate.training_groups import training_warnings
from yanshou.evaluate.worth import Worth, learned_verdicts, worth_warnings
from yanshou.missions import Missions
from yanshou.schema.label_row import LabelsUsed
from yanshou.schema.policy import Policy
from yanshou.schema.run_record import RunRecord
from yanshou.settings import ThresholdSettings
from yanshou.storage.jsonl import as_json
from yanshou.validation import validation_message

CONFIDENCE = ThresholdSettings().confidence


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
    *,
    threshold: float | None = None,
    max_false_release: float | None = None,
    max_false_block: float | None = None,
    pooled: bool = False,
    require_grounded: bool = False,
    confidence: float = CONFIDENCE,
    only: Sequence[Path] = (),
    labels: Sequence[Path] = (),
    allow_shared_photos: bool = False,
) -> Evaluation:
    """Reads the files and computes the figures. `stage_a_files`: None takes those named by the verdicts' run files.

    `only`: dataset files (`val.jsonl`), to whose groups the evaluation is limited. `labels`: labels files, whose latest
    row about a group replaces the folder's label in all figures. `allow_shared_photos`: lines of two labels may name
    the same photo, with a warning. `require_grounded`: the policy leaves groups to a person whose reason does not hold.
    Raises UsageError for impossible options, and InputError or DamagedFileError for files that cannot be used.
    """
    settings = _settings(
        threshold=threshold, max_false_release=max_false_release, max_false_block=max_false_block, pooled=pooled,
        require_grounded=require_grounded, confidence=confidence,
    )  # fmt: skip
    read = read_judged(
        verdict_files, stage_a_files, missions, only, labels=labels, allow_shared_photos=allow_shared_photos
    )
    runs = {file: read_run(file) for file in (*verdict_files, *read.stage_a_files)}
    judges = judges_of_missions(read.verdict_files, runs)
    groups = read.groups if settings.threshold is None else _apply_threshold(read.groups, settings.threshold)
    promises = find_promises(groups, settings)
    policy = None
    if promises is not None:
        policy = _policy(promises, groups, read, runs, only, missions if require_grounded else None)
        groups = decide_groups(groups, policy)
    parts = _by_mission(groups)
    judges = {name: judges[name] for name in parts}
    judge = one_judge(list(judges.values()))
    if settings.pooled and judge is None:
        raise UsageError("--pooled: the missions were judged by different judges, so they cannot share a threshold.")
    worth = {name: Worth.of(part, missions.get(name).rule, settings.confidence) for name, part in parts.items()}
    return Evaluation(
        groups=groups,
        overall=EvaluationFigures.of(groups, judge, learned_verdicts(worth)) if judge else None,
        missions={name: EvaluationFigures.of(part, judges[name], worth[name].learned) for name, part in parts.items()},
        worth=worth,
        threshold=settings.threshold,
        promises=promises,
        policy=policy,
        confidence=settings.confidence,
        verdict_files=tuple(verdict_files),
        stage_a_files=read.stage_a_files,
        unbound=read.unbound,
        labels=read.labels,
        warnings=(
            *read.warnings,
            *judge_warnings(judges, read.verdict_files),
            *worth_warnings(worth, judges),
            *unbound_warnings(policy),
            *training_warnings(policy),
        ),
        runs=runs,
    )


def _policy(
    promises: Promises,
    groups: Sequence[JudgedGroup],
    read: JudgedGroups,
    runs: Mapping[Path, RunRecord | None],
    only: Sequence[Path],
    by_rules_of: Missions | None,
) -> Policy:
    """The promises as a policy. `by_rules_of`: the missions by whose rules a reason must hold; None: it need not."""
    labels = read.labels.files if read.labels else ()
    rules = None if by_rules_of is None else {one.name: as_json(one.rule.to_dict()) for one in by_rules_of}
    return build_policy(promises, groups, read.verdict_files, read.stage_a_of_missions, runs, only, labels, rules)


def _settings(**given: Any) -> ThresholdSettings:
    try:
        return ThresholdSettings(**given)
    except ValidationError as error:
        raise UsageError(f"{validation_message(error)}.") from error


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
