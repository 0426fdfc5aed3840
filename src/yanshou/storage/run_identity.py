"""What a policy binds to: the part of a run file that decides what its lines say."""

from typing import Any

from yanshou.schema.run_record import RunRecord

NOT_BOUND = ("threshold", "stage_a")  # a policy has thresholds of its own, and decides about other groups


def run_identity(run: RunRecord) -> dict[str, Any]:
    """Fingerprints, prompts, pixel settings, dtype, quantisation, sampling, and the engine's name."""
    settings = {key: value for key, value in run.settings.items() if key not in NOT_BOUND}
    return {**settings, "engine": run.environment.get("engine")}
