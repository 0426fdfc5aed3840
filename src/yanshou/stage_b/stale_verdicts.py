"""Which verdicts lost their group: it left its Stage-A file.

A verdict does not say which Stage-A file it was made from; the run file beside it names those of all verdicts so far.
Only where this run reads every one of them is a verdict without a group stale. Otherwise its group may be in a file
that was not given this time.
"""

from collections.abc import Collection, Iterable
from pathlib import Path

from yanshou.pipeline.stale_lines import AbsentLines, first_named, real_path, short_name
from yanshou.schema.records import GroupKey, VerdictRecord
from yanshou.storage.lines_file import LinesFile


def absent_verdicts(lines: LinesFile[VerdictRecord], present: Collection[GroupKey], complete: bool) -> AbsentLines:
    """Sorts the verdicts whose group is not in the input. `complete`: all Stage-A files of the verdicts are read."""
    absent = {number: record.key for number, record in lines.numbered() if record.key not in present}
    if not complete:
        return AbsentLines(elsewhere=len(absent))
    relabelled = {key: _other_labels(key, present) for key in first_named(absent)}
    return AbsentLines(absent, {key: f"which is now {short_name(one[0])}" for key, one in relabelled.items() if one})


def reads_all(given: Iterable[str | Path], recorded: Iterable[str]) -> bool:
    """Whether the files given hold all files recorded, links resolved."""
    return set(map(real_path, recorded)) <= set(map(real_path, given))


def _other_labels(key: GroupKey, present: Collection[GroupKey]) -> list[GroupKey]:
    """The groups of the same id under another label: where a job's group usually went."""
    others = (key._replace(label=label) for label in ("pass", "fail", None))
    return [other for other in others if other in present]
