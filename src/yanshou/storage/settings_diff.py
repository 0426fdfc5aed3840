"""How the settings of a run differ from those that the lines on disk were made with, and which of it may be.

file   {"checkpoint": "4f0c…", "sampling": {"temperature": 0.0, "max_new_tokens": 256}}
run    {"checkpoint": "77aa…", "sampling": {"temperature": 0.0, "max_new_tokens": 512}, "threshold": 0.9}

checkpoint: file has "4f0c…", this run has "77aa…"                 refused
sampling.max_new_tokens: file has 256, this run has 512            may grow
threshold: file has nothing, this run has 0.9                      refused, unless it may be anything
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from yanshou.text import truncate

Change = Literal["grow", "any"]  # how a setting may differ from the file's: become larger, or become anything

ABSENT = object()  # a setting that one side does not have
LONGEST = 60  # characters of a setting in a message


class Difference(NamedTuple):
    """A setting that stands differently in the run file and in this run."""

    key: str  # nested ones with dots: sampling.temperature
    file: Any
    run: Any
    only_grows: bool = False

    def __str__(self) -> str:
        file, run = _told_apart(*(_shown(value) for value in (self.file, self.run)))
        return f"{self.key}: file has {file}, this run has {run}{' (may only grow)' if self.only_grows else ''}"

    @property
    def lone(self) -> bool:
        """A whole setting that one side knows nothing of: lines of the rules and of a checkpoint, of two versions."""
        return "." not in self.key and ABSENT in (self.file, self.run)


def differences(file: Mapping[str, Any], run: Mapping[str, Any], prefix: str = "") -> Iterator[Difference]:
    """Every value that differs, in the order of this run's settings."""
    for key in {**run, **file}:
        before, now = file.get(key, ABSENT), run.get(key, ABSENT)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from differences(before, now, f"{prefix}{key}.")
        elif before != now:
            yield Difference(prefix + key, before, now)


def forbidden(changes: Sequence[Difference], may_change: Mapping[str, Change]) -> list[Difference]:
    """Those changes that a resume may not make."""
    refused = []
    for change in changes:
        rule = may_change.get(change.key)
        if rule is None:
            refused.append(change)
        elif rule == "grow" and not _grew(change):
            refused.append(change._replace(only_grows=True))
    return refused


def listed(changes: Sequence[Difference]) -> str:
    """A line a change; what one side alone knows of, by its names, where there is something else to see."""
    told = [change for change in changes if not change.lone] or changes
    lone = {
        "the file": [change.key for change in changes if change not in told and change.run is ABSENT],
        "this run": [change.key for change in changes if change not in told and change.file is ABSENT],
    }
    names = "; ".join(f"only {side} has {', '.join(keys)}" for side, keys in lone.items() if keys)
    return "".join(f"\n  {line}" for line in (*told, names) if line)


def _grew(change: Difference) -> bool:
    return isinstance(change.file, int | float) and isinstance(change.run, int | float) and change.run > change.file


def _told_apart(one: str, other: str) -> tuple[str, str]:
    """Both, cut to what a line of a message can hold; long texts (prompts) from shortly before they part."""
    if max(len(one), len(other)) <= LONGEST:
        return one, other
    parting = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    begin = parting - 10
    if begin <= 0:
        return truncate(one, LONGEST), truncate(other, LONGEST)
    return "…" + truncate(one[begin:], LONGEST), "…" + truncate(other[begin:], LONGEST)


def _shown(value: object) -> str:
    return "nothing" if value is ABSENT else json.dumps(value, ensure_ascii=False)
