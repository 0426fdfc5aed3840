"""The groups and curves of an evaluation as data for the report's script, which shows one group at a time.

Nothing in a group is trusted: a model wrote the summaries and reasons, and strangers named the files. So the JSON holds
`<`, `>`, `&` and the two Unicode line separators as escapes, which no text can turn into the end of its script element.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.judged_groups import JudgedGroup
from yanshou.report.curve_plot import CurvePlot
from yanshou.report.promises import policy_thresholds
from yanshou.report.provenance import common_threshold
from yanshou.report.thumbnails import Thumbnail
from yanshou.schema.summary import parse

ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
SEVERITY = {"false release": 0, "error": 1, "false block": 2, "review": 3}  # all other outcomes follow


def report_data(
    evaluation: Evaluation,
    thumbnails: Mapping[str, Thumbnail],
    plots: Mapping[str, CurvePlot],
    texts: Mapping[str, str],
) -> dict[str, Any]:
    """The data, as JSON values. A group names its mission by number, because 5,000 groups repeat few names."""
    numbers = {name: number for number, name in enumerate(evaluation.missions)}
    threshold = common_threshold(evaluation)
    return {
        "texts": dict(texts),
        "missions": list(numbers),
        "threshold": threshold,
        "thresholds": [_thresholds(evaluation, name, threshold) for name in numbers],
        "curves": {name: plot.to_script() for name, plot in plots.items()},
        "groups": [
            _group(group, numbers[group.key.mission], thumbnails) for group in worst_first(evaluation.groups, threshold)
        ],
    }


def to_script_json(value: Any) -> str:
    """JSON that can be put into a script element of a page, for any text that it holds."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(ESCAPES)


def worst_first(groups: Sequence[JudgedGroup], threshold: float | None = None) -> list[JudgedGroup]:
    """False releases with the highest p_pass first, then errors, then false blocks with the lowest p_pass.

    Groups that a policy leaves to a person follow, then all others, each of them with those nearest to the threshold
    (or to 0.5) first. Of groups without p_pass, those with 需复核 or 备注 come first; otherwise they keep their order.
    """
    middle = 0.5 if threshold is None else threshold

    def place(group: JudgedGroup) -> tuple[int, float, bool]:
        p = middle if group.p_pass is None else group.p_pass
        order = {"false release": -p, "false block": p}.get(group.outcome, abs(p - middle))
        return SEVERITY.get(group.outcome, len(SEVERITY)), order, group.p_pass is None and not flags(group)

    return sorted(groups, key=place)


def flags(group: JudgedGroup) -> list[str]:
    """`doubt` where an entry of a summary is left to a person (需复核), `note` where one has a 备注."""
    entries = [entry for summary in group.summaries for entry in parse(summary).entries]
    found = {"doubt": any(entry.doubtful for entry in entries), "note": any(entry.note for entry in entries)}
    return [name for name, there in found.items() if there]


def _thresholds(evaluation: Evaluation, mission: str, common: float | None) -> list[float]:
    """What the scale of p_pass shows: the thresholds of the policy, or the one behind all verdicts."""
    found = list(policy_thresholds(evaluation.promises, mission).values())
    return found or ([] if common is None else [common])


def _group(group: JudgedGroup, mission: int, thumbnails: Mapping[str, Thumbnail]) -> dict[str, Any]:
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
        "given": group.key.label,
        "label": group.label,
        "verdict": group.verdict,
        "fileVerdict": group.file_verdict,
        "outcome": group.outcome.replace(" ", "-"),
        "p": group.p_pass,
        "reason": group.reason,
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
