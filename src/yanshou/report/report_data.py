"""The groups and curves of an evaluation as data for the report's script, which shows one group at a time.

Nothing in a group is trusted: a model wrote the summaries and reasons, and strangers named the files. So the JSON holds
`<`, `>`, `&` and the two Unicode line separators as escapes, which no text can turn into the end of its script element.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.report.curve_plot import CurvePlot
from yanshou.report.order import flags, worst_first
from yanshou.report.packed import PHOTOS, Packed
from yanshou.report.promises_shown import policy_thresholds
from yanshou.report.provenance import common_threshold
from yanshou.report.thumbnails import FOLDER, Thumbnail
from yanshou.stage_b.reason_words import explain

ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def report_data(
    evaluation: Evaluation,
    thumbnails: Mapping[str, Thumbnail],
    plots: Mapping[str, CurvePlot],
    texts: Mapping[str, str],
    packed: Packed | None = None,
) -> dict[str, Any]:
    """The data, as JSON values. A group names its mission by number, because 5,000 groups repeat few names.

    `packed`: the groups that an archive holds; without it, all of them.
    """
    numbers = {name: number for number, name in enumerate(evaluation.missions)}
    threshold = common_threshold(evaluation)
    groups = packed.groups if packed else worst_first(evaluation.groups, threshold)
    return {
        "texts": dict(texts),
        "missions": list(numbers),
        "threshold": threshold,
        "thresholds": [_thresholds(evaluation, name, threshold) for name in numbers],
        "curves": {name: plot.to_script() for name, plot in plots.items()},
        "pictures": f"{PHOTOS if packed else FOLDER}/",
        "evaluated": len(evaluation.groups),
        "groups": [_group(group, numbers[group.key.mission], thumbnails, texts["lang"]) for group in groups],
    }


def to_script_json(value: Any) -> str:
    """JSON that can be put into a script element of a page, for any text that it holds."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(ESCAPES)


def _thresholds(evaluation: Evaluation, mission: str, common: float | None) -> list[float]:
    """What the scale of p_pass shows: the thresholds of the policy, or the one behind all verdicts."""
    found = list(policy_thresholds(evaluation.promises, mission).values())
    return found or ([] if common is None else [common])


def _group(group: JudgedGroup, mission: int, thumbnails: Mapping[str, Thumbnail], lang: str) -> dict[str, Any]:
    check = group.reason_check
    shown = [thumbnails[photo] for photo in group.images]
    folder = _folder([thumbnail.url for thumbnail in shown if thumbnail.url])
    photos = [
        {
            "name": Path(photo).name,
            "text": text,
            "state": thumbnail.state,
            "thumbnail": thumbnail.name,
            "file": thumbnail.url and thumbnail.url.removeprefix(folder),
        }
        for photo, text, thumbnail in zip(group.images, group.summaries, shown, strict=True)
    ]
    return {
        "id": group.key.group_id,
        "mission": mission,
        "label": group.label,
        "given": group.key.label,
        "verdict": group.verdict,
        "fileVerdict": group.file_verdict,
        "outcome": group.outcome.replace(" ", "-"),
        "p": group.p_pass,
        "reason": group.reason,
        "reasonOutcome": check and check.outcome,
        "reasonProblems": explain(check.problems, lang) if check else [],
        "rules": group.rules_verdict,
        "rulesReason": group.rules and group.rules.reason,
        "fault": group.fault,
        "decision": group.decision,
        "flags": flags(group),
        "folder": folder,
        "photos": photos,
    }


def _folder(urls: Sequence[str]) -> str:
    """The URL of the folder that holds all photos of a group, or "" if they are in several folders."""
    folders = {url.rpartition("/")[0] + "/" for url in urls}
    return folders.pop() if len(folders) == 1 else ""
