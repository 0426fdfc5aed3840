"""Makes the promises of an evaluation a file, `policy.json`, that `yanshou judge --policy` decides by.

    promises ─────────────────────┐
    run files of both stages ─────┼─ build_policy ─ Policy ─ decide ─ groups with decisions
    labels, dataset files (--only)┘

A policy decides about the verdicts of one judge from the summaries of one Stage-A: so it holds what identifies both,
per mission, and two Stage-A files of a mission that were made differently are refused.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from yanshou.errors import InputError
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.judged_groups import JudgedGroups
from yanshou.evaluate.promises import Promises, SidePromises
from yanshou.evaluate.threshold import Promise
from yanshou.evaluate.training_check import Known, check_training_groups
from yanshou.missions import Missions
from yanshou.schema.policy import (
    FORMAT,
    Decision,
    FileDigest,
    LabelSource,
    MissionPolicy,
    Policy,
    PolicySide,
    policy_sha256,
)
from yanshou.schema.records import now
from yanshou.schema.run_record import RunRecord
from yanshou.stage_b.dataset_files import file_sha256
from yanshou.storage.jsonl import as_json
from yanshou.storage.run_identity import run_identity
from yanshou.storage.settings_diff import differences
from yanshou.version import __version__

NAME = "policy.json"
Runs = Mapping[Path, RunRecord | None]


def build_policy(promises: Promises, read: JudgedGroups, by_rules_of: Missions | None = None) -> Policy:
    """The policy of an evaluation. `by_rules_of`: the missions by whose rules a reason must hold; None: it need not.

    Raises InputError where files of one mission were made differently, or the judge was trained on these groups.
    """
    trained = check_training_groups(read)
    missions = {name: _mission(name, sides, read, trained.get(name)) for name, sides in promises.missions.items()}
    policy = Policy(
        format=FORMAT,
        yanshou=__version__,
        created=now(),
        confidence=promises.confidence,
        pooled=promises.pooled,
        missions=missions,
        labels=_labels(read),
        only=_digests(read.only),
        require_grounded=None if by_rules_of is None else _rules(by_rules_of, missions),
        sha256="",
    )
    return policy.model_copy(update={"sha256": policy_sha256(policy.content())})


def to_json(policy: Policy) -> bytes:
    """The content of policy.json."""
    text = json.dumps(policy.content(), ensure_ascii=False, indent=1, allow_nan=False)
    return f"{text}\n".encode("utf-8", errors="backslashreplace")


def decide_groups(groups: Iterable[JudgedGroup], policy: Policy) -> tuple[JudgedGroup, ...]:
    """The groups with their decisions. Without a verdict that counts, a person decides."""
    return tuple(replace(group, decision=_decision(group, policy)) for group in groups)


def unfounded(groups: Iterable[JudgedGroup], policy: Policy) -> int:
    """How many of the decided groups a person gets only because their reason does not hold."""
    return sum(group.decision == "review" != _by_threshold(group, policy) for group in groups)


def _decision(group: JudgedGroup, policy: Policy) -> Decision:
    decision = _by_threshold(group, policy)
    if policy.require_grounded is None or decision == "review":
        return decision
    check = group.reason_checks and group.reason_checks["pass" if decision == "release" else "fail"]
    return decision if check and check.holds else "review"


def _by_threshold(group: JudgedGroup, policy: Policy) -> Decision:
    return policy.missions[group.key.mission].decide(group.p_pass if group.verdict else None)


def unbound_warnings(policy: Policy | None) -> Iterable[str]:
    """A warning for each stage that is unknown, with its missions: the policy cannot be compared with another run."""
    missions = policy.missions if policy else {}
    if judged := ", ".join(name for name, mission in missions.items() if mission.judge is None):
        yield (
            f"{judged}: no run file says what made the verdicts, so `yanshou judge` refuses this policy. Put the run "
            "file back beside them, and evaluate again"
        )
    if summarized := ", ".join(name for name, mission in missions.items() if mission.summaries is None):
        yield (
            f"{summarized}: no run file says what made the summaries, so this policy fits only Stage-A files of which "
            "that is unknown, too. Put the run file back beside them, and evaluate again"
        )


def _mission(name: str, sides: SidePromises, read: JudgedGroups, trained: Known) -> MissionPolicy:
    labels = [group.label for group in read.groups if group.key.mission == name]
    return MissionPolicy(
        release=_side(sides.release),
        block=_side(sides.block),
        groups=len(labels),
        human_passes=labels.count("pass"),
        human_fails=labels.count("fail"),
        judge=_identity(name, read.verdict_files.get(name, ()), read.runs),
        summaries=_identity(name, read.stage_a_of_missions.get(name, ()), read.runs),
        trained_on_these=trained,
    )


def _rules(missions: Missions, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    return {name: as_json(missions.get(name).rule.to_dict()) for name in names}


def _labels(read: JudgedGroups) -> LabelSource:
    return LabelSource(
        folders=sum(group.label is not None and group.label == group.key.label for group in read.groups),
        corrected=sum(group.label != group.key.label for group in read.groups),
        files=read.labels.files if read.labels else [],
    )


def _side(promise: Promise | None) -> PolicySide | None:
    if promise is None:
        return None
    return PolicySide(
        limit=promise.limit,
        threshold=promise.threshold,
        observed=promise.errors.count,
        of=promise.errors.of,
        needed=promise.needed,
        why=promise.why,
    )


def _identity(mission: str, files: Sequence[Path], runs: Runs) -> dict[str, Any] | None:
    """What made the files of one mission; None: unknown for at least one of them."""
    found: dict[str, Any] | None = None
    for path in files:
        run = runs[path]
        if run is None:
            return None
        identity = run_identity(run)
        if found is not None and (changes := list(differences(found, identity))):
            keys = ", ".join(change.key for change in changes)
            raise InputError(
                f"{mission}: {files[0]} and {path} were made differently ({keys}), and a policy is about one way of "
                "making them. Evaluate them one at a time, each with its own --output-dir."
            )
        found = identity
    return found


def _digests(paths: Iterable[Path]) -> list[FileDigest]:
    return [FileDigest(file=path.name, sha256=_digest(path)) for path in paths]


def _digest(path: Path) -> str:
    if not path.is_file():  # a pipe has been read, and cannot be read again
        raise InputError(f"{path}: not a plain file, so a policy cannot name its SHA-256. Write it to a file first.")
    return file_sha256(path)
