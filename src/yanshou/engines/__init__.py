"""Engines by name. A new engine is one new file and one line in ENGINES."""

from pkgutil import resolve_name

from yanshou.engines.base import Completion, Engine, Failure, Request
from yanshou.errors import UsageError
from yanshou.schema.prompt import Prompt
from yanshou.settings import EngineSettings

__all__ = ["ENGINES", "Completion", "Engine", "Failure", "Prompt", "Request", "load_engine"]

AUTO = "auto"  # the continuous engine for a dense checkpoint on CUDA, else the transformers engine
ENGINES = {
    "continuous": "yanshou.engines.continuous.engine:ContinuousEngine",  # continuous batching: the fast one
    "transformers": "yanshou.engines.transformers.engine:TransformersEngine",  # plain transformers: the reference
    "scripted": "yanshou.engines.scripted:ScriptedEngine",  # answers from a script, no model: for tests
}


def load_engine(settings: EngineSettings) -> Engine:
    """The engine named by the settings. Raises UsageError for an unknown name, CheckpointError for a bad folder."""
    name = settings.engine
    if name == AUTO:
        from yanshou.engines.checkpoint import find, is_moe
        from yanshou.engines.device import pick_device

        on_cuda = pick_device(settings.device).type == "cuda"
        weights = find(settings.checkpoint, settings.base_checkpoint).weights
        name = "continuous" if on_cuda and not is_moe(weights) else "transformers"
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}. Known engines: {AUTO}, {', '.join(ENGINES)}.")
    engine: Engine = resolve_name(ENGINES[name])(settings)
    return engine
