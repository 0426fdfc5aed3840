"""report.html: an evaluation for the eyes, in one file beside its thumbnails.

    DIR/report.html             figures, confusion, curve, origin, and every group; opens from disk, asks no network
    DIR/thumbnails/….jpg        what it shows of the photos; the large view opens the photo itself by file:// URL
        report.html.jinja       the page: figures and settings, escaped as they are put in
        report.css, report.js   put into the page as they are; the script's hash stands in the page's policy
        <script type="application/json">    the groups, worst first; the script makes elements of the one that is shown

Nothing in a group is ours: a model wrote the summaries and reasons, strangers named the files. So the page has a
Content-Security-Policy that runs the one script by its hash and loads pictures only; the data is JSON in which `<`,
`>`, `&` and the two line separators are written as escapes; the script puts it in as text, never as markup.
"""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from yanshou import __version__
from yanshou.evaluate.curve import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Curve, ticks
from yanshou.evaluate.evaluation import Evaluation, EvaluationFigures
from yanshou.evaluate.judged_groups import JudgedGroup
from yanshou.evaluate.metrics import Rate
from yanshou.evaluate.thumbnails import Progress, Thumbnail, make_thumbnails, remove_others
from yanshou.evaluate.translations import translation
from yanshou.schema.records import Label, now
from yanshou.storage.atomic import replace_file

NAME = "report.html"
HERE = Path(__file__).parent
ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
RULES = "rules"  # in run.json in the checkpoint's place
SEVERITY = {"false release": 0, "error": 1, "false block": 2}  # then the rest


def write_report(
    evaluation: Evaluation, output_dir: Path, lang: str = "zh", *, progress: Progress | None = None
) -> Path:
    """Writes `<output_dir>/report.html` in place of an old one, and the thumbnails that are not there yet.

    `progress` hears, after each photo, how many of how many are done. Raises UsageError for a language that there is
    not, OutputError where a file cannot be written; a photo that is not there or damaged gets a placeholder.
    """
    words = translation(lang)
    photos = (photo for group in evaluation.groups for photo in group.images)
    thumbnails = make_thumbnails(photos, output_dir, progress)
    path = output_dir / NAME
    html = page(evaluation, thumbnails, words)
    replace_file(path, html.encode("utf-8", errors="backslashreplace"))  # a lone surrogate by its escape
    remove_others(output_dir, thumbnails.values())
    return path


def page(evaluation: Evaluation, thumbnails: Mapping[str, Thumbnail], words: Mapping[str, str]) -> str:
    """The whole page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(percent=_percent, url=_url)
    template = environment.from_string(_source("report.html.jinja"))
    script = _source("report.js")
    curves = _curves(evaluation)
    return template.render(
        w=words,
        moment=now(),
        version=__version__,
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=Markup(_source("report.css")),
        data=Markup(as_script_data(_data(evaluation, thumbnails, curves, words))),
        evaluation=evaluation,
        parts=_parts(evaluation),
        share=lambda rate: _share(rate, evaluation.confidence),
        confusions=_confusions(evaluation),
        curves=curves,
        chart={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM},
        ticks=ticks(),
        checkpoints=_checkpoints(evaluation),
        threshold=_threshold(evaluation, words),
        promise=_promise(evaluation, words),
        runs=[_run(file, settings) for file, settings in evaluation.runs.items()],
    )


def as_script_data(value: Any) -> str:
    """JSON that no text in it can end, whatever it holds, in a script element of a page."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).translate(ESCAPES)


def worst_first(groups: Sequence[JudgedGroup], threshold: float | None = None) -> list[JudgedGroup]:
    """False releases that were surest of themselves, errors, false blocks that were surest; the rest, doubtful first.

    In doubt is what lies near the threshold, or near 0.5. What has no p_pass stays as it stands in the files.
    """
    middle = 0.5 if threshold is None else threshold

    def place(group: JudgedGroup) -> tuple[int, float]:
        p = middle if group.p_pass is None else group.p_pass
        sure = {"false release": -p, "false block": p}.get(group.outcome, abs(p - middle))
        return SEVERITY.get(group.outcome, len(SEVERITY)), sure

    return sorted(groups, key=place)


