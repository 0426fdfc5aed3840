"""Which checkpoint, threshold and prompts made the verdicts of a report, from the run files beside them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.judges import folder_name
from yanshou.report.moments import in_words
from yanshou.schema.run_record import RunRecord

RULES = "rules"  # run.json has this in place of a checkpoint's fingerprint
CHECKPOINT = ("checkpoint", "adapter", "model")  # fingerprints in a run file, or the name of a server's model
PROMPTS = {"system": "prompt_system", "user": "prompt_user", "focus": "prompt_focus", "rule": "prompt_rule"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What made the lines of a file: the names of its folders first, because people know those."""

    name: str  # the folder, and that of its adapter where there is one; "" where the run file names none
    identity: str  # fingerprints, or the name of a server's model; `rules`

    @classmethod
    def of(cls, run: RunRecord | None) -> "Checkpoint | None":
        if run is None:
            return None
        parts = [str(run.settings[part]) for part in CHECKPOINT if run.settings.get(part) is not None]
        folders = [run.environment.get(f"{part}_folder") for part in CHECKPOINT if run.settings.get(part) is not None]
        names = [folder_name(folder) for folder in folders if folder]
        return cls(" + ".join(names), " + ".join(parts)) if parts else None


def common_threshold(evaluation: Evaluation) -> float | None:
    """The threshold behind all verdicts of the report. None: there is none, or it differs between files."""
    if evaluation.threshold is not None:
        return evaluation.threshold
    used = {_probability(_settings(evaluation, file).get("threshold")) for file in evaluation.verdict_files}
    return used.pop() if len(used) == 1 else None


def threshold_text(evaluation: Evaluation, texts: Mapping[str, str]) -> str:
    """The threshold in the report's language, or why none can be given."""
    threshold = common_threshold(evaluation)
    if threshold is not None:
        key = "threshold_when_judged" if evaluation.threshold is None else "threshold_here"
        return texts[key].format(p=repr(threshold))
    runs = [_settings(evaluation, file) for file in evaluation.verdict_files]
    recorded = [run.get("threshold") for run in runs]
    if any(evaluation.runs[file] is None for file in evaluation.verdict_files) or any(
        p is not None and _probability(p) is None for p in recorded
    ):
        return texts["unknown"]
    if any(p is not None for p in recorded):
        return texts["threshold_mixed"]
    by_rules = all(run.get("checkpoint") == RULES for run in runs)
    return texts["threshold_rules" if by_rules else "threshold_none"]


def checkpoints(evaluation: Evaluation) -> list[Checkpoint | None]:
    """The distinct checkpoints that gave the verdicts. None: unknown."""
    return list(dict.fromkeys(Checkpoint.of(evaluation.runs[file]) for file in evaluation.verdict_files))


def origins(evaluation: Evaluation, texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """For each file: checkpoint, threshold and prompts by name, and all other settings as JSON."""
    return [_origin(file, run, texts) for file, run in evaluation.runs.items()]


def _settings(evaluation: Evaluation, file: Path) -> Mapping[str, Any]:
    run = evaluation.runs[file]
    return run.settings if run else {}


def _origin(file: Path, run: RunRecord | None, texts: Mapping[str, str]) -> dict[str, Any]:
    rest = dict(run.settings if run else {})
    prompts = rest.pop("prompts", None)
    for part in CHECKPOINT:
        rest.pop(part, None)
    if not isinstance(prompts, Mapping):
        prompts = {} if prompts is None else {"": prompts}
    return {
        "file": str(file),
        "verdicts": not file.stem.endswith("_stage_a"),
        "known": run is not None,
        "checkpoint": Checkpoint.of(run),
        "written": run and _written(run, texts),
        "threshold": rest.pop("threshold", None),
        "prompts": [(_prompt_name(name, texts), _shown(text)) for name, text in prompts.items()],
        "rest": _shown(rest) if rest else "",
    }


def _written(run: RunRecord, texts: Mapping[str, str]) -> str:
    """When the runs that made a file began and last wrote, in words."""
    moments = [in_words(moment, texts) for moment in (run.started, run.updated)]
    return " – ".join(dict.fromkeys(moments))


def _prompt_name(name: str, texts: Mapping[str, str]) -> str:
    return texts[PROMPTS[name]] if name in PROMPTS else f"{texts['prompt']} {name}"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


def _probability(value: object) -> float | None:
    """The value if it can be a threshold. Anything else comes from a run file that was edited."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None
