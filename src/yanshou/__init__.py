"""yanshou turns groups of telecom installation photos into summary lines and pass/fail verdicts, using Qwen3-VL.

Nothing heavy is imported before it is used: `import yanshou` takes milliseconds.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from yanshou.version import __version__ as __version__

if TYPE_CHECKING:
    from yanshou.engines import load_engine as load_engine
    from yanshou.engines.scripted import ScriptedEngine as ScriptedEngine
    from yanshou.evaluate.evaluation import Evaluation as Evaluation
    from yanshou.inputs.discovery import Group as Group
    from yanshou.missions import load_missions as load_missions
    from yanshou.missions.prompts import SUMMARY_SYSTEM_PROMPT as SUMMARY_SYSTEM_PROMPT
    from yanshou.missions.prompts import SUMMARY_USER_PROMPT as SUMMARY_USER_PROMPT
    from yanshou.missions.prompts import summary_prompt as summary_prompt
    from yanshou.pipeline.mission_result import MissionResult as MissionResult
    from yanshou.report.evaluate_files import evaluate_files as evaluate_files
    from yanshou.schema.records import StageARecord as StageARecord
    from yanshou.schema.records import VerdictRecord as VerdictRecord
    from yanshou.settings import DatasetSettings as DatasetSettings
    from yanshou.settings import EngineSettings as EngineSettings
    from yanshou.settings import EvaluateSettings as EvaluateSettings
    from yanshou.settings import JudgeSettings as JudgeSettings
    from yanshou.settings import PhotoSettings as PhotoSettings
    from yanshou.settings import PromptSettings as PromptSettings
    from yanshou.settings import SamplingSettings as SamplingSettings
    from yanshou.settings import StageASettings as StageASettings
    from yanshou.settings import VerdictEngineSettings as VerdictEngineSettings
    from yanshou.stage_a.api import infer_batch as infer_batch
    from yanshou.stage_a.api import infer_one_image as infer_one_image
    from yanshou.stage_a.api import process_group as process_group
    from yanshou.stage_a.summarize import summarize_directory as summarize_directory
    from yanshou.stage_b.card import Card as Card
    from yanshou.stage_b.dataset import build_dataset as build_dataset
    from yanshou.stage_b.judge import judge_files as judge_files

_MODULES = {  # module → its public names, those that are imported above for type checkers
    "engines": ["load_engine"],
    "engines.scripted": ["ScriptedEngine"],
    "evaluate.evaluation": ["Evaluation"],
    "report.evaluate_files": ["evaluate_files"],
    "inputs.discovery": ["Group"],
    "missions": ["load_missions"],
    "missions.prompts": ["SUMMARY_SYSTEM_PROMPT", "SUMMARY_USER_PROMPT", "summary_prompt"],
    "pipeline.mission_result": ["MissionResult"],
    "schema.records": ["StageARecord", "VerdictRecord"],
    "settings": [
        "DatasetSettings", "EngineSettings", "EvaluateSettings", "JudgeSettings", "PhotoSettings", "PromptSettings",
        "SamplingSettings", "StageASettings", "VerdictEngineSettings",
    ],
    "stage_a.api": ["infer_batch", "infer_one_image", "process_group"],
    "stage_a.summarize": ["summarize_directory"],
    "stage_b.card": ["Card"],
    "stage_b.dataset": ["build_dataset"],
    "stage_b.judge": ["judge_files"],
}  # fmt: skip
_HOME = {name: f"yanshou.{module}" for module, names in _MODULES.items() for name in names}

__all__ = list(_HOME)

logging.getLogger(__name__).addHandler(logging.NullHandler())  # a program decides itself what it shows


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
