"""The figures of runs/demo_grpo.sh in two tables: before, after each seed, and the rules.

    python benchmarks/loop_figures.py runs/demo_grpo/verdicts --json figures.json

Reads <who>/<lines>.json, which are `yanshou evaluate --json`: who is `before` or `seed-N`, lines are `stage_a`
(summaries as the checkpoint wrote them) or `true`. The rules judge the same lines. Format followed: verdicts that could
be read, of all groups. <who>/score.json, `yanshou score --json`, tells how many lines Stage-A has right.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

LINES = {"stage_a": "Stage-A's lines", "true": "true lines"}


def figures(folder: Path) -> dict[str, dict[str, Any]]:
    """lines → who → accuracy, false releases, false blocks, format."""
    found: dict[str, dict[str, Any]] = {}
    for lines in LINES:
        for path in sorted(folder.glob(f"*/{lines}.json")):
            overall = json.loads(path.read_text(encoding="utf-8"))["overall"]
            found.setdefault(lines, {})[path.parent.name] = _figures(overall["judge"])
            found[lines]["rules"] = _figures(overall["rules"])
    return found


def scores(folder: Path) -> dict[str, dict[str, int]]:
    """who → photos, and identical lines."""
    found = {}
    for path in sorted(folder.glob("*/score.json")):
        overall = json.loads(path.read_text(encoding="utf-8"))["overall"]
        found[path.parent.name] = {name: overall[name] for name in ("photos", "identical")}
    return found


def _figures(counts: dict[str, Any]) -> dict[str, Any]:
    wanted = {name: counts[name] for name in ("groups", "judged", "accuracy", "false_release", "false_block")}
    return {**wanted, "format_followed": counts["judged"] / counts["groups"]}


def table(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Lines of Markdown."""
    yield "| lines | verdicts | groups | accuracy | false releases / human fails | false blocks | format followed |"
    yield "|---|---|---|---|---|---|---|"
    for lines, rows in found.items():
        for who in sorted(rows, key=lambda who: (who == "rules", who)):
            row = rows[who]
            shares = " | ".join(_share(row[name]) for name in ("accuracy", "false_release", "false_block"))
            yield f"| {LINES[lines]} | {who} | {row['groups']} | {shares} | {row['format_followed']:.1%} |"


def score_table(found: dict[str, dict[str, int]]) -> Iterator[str]:
    """Lines of Markdown."""
    yield "\n| summaries | lines as the truth has them |\n|---|---|"
    for who, score in found.items():
        yield f"| {who} | {score['identical']} / {score['photos']} = {score['identical'] / score['photos']:.2%} |"


def _share(rate: dict[str, Any]) -> str:
    if not rate["of"]:
        return "–"
    return f"{rate['count']} / {rate['of']} = {rate['share']:.1%} [{rate['low'] * 100:.1f}–{rate['high'] * 100:.1f}]"


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description="The figures of the closed loop.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    verdicts, summaries = figures(given.folder), scores(given.folder)
    print(*table(verdicts), *score_table(summaries), sep="\n", flush=True)
    found = {"verdicts": verdicts, "summaries": summaries}
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


if __name__ == "__main__":
    sys.exit(not main())
