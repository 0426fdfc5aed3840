"""The result of `yanshou evaluate`: figures of the judge, of the rules and of always-pass, on the same groups.

    evaluation = evaluate([Path("out/挡风板安装检查_verdicts.jsonl")], None, load_missions(), threshold=0.9)
    evaluation.overall.judge.false_release
    write_groups(evaluation.groups, Path("out"))

Always-pass releases every group, including errors. A judge whose balanced accuracy is not above that of always-pass has
learned nothing. The rules decide about the same summaries. With a threshold, given or chosen for a limit on false
releases, the judge's verdict is pass if and only if p_pass ≥ P; the other two do not change. A threshold looks better
than it is on the set on which it was chosen, so reliable figures come from another set.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from yanshou.errors import UsageError
from yanshou.evaluate.figures import EvaluationFigures
from yanshou.evaluate.judged_groups import JudgedGroup, read_judged
from yanshou.evaluate.judges import judge_warnings, judges_of_missions, one_judge
from yanshou.evaluate.sources import read_run
from yanshou.evaluate.threshold import ThresholdChoice, choose_threshold
from yanshou.evaluate.worth import Worth
from yanshou.missions import Missions
from yanshou.schema.run_record import RunRecord
from yanshou.settings import ThresholdSettings
from yanshou.validation import validation_message

CONFIDENCE = ThresholdSettings().confidence


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that a report needs: the figures, and what is known about every group."""

    groups: tuple[JudgedGroup, ...]  # with verdicts after the threshold
    overall: EvaluationFigures | None  # of all missions; None: different judges judged them
    missions: Mapping[str, EvaluationFigures]  # in the order of the groups
    worth: Mapping[str, Worth]  # by mission
    threshold: float | None  # None: verdicts as written in the files
    choice: ThresholdChoice | None  # the result of --max-false-release
    confidence: float  # of the intervals
    verdict_files: tuple[Path, ...]
    stage_a_files: tuple[Path, ...]
    unbound: int  # verdicts that do not name the summaries they were judged from
    warnings: tuple[str, ...]
    runs: Mapping[Path, RunRecord | None]  # file → its run.json; None: missing or damaged

    def to_dict(self) -> dict[str, Any]:
        """For --json: shares are between 0 and 1, or null if there are no groups to count."""
        return {
            "verdict_files": list(map(str, self.verdict_files)),
            "stage_a_files": list(map(str, self.stage_a_files)),
            "threshold": self.threshold,
            "choice": self.choice and self.choice.to_dict(),
            "confidence": self.confidence,
            "overall": self.overall and self.overall.to_dict(self.confidence),
            "missions": {name: self._mission(name) for name in self.missions},
            "unbound_verdicts": self.unbound,
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
    confidence: float = CONFIDENCE,
    only: Sequence[Path] = (),
    allow_shared_photos: bool = False,
) -> Evaluation:
    """Reads the files and computes the figures. `stage_a_files`: None takes those named by the verdicts' run files.

    `only`: dataset files (`val.jsonl`), to whose groups the evaluation is limited. `allow_shared_photos`: lines of two
    labels may name the same photo, with a warning. Raises UsageError for impossible options, and InputError or
    DamagedFileError for files that cannot be used.
    """
    settings = _settings(threshold, max_false_release, confidence)
    read = read_judged(verdict_files, stage_a_files, missions, only, allow_shared_photos=allow_shared_photos)
    runs = {file: read_run(file) for file in (*verdict_files, *read.stage_a_files)}
    judges = judges_of_missions(read.verdict_files, runs)
    choice = None
    if settings.max_false_release is not None:
        choice = _choose_threshold(read.groups, settings.max_false_release, settings.confidence)
    chosen = choice.threshold if choice else settings.threshold
    groups = read.groups if chosen is None else _apply_threshold(read.groups, chosen)
    parts = _by_mission(groups)
    judges = {name: judges[name] for name in parts}
    judge = one_judge(list(judges.values()))
    return Evaluation(
        groups=groups,
        overall=EvaluationFigures.of(groups, judge) if judge else None,
        missions={name: EvaluationFigures.of(part, judges[name]) for name, part in parts.items()},
        worth={name: Worth.of(part) for name, part in parts.items()},
        threshold=chosen,
        choice=choice,
        confidence=settings.confidence,
        verdict_files=tuple(verdict_files),
        stage_a_files=read.stage_a_files,
        unbound=read.unbound,
        warnings=(*read.warnings, *judge_warnings(judges, read.verdict_files)),
        runs=runs,
    )


def _settings(threshold: float | None, max_false_release: float | None, confidence: float) -> ThresholdSettings:
    try:
        return ThresholdSettings(threshold=threshold, max_false_release=max_false_release, confidence=confidence)
    except ValidationError as error:
        raise UsageError(f"{validation_message(error)}.") from error


def _choose_threshold(groups: Sequence[JudgedGroup], limit: float, confidence: float) -> ThresholdChoice:
    scores: dict[str | None, list[float]] = {"pass": [], "fail": [], None: []}
    for group in groups:
        if group.verdict:
            scores[group.label].append(_p_pass(group))
    return choose_threshold(scores["pass"], scores["fail"], limit, confidence)


def _apply_threshold(groups: Iterable[JudgedGroup], threshold: float) -> tuple[JudgedGroup, ...]:
    return tuple(
        replace(group, verdict="pass" if _p_pass(group) >= threshold else "fail") if group.verdict else group
        for group in groups
    )


def _p_pass(group: JudgedGroup) -> float:
    if group.p_pass is None:
        raise UsageError(
            f"group {group.key} has no p_pass: rules, reasoning models and most servers give none, so their verdicts "
            "cannot have a threshold. Leave out --threshold and --max-false-release, or judge with a checkpoint."
        )
    return group.p_pass


def _by_mission(groups: Iterable[JudgedGroup]) -> dict[str, list[JudgedGroup]]:
    parts: dict[str, list[JudgedGroup]] = {}
    for group in groups:
        parts.setdefault(group.key.mission, []).append(group)
    return parts
