"""The loop's figures: verdicts and summaries before training, after each seed's training, and verdicts of the rules.

    VERDICTS/WHO/stage_a.json    `yanshou evaluate --json`, on the lines that the checkpoint wrote
    VERDICTS/WHO/true.json       `yanshou evaluate --json`, on the true lines
    VERDICTS/WHO/score.json      `yanshou score --json`, of the checkpoint's lines

WHO is `before` or `seed-N`. The rules judge the same lines. Format followed is the share of groups with a well-formed
verdict.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LINES = {"stage_a": "Stage-A's lines", "true": "true lines"}


def verdict_figures(folder: Path) -> dict[str, dict[str, Any]]:
    """lines → who → accuracy, false releases, false blocks, format followed, and of a judge the grounded reasons."""
    found: dict[str, dict[str, Any]] = {}
    for lines in LINES:
        for path in sorted(folder.glob(f"*/{lines}.json")):
            overall = json.loads(path.read_text(encoding="utf-8"))["overall"]
            grounded = overall["reasons"]["grounded"] if "reasons" in overall else None  # before 0.6.0
            found.setdefault(lines, {})[path.parent.name] = {**_figures(overall["judge"]), "grounded": grounded}
            found[lines]["rules"] = _figures(overall["rules"])
    return found


def summary_figures(folder: Path) -> dict[str, dict[str, int]]:
    """who → number of photos, and of photos whose line equals the truth."""
    found = {}
    for path in sorted(folder.glob("*/score.json")):
        overall = json.loads(path.read_text(encoding="utf-8"))["overall"]
        found[path.parent.name] = {name: overall[name] for name in ("photos", "identical")}
    return found


def _figures(counts: dict[str, Any]) -> dict[str, Any]:
    kept = {name: counts[name] for name in ("groups", "judged", "accuracy", "false_release", "false_block")}
    return {**kept, "format_followed": counts["judged"] / counts["groups"]}


def verdict_table(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    shares = "accuracy | false releases / human fails | false blocks | format followed | reasons grounded"
    yield f"| lines | verdicts | groups | {shares} |"
    yield "|---|---|---|---|---|---|---|---|"
    for lines, rows in found.items():
        for who in sorted(rows, key=lambda who: (who == "rules", who)):
            row = rows[who]
            shares = " | ".join(_share(row[name]) for name in ("accuracy", "false_release", "false_block"))
            grounded = _share(row["grounded"]) if row.get("grounded") else "–"
            yield f"| {LINES[lines]} | {who} | {row['groups']} | {shares} | {row['format_followed']:.1%} | {grounded} |"


def summary_table(found: dict[str, dict[str, int]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    yield "| summaries | lines equal to the truth |"
    yield "|---|---|"
    for who, score in found.items():
        yield f"| {who} | {score['identical']} / {score['photos']} = {score['identical'] / score['photos']:.2%} |"


def _share(rate: dict[str, Any]) -> str:
    if not rate["of"]:
        return "–"
    return f"{rate['count']} / {rate['of']} = {rate['share']:.1%} [{rate['low'] * 100:.1f}–{rate['high'] * 100:.1f}]"
