"""Whether a judge was trained on the groups of an evaluation: then its thresholds promise nothing about new groups.

    run file of the verdicts ─ checkpoint's folder ─ training_groups ─┬─ holds evaluated groups: no policy
                                                                      ├─ holds none of them: known (false)
    no such file, or one of another checkpoint ───────────────────────┴─ not known (null), with a warning

Without that file, the card of a dataset says which of its files is for training: no policy from that one.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from yanshou.errors import InputError
from yanshou.evaluate.judged_groups import JudgedGroups
from yanshou.evaluate.judges import Judge
from yanshou.schema.policy import Policy
from yanshou.schema.records import GroupKey
from yanshou.schema.run_record import RunRecord
from yanshou.stage_b.dataset_files import is_training_file
from yanshou.stage_b.training_groups import TrainingGroups, read_training_groups, trained_on

Known = Literal[False] | None
CURE = "Evaluate groups that it was not trained on: --only data/val.jsonl, of the dataset that it was trained with."


def check_training_groups(read: JudgedGroups) -> dict[str, Known]:
    """By mission: False, none of its groups was trained on; None, unknown. Raises InputError where some were."""
    found: dict[str, Known] = {}
    for mission in dict.fromkeys(group.key.mission for group in read.groups):
        keys = [group.key for group in read.groups if group.key.mission == mission]
        known = [_known(keys, path, read.runs[path]) for path in read.verdict_files.get(mission, ())]
        found[mission] = False if known and None not in known else None
    if None in found.values():
        _check_only(read.only)
    return found


def training_warnings(policy: Policy | None) -> Iterable[str]:
    """What is not known about the training of the judges."""
    unknown = [name for name, mission in policy.missions.items() if mission.trained_on_these is None] if policy else []
    if unknown:
        yield (
            "it is not known whether the judge was trained on groups of this evaluation "
            f"({', '.join(unknown)}): nothing beside its checkpoint lists all groups that it was trained on. If it "
            "was, the policy promises nothing about new groups"
        )


def _known(keys: Sequence[GroupKey], path: Path, run: RunRecord | None) -> Known:
    if run is None:
        return None
    if Judge.of(run).kind == "rules":
        return False
    record = _record(run)
    if record is None:
        return None
    if trained := trained_on(keys, record):
        raise InputError(
            f"{path}: the judge was trained on {len(trained)} of the evaluated groups, first {min(map(str, trained))}, "
            f"so a policy from them promises nothing about new groups. {CURE}"
        )
    complete = record.complete and not record.unnamed_rows and run.settings.get("adapter") is None
    return False if complete else None


def _record(run: RunRecord) -> TrainingGroups | None:
    """That of the weights which judged; None where there is none, or the folder holds another checkpoint by now."""
    for environment in run.environments():
        folder = environment.get("checkpoint_folder")
        record = read_training_groups(Path(folder)) if isinstance(folder, str) else None
        if record and record.checkpoint == run.settings.get("checkpoint"):
            return record
    return None


def _check_only(only: Iterable[Path]) -> None:
    for path in only:
        if is_training_file(path):
            raise InputError(
                f"{path}: by the card beside it this file is for training, and nothing says that the judge was not "
                f"trained on it, so there is no policy from its groups. {CURE}"
            )
