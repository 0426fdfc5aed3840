"""Engines by name. A new engine is one file beside this one and one line here."""

from pkgutil import resolve_name

from yanshou.engines.base import Completion, Engine, Failure, Prompt, Request
from yanshou.errors import UsageError
from yanshou.settings import EngineSettings

__all__ = ["ENGINES", "Completion", "Engine", "Failure", "Prompt", "Request", "load_engine"]

ENGINES = {
    "transformers": "yanshou.engines.transformers:TransformersEngine",  # the reference: raw transformers
    "scripted": "yanshou.engines.scripted:ScriptedEngine",  # given answers, no model: for tests
}


def load_engine(settings: EngineSettings) -> Engine:
    """The engine that the settings name. Raises UsageError for an unknown name, CheckpointError for a bad folder."""
    if settings.engine not in ENGINES:
        raise UsageError(f"unknown engine {settings.engine!r}. Known are: {', '.join(ENGINES)}.")
    engine: Engine = resolve_name(ENGINES[settings.engine])(settings)
    return engine
