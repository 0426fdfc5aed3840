"""What a policy binds to: the part of a run file that decides what its lines say.

settings       checkpoint, dtype, quantize, kv_cache, prompts, photo, …   all but `threshold` and `stage_a`
environments   engine, of all lines                                       "continuous", or "continuous, transformers"

Device, versions, batch size and number of workers are no part of it. How the weights are quantized is: the fingerprint
of the checkpoint says how they are stored, `quantize` how they run. Lines of two engines have an identity of their own,
which no run of one engine has.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from yanshou.schema.run_record import RunRecord

NOT_BOUND = ("threshold", "stage_a")  # a policy has thresholds of its own, and decides about other groups


def run_identity(run: RunRecord) -> dict[str, Any]:
    """Fingerprints, prompts, pixel settings, dtype, sampling, and the engine's name."""
    return identity(run.settings, run.environments())


def identity(settings: Mapping[str, Any], environments: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The same of a run that has not begun. `environments`: its own, and those of the lines so far."""
    engines = {str(one["engine"]) for one in environments if one.get("engine")}  # the rules have none
    bound = {key: value for key, value in settings.items() if key not in NOT_BOUND}
    return {**bound, "engine": ", ".join(sorted(engines)) or None}
