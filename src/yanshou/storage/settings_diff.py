"""How the settings of a run differ from those in a run file, and which differences a resume may make.

file   {"checkpoint": "4f0c…", "sampling": {"temperature": 0.0, "max_new_tokens": 256}}
run    {"checkpoint": "77aa…", "sampling": {"temperature": 0.0, "max_new_tokens": 512}, "threshold": 0.9}

checkpoint: file has "4f0c…", this run has "77aa…"                 refused
sampling.max_new_tokens: file has 256, this run has 512            allowed where it may grow
threshold: file has nothing, this run has 0.9                      allowed where it may be anything
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from yanshou.errors import ResumeError
from yanshou.text import truncate

Change = Literal["grow", "any"]  # how a setting may differ from the file's: become larger, or become anything

ABSENT = object()  # a setting that one side does not have
START_OVER = "choose another --output-dir, or start over with --fresh, which keeps the old files under another name."
LONGEST = 60  # characters of a setting in a message


class Difference(NamedTuple):
    """One setting that differs between the run file and this run."""

    key: str  # nested ones with dots: sampling.temperature
    file: Any
    run: Any
    only_grows: bool = False

    def __str__(self) -> str:
        file, run = self.texts
        return f"{self.key}: file has {file}, this run has {run}{' (may only grow)' if self.only_grows else ''}"

    @property
    def texts(self) -> tuple[str, str]:
        """Both values as a message shows them; long ones (prompts) begin shortly before the first difference."""
        return _truncate_around_difference(_as_text(self.file), _as_text(self.run))

    @property
    def one_sided(self) -> bool:
        """Whether one side lacks the whole setting: lines of the rules and of a checkpoint, or of two versions."""
        return "." not in self.key and ABSENT in (self.file, self.run)


def check_settings(
    path: Path,
    file: Mapping[str, Any],
    run: Mapping[str, Any],
    may_change: Mapping[str, Change],
    made: str = "the lines so far were made",
) -> None:
    """Raises ResumeError, showing every difference that a resume may not make, where `path` has the file's settings."""
    if changes := refused_changes(list(differences(file, run)), may_change):
        raise ResumeError(
            f"{path}: {made} with other settings:{format_changes(changes)}\n  Use the same settings, {START_OVER}"
        )


def differences(file: Mapping[str, Any], run: Mapping[str, Any], prefix: str = "") -> Iterator[Difference]:
    """Every value that differs, in the order of this run's settings."""
    for key in {**run, **file}:
        before, now = file.get(key, ABSENT), run.get(key, ABSENT)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from differences(before, now, f"{prefix}{key}.")
        elif before != now:
            yield Difference(prefix + key, before, now)


def refused_changes(changes: Sequence[Difference], may_change: Mapping[str, Change]) -> list[Difference]:
    """Those changes that a resume may not make."""
    refused = []
    for change in changes:
        rule = may_change.get(change.key)
        if rule is None:
            refused.append(change)
        elif rule == "grow" and not _grew(change):
            refused.append(change._replace(only_grows=True))
    return refused


def format_changes(changes: Sequence[Difference]) -> str:
    """One line per change, each after a line break. One-sided changes share one line where there are others."""
    two_sided = [change for change in changes if not change.one_sided] or list(changes)
    rest = [change for change in changes if change not in two_sided]
    only = {
        "the file": [change.key for change in rest if change.run is ABSENT],
        "this run": [change.key for change in rest if change.file is ABSENT],
    }
    names = "; ".join(f"only {side} has {', '.join(keys)}" for side, keys in only.items() if keys)
    return "".join(f"\n  {line}" for line in (*two_sided, names) if line)


def _grew(change: Difference) -> bool:
    return isinstance(change.file, int | float) and isinstance(change.run, int | float) and change.run > change.file


def _truncate_around_difference(one: str, other: str) -> tuple[str, str]:
    """Both texts, shortened for a message; long ones (prompts) begin shortly before the first difference."""
    if max(len(one), len(other)) <= LONGEST:
        return one, other
    differing = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    begin = next(differing, min(len(one), len(other))) - 10
    if begin <= 0:
        return truncate(one, LONGEST), truncate(other, LONGEST)
    return "…" + truncate(one[begin:], LONGEST), "…" + truncate(other[begin:], LONGEST)


def _as_text(value: object) -> str:
    return "nothing" if value is ABSENT else json.dumps(value, ensure_ascii=False)
