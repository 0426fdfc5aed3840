"""What the workers of a run must have in common: checkpoint, versions and GPU."""

from collections.abc import Mapping
from typing import Any

from yanshou.engines.workers.messages import WorkerFacts
from yanshou.errors import CheckpointError, RunError
from yanshou.storage.settings_diff import ABSENT, differences
from yanshou.text import truncate

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


def _hardware(facts: WorkerFacts) -> dict[str, Any]:
    return {"GPU": facts.device, **{name: text for name, text in facts.versions.items() if name not in FREE}}


def _difference(first: WorkerFacts, other: WorkerFacts, one: Mapping[str, Any], two: Mapping[str, Any]) -> str:
    """The first value that differs, with both hosts."""
    for change in differences(one, two):
        values = ["none" if value is ABSENT else truncate(str(value), LONGEST) for value in (change.file, change.run)]
        return f"{change.key} is {values[0]} on {first.host}, {values[1]} on {other.host}"
    return ""
