"""Engines by name. A new engine is one file beside this one and one line here."""

from pkgutil import resolve_name

from yanshou.engines.base import Completion, Engine, Failure, Request
from yanshou.errors import UsageError
from yanshou.schema.prompt import Prompt
from yanshou.settings import EngineSettings

__all__ = ["ENGINES", "Completion", "Engine", "Failure", "Prompt", "Request", "load_engine"]

AUTO = "auto"  # the continuous engine on CUDA, the reference on a CPU
ENGINES = {
    "continuous": "yanshou.engines.continuous.engine:ContinuousEngine",  # slots that are refilled at once: the fast one
    "transformers": "yanshou.engines.transformers.engine:TransformersEngine",  # the reference: raw transformers
    "scripted": "yanshou.engines.scripted:ScriptedEngine",  # given answers, no model: for tests
}


def load_engine(settings: EngineSettings) -> Engine:
    """The engine that the settings name. Raises UsageError for an unknown name, CheckpointError for a bad folder."""
    name = settings.engine
    if name == AUTO:
        from yanshou.engines.qwen3_vl import pick_device

        name = "continuous" if pick_device(settings.device).type == "cuda" else "transformers"
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}. Known are: {AUTO}, {', '.join(ENGINES)}.")
    engine: Engine = resolve_name(ENGINES[name])(settings)
    return engine
