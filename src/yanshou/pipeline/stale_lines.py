"""Stale lines: their group is no longer in the input. A whole run names, counts and, if asked, moves them.

    group of a line        in the input                    nothing to do
                           not in the input                stale: reported, status 3, `--prune` moves the line
                           of another input                elsewhere: counted, never moved
                           below an unlisted folder        unlisted: nobody knows, never moved

A stage sorts its absent lines (`MissionTask.absent`), because only it knows where its groups come from.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yanshou.pipeline.mission_run import MissionRun
from yanshou.schema.records import GroupKey
from yanshou.text import printable, truncate

NAMED = 5  # stale groups that a message names


@dataclass(frozen=True, slots=True)
class AbsentLines:
    """The lines whose group is not in the input."""

    stale: Mapping[int, GroupKey] = field(default_factory=dict)  # by line number, from 1
    now: Mapping[GroupKey, str] = field(default_factory=dict)  # what became of the first NAMED, where that is known
    elsewhere: int = 0  # lines of other inputs
    unlisted: int = 0  # lines below folders that could not be listed


def settle(absent: AbsentLines, run: MissionRun[Any], prune_share: float) -> None:
    """Counts and reports the absent lines, and moves the stale ones if they are at most this share of the file."""
    result, stale = run.result, absent.stale
    result.elsewhere, result.stale = absent.elsewhere, len(stale)
    lines, removed = run.files.lines, run.files.removed
    if absent.unlisted:
        result.late_warnings.append(
            f"{printable(lines.path)}: {absent.unlisted} of its lines may be stale: their folders could not be listed."
        )
    if not stale:
        return
    if len(stale) <= prune_share * len(lines.done):
        run.files.remove(stale)
        result.stale, result.pruned, result.removed = 0, len(stale), removed
        return
    advice = f"Put the groups back, or move the lines to {removed.name} with --prune."
    if len(stale) > len(lines.done) / 2:
        advice = (
            f"--prune moves at most half of a file's lines, and these are {len(stale)} of {len(lines.done)}: is a disk "
            "or a folder missing? Put it back, or use --prune-all."
        )
    result.late_warnings.append(
        f"{printable(lines.path)}: {len(stale)} {'line is' if len(stale) == 1 else 'lines are'} stale: the input no "
        f"longer holds {'; '.join(_named(absent))}. {advice}"
    )


def first_named(stale: Mapping[int, GroupKey]) -> list[GroupKey]:
    """The groups that a message names."""
    return list(stale.values())[:NAMED]


def real_path(path: str | Path) -> str:
    """The path with its links resolved; unchanged if no file can have such a path (another program's line)."""
    try:
        return os.path.realpath(path)
    except ValueError:
        return str(path)


def short_name(key: GroupKey) -> str:
    """`QC-20241022-0015063 (fail)`: the mission is known."""
    return f"{truncate(key.group_id)} ({key.label or 'no label'})"


def _named(absent: AbsentLines) -> Iterable[str]:
    for key in first_named(absent.stale):
        yield ", ".join(filter(None, (short_name(key), absent.now.get(key))))
    if len(absent.stale) > NAMED:
        yield f"{len(absent.stale) - NAMED} more"
