"""Every setting of a run, with its unit, its default and what it does: the one place.

The command line makes its options from these models (`yanshou.cli.settings_options`): a field's description is the
option's help text, and `heading` is the section of `--help` in which the options of a class are listed. A description
can be read alone: what the setting is, its unit, when to change it, what a default of None means. Commands that no run
depends on (score, synth, doctor …) have their models in their own modules.

A model's own check names fields in backticks; on the command line they become option names.
"""

from yanshou.settings.audit import AuditDrawSettings, AuditEstimateSettings, AuditFigureSettings
from yanshou.settings.base import (
    A_BASE,
    A_CHECKPOINT,
    MIN_TEMPERATURE,
    P_PASS,
    TOP_P,
    VERDICT_TOKENS,
    MissionFileSettings,
    Settings,
)
from yanshou.settings.compare import CompareSettings
from yanshou.settings.dataset import DatasetSettings
from yanshou.settings.endpoint import EndpointSettings
from yanshou.settings.engine import (
    BATCH_SIZE,
    GPU_MEMORY,
    EngineSettings,
    ExifMode,
    PhotoSettings,
    SamplingSettings,
    VerdictEngineSettings,
)
from yanshou.settings.evaluate import EvaluateSettings, ThresholdSettings
from yanshou.settings.review import ReviewExportSettings, ReviewSettings
from yanshou.settings.stages import ALL, JudgeSettings, Layout, PromptSettings, RunSettings, StageASettings
from yanshou.settings.train import (
    GRPO_LEARNING_RATE,
    REWARD_WEIGHTS,
    SFT_LEARNING_RATE,
    GrpoSettings,
    MethodSettings,
    ScheduleSettings,
    TrainSettings,
)
from yanshou.settings.workers import WORKER_TIMEOUT_S, WorkerSettings

__all__ = [
    "ALL",
    "A_BASE",
    "A_CHECKPOINT",
    "BATCH_SIZE",
    "GPU_MEMORY",
    "GRPO_LEARNING_RATE",
    "MIN_TEMPERATURE",
    "P_PASS",
    "REWARD_WEIGHTS",
    "SFT_LEARNING_RATE",
    "TOP_P",
    "VERDICT_TOKENS",
    "WORKER_TIMEOUT_S",
    "AuditDrawSettings",
    "AuditEstimateSettings",
    "AuditFigureSettings",
    "CompareSettings",
    "DatasetSettings",
    "EndpointSettings",
    "EngineSettings",
    "EvaluateSettings",
    "ExifMode",
    "GrpoSettings",
    "JudgeSettings",
    "Layout",
    "MethodSettings",
    "MissionFileSettings",
    "PhotoSettings",
    "PromptSettings",
    "ReviewExportSettings",
    "ReviewSettings",
    "RunSettings",
    "SamplingSettings",
    "ScheduleSettings",
    "Settings",
    "StageASettings",
    "ThresholdSettings",
    "TrainSettings",
    "VerdictEngineSettings",
    "WorkerSettings",
]
