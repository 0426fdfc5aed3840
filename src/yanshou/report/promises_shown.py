"""What a policy promises, in the page's language: one row per mission and side, and what holds for all of them.

检查项          方向   阈值              保证                    依据                      作用
BBU接地线检查   放行   通过概率 ≥ 0.93   误放行率不超过 3%       误放行 0 / 178            放行人工判通过的 301 / 442
               拦截   没有阈值：还缺 51 组人工判通过的组 …
"""

from collections.abc import Mapping
from dataclasses import dataclass

from yanshou.evaluate.metrics import Rate
from yanshou.evaluate.promises import Promises
from yanshou.evaluate.threshold import Promise

SHOWN = ("threshold", "limit", "scope", "basis", "gain")  # of a side that has a threshold


@dataclass(frozen=True, slots=True)
class PromiseRow:
    """One side of a mission. Without a threshold, `missing` says why, and the other texts are empty."""

    mission: str | None  # None: all missions together
    rows: int  # of this mission, at its first row; 0 at the others
    side: str
    threshold: str = ""
    limit: str = ""
    scope: str = ""
    basis: str = ""
    gain: str = ""
    missing: str = ""


@dataclass(frozen=True, slots=True)
class PromisesShown:
    """The section about promises."""

    rows: list[PromiseRow]
    together: list[str]  # sentences about all promises
    not_covered: list[str]


def promises_shown(promises: Promises | None, texts: Mapping[str, str]) -> PromisesShown | None:
    """None: no limit was asked for."""
    if promises is None:
        return None
    each = list(promises.each())
    missions = [mission for mission, _ in each]
    rows = [
        _row(mission, 0 if number and missions[number - 1] == mission else missions.count(mission), promise, texts)
        for number, (mission, promise) in enumerate(each)
    ]
    return PromisesShown(rows, _together(promises, texts), _not_covered(promises, texts))


def policy_thresholds(promises: Promises | None, mission: str) -> dict[str, float]:
    """The thresholds of a mission by name; of all missions together (""), if they are pooled."""
    found = promises.each() if promises else ()
    thresholds = {f"{promise.side}_at": promise.threshold for of, promise in found if of is None or of == mission}
    return {name: threshold for name, threshold in thresholds.items() if threshold is not None}


def rate_text(rate: Rate, texts: Mapping[str, str]) -> str:
    """3 of 95 (3.2%)"""
    share = "–" if rate.share is None else f"{rate.share:.1%}"
    return texts["rate"].format(count=f"{rate.count:,}", of=f"{rate.of:,}", share=share)


def percent_text(share: float) -> str:
    """5%, 2.5%: without zeros at the end."""
    return f"{share * 100:.6g}%"


def _row(mission: str | None, rows: int, promise: Promise, texts: Mapping[str, str]) -> PromiseRow:
    side = promise.side
    values = {
        "p": repr(promise.threshold),
        "limit": percent_text(promise.limit),
        "of": f"{promise.errors.of:,}",
        "errors": rate_text(promise.errors, texts),
        "upper": "–" if promise.upper is None else f"{promise.upper:.2%}",
        "gained": rate_text(promise.gained, texts),
        "needed": f"{promise.needed:,}",
        "missing": f"{promise.missing:,}",
        "allowed": promise.allowed,
    }
    if promise.threshold is None:
        why = texts[f"promise_{'few' if promise.allowed is None else 'many'}_{side}"].format(**values)
        return PromiseRow(mission, rows, texts[f"side_{side}"], missing=why)
    shown = {name: texts[f"promise_{name}_{side}"].format(**values) for name in SHOWN}
    return PromiseRow(mission, rows, texts[f"side_{side}"], **shown)


def _together(promises: Promises, texts: Mapping[str, str]) -> list[str]:
    """How many promises there are, and the chance that all of them hold."""
    values = {
        "made": promises.made,
        "asked": promises.asked,
        "tested": promises.tested,
        "confidence": percent_text(promises.confidence),
        "share": f"{promises.confidence:g}",
        "chance": f"{promises.all_hold:.1%}",
        "better": f"{promises.confidence_for_all:.6g}",
    }
    sentences = ["promises_made"]
    if promises.tested > 1:
        sentences += ["promises_all" if promises.all_hold else "promises_all_unknown", "promises_better"]
    return [texts[name].format(**values) for name in sentences]


def _not_covered(promises: Promises, texts: Mapping[str, str]) -> list[str]:
    names = ["runs", "jobs", *(["missions"] if promises.pooled else []), "labels", "tries", "twins", "no_p"]
    return [texts[f"not_covered_{name}"] for name in names]
