"""What `yanshou evaluate` prints about a policy: its decisions, its promises, and what to do next."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from yanshou.cli.messages import INDENTED
from yanshou.cli.run_table import mission_column, name_cell, right_columns
from yanshou.cli.tables import counted, with_interval
from yanshou.evaluate.decision_counts import DecisionCounts
from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.policy import NAME
from yanshou.evaluate.promises import ALL, Promises
from yanshou.settings import EvaluateSettings


def decision_table(evaluation: Evaluation) -> Table:
    """What the policy decides, one row per mission: shares of groups, and errors among human fails and passes."""
    names = ("released", "blocked", "to a person", "false releases", "false blocks")
    table = Table(mission_column(min_width=20), *right_columns(*names), box=None, padding=(0, 1, 0, 0))
    for name, counts in evaluation.decisions().items():
        table.add_row(name_cell(name), *map(Text, _cells(counts, evaluation.confidence)))
    if (together := evaluation.all_decisions()) and len(evaluation.missions) > 1:
        table.add_row(name_cell("all"), *map(Text, _cells(together, evaluation.confidence)))
    return table


def promise_messages(promises: Promises) -> Iterator[str]:
    """Each promise with what it does not cover, and how many of them hold."""
    for mission, promise in promises.each():
        yield f"{mission or ALL}, {promise.explanation}"
    yield INDENTED.join(["None of this is promised about:", *promises.not_covered()])
    yield _all_hold(promises)


def next_messages(evaluation: Evaluation, settings: EvaluateSettings) -> Iterator[str]:
    """What to do where a promise could not be made, and the command that decides about new groups."""
    promises, unfounded = evaluation.promises, evaluation.unfounded()
    assert promises is not None
    if unfounded is not None:
        yield (
            f"{unfounded} groups beyond a threshold go to a person, because their reason is not grounded "
            "(--require-grounded). The promises hold all the same: fewer groups are released and blocked, not more."
        )
    if failed := promises.asked - promises.made:
        yield (
            f"{failed} of {promises.asked} thresholds could not be promised: without one, nothing is released (or "
            "blocked) on that side, and a person decides. The reasons are above, and in policy.json under `why`."
        )
    for name, sides in promises.missions.items():
        if sides.cross:
            yield f"{name}: the two thresholds cross, so groups with a p_pass between them go to a person"
    if not promises.made:
        yield "next: judge more labelled groups, or allow a higher rate, and evaluate again"
        return
    bound, unbound = _by_judge(evaluation)
    if unbound and bound:
        yield f"{', '.join(unbound)}: `yanshou judge` refuses this policy, as no run file says what made the verdicts"
    if bound:
        yield f"next, for new groups judged by the same checkpoint and prompts: {_judge_command(evaluation, settings)}"
    else:
        yield (
            "next: put the run files back beside the verdicts, and evaluate again: without them `yanshou judge` "
            "refuses this policy. If another program judged, let it decide by the thresholds in policy.json"
        )


def _by_judge(evaluation: Evaluation) -> tuple[list[str], list[str]]:
    """The missions with a threshold: those whose judge the policy names, and those that `yanshou judge` refuses."""
    policy, promises = evaluation.policy, evaluation.promises
    assert policy is not None
    assert promises is not None
    decided = [
        name for name, sides in promises.missions.items() if any(side.threshold is not None for side in sides.asked())
    ]
    bound = [name for name in decided if policy.missions[name].judge is not None]
    return bound, [name for name in decided if name not in bound]


def _cells(counts: DecisionCounts, confidence: float) -> Iterator[str]:
    for rate in (counts.released, counts.blocked, counts.review):
        yield with_interval(rate, confidence)
    for rate in (counts.false_release, counts.false_block):
        yield counted(rate, confidence)


def _all_hold(promises: Promises) -> str:
    asked, tested, made = promises.asked, promises.tested, promises.made
    start = f"{made} of {asked} thresholds are promised, each with {promises.confidence * 100:g}% confidence"
    if tested <= 1:
        return f"{start}."
    sides = f"{tested} sides had enough groups to be tested"
    better = f"--confidence {promises.confidence_for_all:.6g} would give all of them {promises.confidence * 100:g}%"
    if not promises.all_hold:
        return f"{start}. {sides}: nothing is known about the chance that all promises hold ({better})."
    bound = f"1 - {tested} × (1 - {promises.confidence:g})"
    return f"{start}. {sides}: all promises hold with a chance of at least {promises.all_hold:.1%} ({bound}; {better})."


def _judge_command(evaluation: Evaluation, settings: EvaluateSettings) -> str:
    """The command for new groups; what the user has to fill in is written in capitals."""
    engine = _engine_options(evaluation)
    words = ["yanshou", "judge", "--policy", str(settings.output_dir / NAME), *engine, "--output-dir", "NEW_FOLDER"]
    return f"{shlex.join(words)} NEW_FOLDER/*_stage_a.jsonl"


def _engine_options(evaluation: Evaluation) -> list[str]:
    """The options that name what judged; one of several, as each mission needs the same here."""
    for path in evaluation.verdict_files:
        run = evaluation.runs[path]
        if run and (folder := run.environment.get("adapter_folder") or run.environment.get("checkpoint_folder")):
            return ["--checkpoint", str(Path(str(folder))), *_quantization(run.settings)]
        if run and run.settings.get("model"):
            return ["--endpoint", "URL", "--model", str(run.settings["model"])]
    return ["--checkpoint", "CHECKPOINT"]


def _quantization(settings: Mapping[str, Any]) -> list[str]:
    """The options for how the weights, and the keys and values, ran; none in 16 bits."""
    recorded, kv_cache = settings.get("quantize"), settings.get("kv_cache")
    weights = recorded.get("weights") if isinstance(recorded, Mapping) else None
    options = [] if weights is None else ["--quantize", str(weights)]
    return options if kv_cache is None else [*options, "--kv-cache", str(kv_cache)]
