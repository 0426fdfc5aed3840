"""What the workers of a run must have in common: checkpoint, versions, GPU, and the capacity that all of them have."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from yanshou.engines.base import RunPlan
from yanshou.engines.workers.messages import WorkerFacts, WorkerPlan
from yanshou.errors import CheckpointError, RunError
from yanshou.storage.settings_diff import ABSENT, differences
from yanshou.text import truncate

CAPACITY = ("slots", "prefill_batch_tokens", "prefill_batch_visual_tokens")  # as an environment records it
FREE = ("python",)  # versions that may differ: no answer depends on them
LONGEST = 24  # characters of a value in a message


def check_alike(first: WorkerFacts, other: WorkerFacts, mixed: bool) -> None:
    """Raises CheckpointError for another checkpoint or dtype, and RunError, unless `mixed`, for another GPU or version.

    A CheckpointError ends the run over all missions.
    """
    if difference := _difference(first, other, first.identity, other.identity):
        raise CheckpointError(
            f"the workers' answers would differ: {difference}. Give all hosts the same checkpoint and the same yanshou."
        )
    if not mixed and (difference := _difference(first, other, _hardware(first), _hardware(other))):
        raise RunError(
            f"the workers differ: {difference}. The same photo could get another line. Make them alike, choose fewer "
            "--workers, or accept it with --mixed-workers."
        )


def smallest(plans: Iterable[WorkerPlan]) -> dict[str, int]:
    """The smallest capacity over all workers; {} for an engine without one."""
    environments = [plan.environment for plan in plans]
    return {
        name: min(environment[name] for environment in environments)
        for name in CAPACITY
        if all(name in environment for environment in environments)
    }


def has(plan: WorkerPlan, capacity: Mapping[str, int]) -> bool:
    return plan.environment.items() >= capacity.items()


def imposing(run: RunPlan, plan: WorkerPlan, capacity: Mapping[str, int]) -> RunPlan:
    """The run for a worker that is to have this capacity: as if an earlier run in the same place had had it."""
    earlier: dict[str, Any] = {**plan.environment, **capacity}
    return replace(run, earlier=[earlier, *run.earlier])


def _hardware(facts: WorkerFacts) -> dict[str, Any]:
    return {"GPU": facts.device, **{name: text for name, text in facts.versions.items() if name not in FREE}}


def _difference(first: WorkerFacts, other: WorkerFacts, one: Mapping[str, Any], two: Mapping[str, Any]) -> str:
    """The first value that differs, with both hosts."""
    for change in differences(one, two):
        values = ["none" if value is ABSENT else truncate(str(value), LONGEST) for value in (change.file, change.run)]
        return f"{change.key} is {values[0]} on {first.host}, {values[1]} on {other.host}"
    return ""
