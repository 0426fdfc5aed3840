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
    "endpoint": "yanshou.engines.endpoint.engine:EndpointEngine",  # an OpenAI-compatible server
    "scripted": "yanshou.engines.scripted:ScriptedEngine",  # answers from a script, no model: for tests
}
WORKERS = "yanshou.engines.workers.engine:WorkersEngine"  # --workers: several engines of one name


def load_engine(settings: EngineSettings) -> Engine:
    """The engine named by the settings; with `workers`, several of it.

    Raises UsageError for an unknown name, CheckpointError for a bad folder.
    """
    if settings.workers.workers is not None:
        return _make(WORKERS, settings)
    name = settings.engine
    if name == AUTO and settings.server.endpoint is not None:
        name = "endpoint"
    if name == AUTO:
        from yanshou.engines.checkpoint import find, is_moe
        from yanshou.engines.device import pick_device

        on_cuda = pick_device(settings.device).type == "cuda"
        weights = find(settings.weights, settings.base_checkpoint).weights
        in_fp8 = "fp8" in (settings.quantize, settings.kv_cache)  # the other engine has none
        name = "continuous" if in_fp8 or (on_cuda and not is_moe(weights)) else "transformers"
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}. Known engines: {AUTO}, {', '.join(ENGINES)}.")
    return _make(ENGINES[name], settings)


def _make(name: str, settings: EngineSettings) -> Engine:
    engine: Engine = resolve_name(name)(settings)
    return engine