def _data(
    evaluation: Evaluation,
    thumbnails: Mapping[str, Thumbnail],
    curves: Mapping[str, Curve | None],
    words: Mapping[str, str],
) -> dict[str, Any]:
    """What the script shows. Missions by their number: 5,000 groups repeat few names."""
    numbers = {name: number for number, name in enumerate(evaluation.missions)}
    threshold = in_force(evaluation)
    return {
        "words": dict(words),
        "missions": list(numbers),
        "threshold": threshold,
        "curves": {
            name: [[round(x, 5) for x in (p.x, p.y, p.false_block, p.false_release)] + [p.threshold] for p in c.points]
            for name, c in curves.items()
            if c
        },
        "groups": [
            _group(group, numbers[group.key.mission], thumbnails) for group in worst_first(evaluation.groups, threshold)
        ],
    }


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
        "label": group.key.label,
        "verdict": group.verdict,
        "fileVerdict": group.file_verdict,
        "outcome": _slug(group.outcome),
        "p": group.p_pass,
        "reason": group.reason,
        "rules": group.rules_verdict,
        "rulesReason": group.rules and group.rules.reason,
        "fault": group.fault,
        "folder": folder,
        "photos": photos,
    }


def _folder(urls: Sequence[str]) -> str:
    """Where the photos of a group lie, as a URL; "" where they lie in several folders."""
    folders = {url.rpartition("/")[0] + "/" for url in urls}
    return folders.pop() if len(folders) == 1 else ""


def in_force(evaluation: Evaluation) -> float | None:
    """The P behind the verdicts of the report, if one P is behind all of them."""
    if evaluation.threshold is not None:
        return evaluation.threshold
    judged_with = {_probability((evaluation.runs[file] or {}).get("threshold")) for file in evaluation.verdict_files}
    return judged_with.pop() if len(judged_with) == 1 else None


def _probability(value: object) -> float | None:
    """None for what no run takes for a threshold: a run file can be edited."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def _threshold(evaluation: Evaluation, words: Mapping[str, str]) -> str:
    p = in_force(evaluation)
    if p is not None:
        return words["threshold_then" if evaluation.threshold is None else "threshold_now"].format(p=repr(p))
    runs = [evaluation.runs[file] for file in evaluation.verdict_files]
    told = [(run or {}).get("threshold") for run in runs]
    if any(run is None for run in runs) or any(p is not None and _probability(p) is None for p in told):
        return words["not_known"]
    if any(p is not None for p in told):
        return words["threshold_mixed"]
    ruled = all((run or {}).get("checkpoint") == RULES for run in runs)
    return words["threshold_rules" if ruled else "threshold_none"]


def _checkpoints(evaluation: Evaluation) -> list[str | None]:
    """Of the judge, each once. None: not known."""
    named = [(evaluation.runs[file] or {}).get("checkpoint") for file in evaluation.verdict_files]
    return list(dict.fromkeys(None if name is None else str(name) for name in named))


def _run(file: Path, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """One file's origin: checkpoint, threshold and prompts by name, the rest as JSON."""
    rest = dict(settings or {})
    prompts = rest.pop("prompts", None)
    if not isinstance(prompts, Mapping):
        prompts = {} if prompts is None else {"": prompts}
    return {
        "file": str(file),
        "verdicts": not file.stem.endswith("_stage_a"),
        "known": settings is not None,
        "checkpoint": rest.pop("checkpoint", None),
        "threshold": rest.pop("threshold", None),
        "prompts": {name: text if isinstance(text, str) else _pretty(text) for name, text in prompts.items()},
        "rest": _pretty(rest) if rest else "",
    }


