"""yanshou: reads groups of telecom installation photos with Qwen3-VL and says whether the job passes.

Nothing heavy is imported until it is used: `import yanshou` takes milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yanshou.engines import load_engine
    from yanshou.engines.scripted import ScriptedEngine
    from yanshou.inputs.discovery import Group
    from yanshou.missions import load_missions
    from yanshou.missions.prompts import SUMMARY_SYSTEM_PROMPT, SUMMARY_USER_PROMPT, summary_prompt
    from yanshou.schema.records import StageARecord
    from yanshou.settings import EngineSettings, PhotoSettings, PromptSettings, SamplingSettings, StageASettings
    from yanshou.stage_a.api import infer_batch, infer_one_image, process_group
    from yanshou.stage_a.summarize import summarize_directory

__version__ = "0.1.0"

_HOMES = {
    "EngineSettings": "settings",
    "Group": "inputs.discovery",
    "PhotoSettings": "settings",
    "PromptSettings": "settings",
    "SUMMARY_SYSTEM_PROMPT": "missions.prompts",
    "SUMMARY_USER_PROMPT": "missions.prompts",
    "SamplingSettings": "settings",
    "ScriptedEngine": "engines.scripted",
    "StageARecord": "schema.records",
    "StageASettings": "settings",
    "infer_batch": "stage_a.api",
    "infer_one_image": "stage_a.api",
    "load_engine": "engines",
    "load_missions": "missions",
    "process_group": "stage_a.api",
    "summarize_directory": "stage_a.summarize",
    "summary_prompt": "missions.prompts",
}  # public name → module

__all__ = [
    "SUMMARY_SYSTEM_PROMPT",
    "SUMMARY_USER_PROMPT",
    "EngineSettings",
    "Group",
    "PhotoSettings",
    "PromptSettings",
    "SamplingSettings",
    "ScriptedEngine",
    "StageARecord",
    "StageASettings",
    "infer_batch",
    "infer_one_image",
    "load_engine",
    "load_missions",
    "process_group",
    "summarize_directory",
    "summary_prompt",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'yanshou' has no attribute {name!r}")
    return getattr(import_module(f"yanshou.{_HOMES[name]}"), name)