def _promise(evaluation: Evaluation, words: Mapping[str, str]) -> str | None:
    choice = evaluation.choice
    if choice is None:
        return None
    which = (
        "promise"
        if choice.threshold is not None
        else "promise_too_few"
        if choice.allowed is None
        else "promise_too_many"
    )
    return words[which].format(
        p=repr(choice.threshold),
        limit=_percent(choice.limit),
        confidence=f"{choice.confidence * 100:g}%",
        fails=choice.false_release.of,
        needed=choice.fails_needed,
        allowed=choice.allowed,
        release=_counted(choice.false_release),
        block=_counted(choice.false_block),
        upper="–" if choice.upper is None else _percent(choice.upper, 2),
    )  # fmt: skip


def _parts(evaluation: Evaluation) -> list[tuple[str | None, EvaluationFigures]]:
    """All together (None) where there is more than one mission, and each of them."""
    parts: list[tuple[str | None, EvaluationFigures]] = list(evaluation.missions.items())
    return [(None, evaluation.overall), *parts] if len(parts) > 1 else parts


def _by_part(evaluation: Evaluation) -> Iterator[tuple[str, list[JudgedGroup]]]:
    """The groups of each mission, under its name; all of them under ""."""
    yield "", list(evaluation.groups)
    for name in evaluation.missions:
        yield name, [group for group in evaluation.groups if group.key.mission == name]


def _curves(evaluation: Evaluation) -> dict[str, Curve | None]:
    p = in_force(evaluation)
    return {name: Curve.of(groups, p) for name, groups in _by_part(evaluation)}


def _confusions(evaluation: Evaluation) -> list[dict[str, Any]]:
    """A small table for each part: human label down, verdict across, and where each number leads."""
    confusions = []
    parts = list(_by_part(evaluation))
    for name, groups in parts if len(parts) > 2 else parts[1:]:  # one mission alone is all of them
        counted = Counter((group.key.label, group.verdict) for group in groups)
        labels: list[Label | None] = ["pass", "fail"]
        labels += [None] if any(group.key.label is None for group in groups) else []
        rows = [
            (label, [_cell(name, label, verdict, counted) for verdict in ("pass", "fail", None)]) for label in labels
        ]
        confusions.append({"mission": name, "rows": rows})
    return confusions


def _cell(mission: str, label: Label | None, verdict: Label | None, counted: Counter[Any]) -> dict[str, Any]:
    outcome = {
        ("pass", "pass"): "release", ("fail", "pass"): "false-release",
        ("pass", "fail"): "false-block", ("fail", "fail"): "block",
    }.get((label or "", verdict or ""))  # fmt: skip
    where = [("mission", mission)] if mission else []
    if outcome:
        where.append(("outcome", outcome))
    else:  # an outcome of its own for none of these: errors of either label, and groups without a label
        where += [("label", label or "none"), ("verdict", verdict or "none")]
    fragment = "&".join(f"{name}={_url(value)}" for name, value in where)
    shown = outcome or ("no-label" if verdict else "error")
    return {"count": counted[label, verdict], "outcome": shown, "fragment": fragment}


def _share(rate: Rate, confidence: float) -> dict[str, str] | None:
    interval = rate.interval(confidence)
    if interval is None:
        return None
    low, high = (f"{end * 100:.1f}" for end in interval)
    return {"share": _percent(rate.count / rate.of), "interval": f"[{low}–{high}]"}


def _counted(rate: Rate) -> str:
    return f"{rate.count} / {rate.of}" + ("" if rate.share is None else f" ({_percent(rate.share)})")


def _percent(share: float, digits: int = 1) -> str:
    return f"{share:.{digits}%}"


def _url(text: str) -> str:
    return quote(text, safe="", errors="backslashreplace")


def _slug(outcome: str) -> str:
    return outcome.replace(" ", "-")


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _source(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
