"""What commands print: progress, results and last messages of a run; tables, JSON and warnings of other commands.

Results go to stdout, everything else to stderr. A run's results are its files, so its table is not on stdout.
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from yanshou.cli.console import console
from yanshou.cli.messages import print_json, say
from yanshou.cli.run_progress import PHOTOS, VERDICTS, RunProgress
from yanshou.cli.run_table import run_table, started
from yanshou.pipeline.listener import Listener, NullListener
from yanshou.pipeline.mission_result import MissionResult, exit_status
from yanshou.schema.records import unbound_warnings

__all__ = [
    "PHOTOS", "VERDICTS", "RunReporter", "final_messages", "print_tables",
]  # fmt: skip

AUDIT_SIZE = 300  # shows at most 1 % of bad groups among many, if none of the sample is bad


class RunReporter:
    """What a run over missions prints, and the status that it ends with. `unit`: what the run counts."""

    def __init__(self, unit: str, quiet: bool, as_json: bool) -> None:
        self.unit, self.quiet, self.as_json = unit, quiet, as_json
        self.listener: Listener = NullListener() if quiet or as_json else RunProgress(unit)

    def end(self, results: Sequence[MissionResult]) -> int:
        """Prints the results; returns the exit status."""
        if self.as_json:
            print_json(list(_rows(results)))
        elif not self.quiet and started(results):
            console(stderr=True).print(run_table(results, self.unit))
            for line in (*file_summary(results), *decision_summary(results)):
                say(line, err=True)
        for message in final_messages(results):
            say(message, err=True)
        return exit_status(results)


def print_tables(tables: Iterable[Table]) -> None:
    console().print(*tables, sep="\n")


def file_summary(results: Sequence[MissionResult]) -> list[str]:
    """Where the lines are, and how many."""
    return [
        f"{result.written + result.skipped} of {result.groups} groups are in {result.lines}"
        + (f"; the other threshold changed {result.revised} verdicts" if result.revised else "")
        + (f"; lines of other inputs in it: {result.elsewhere}" if result.elsewhere else "")
        + (f"; stale lines moved to {result.removed}: {result.pruned}" if result.pruned else "")
        for result in results
        if result.lines
    ]


def decision_summary(results: Sequence[MissionResult]) -> list[str]:
    """Under a policy: what happens to the groups of each mission, why a person decides, and what to do next."""
    decided = [(result.mission, result.decisions) for result in results if result.decisions]
    lines = [
        f"{mission}: {counts.release} groups are released, {counts.block} blocked, {counts.review} go to a person"
        + (f" ({_listed(counts.why_review)})" if counts.review else "")
        + f": {counts.file}"
        + (f"; verdicts on groups of other files, not decided here: {counts.elsewhere}" if counts.elsewhere else "")
        for mission, counts in decided
    ]
    if released := sum(counts.release for _, counts in decided):
        files = " ".join(shlex.quote(str(counts.file)) for _, counts in decided if counts.release)
        command = f"yanshou audit draw --size {min(AUDIT_SIZE, released)} --output audit.json {files}"
        lines.append(f"next, a sample of what was released: {command}")
    return lines


def final_messages(results: Sequence[MissionResult]) -> list[str]:
    """The messages that must not be missed: what failed, where the reasons are, what to do."""
    messages = []
    for result in results:
        if result.interrupted:
            messages.append(f"{result.mission}: interrupted. Run the same command again to resume.")
        elif result.error:
            messages.append(f"error: {result.error}")
        if result.out_of_memory:
            messages.append(
                f"{result.mission}: the GPU ran out of memory {result.out_of_memory} time(s); the run continued with "
                "smaller batches. To avoid it, lower --gpu-memory (continuous engine) or --batch-size (transformers "
                "engine)."
            )
        messages += [f"warning: {result.mission}: {warning}" for warning in unbound_warnings(result.unbound)]
        if result.failed:
            messages.append(
                f"{result.mission}: {result.failed} of {result.groups} groups failed: see {result.errors}. "
                "Run the same command again to retry only these."
            )
        messages += [f"warning: {warning}" for warning in result.late_warnings]
    return messages


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items())


def _rows(results: Iterable[MissionResult]) -> Iterable[dict[str, Any]]:
    for result in results:
        rounded = {name: round(getattr(result, name), 3) for name in ("images_per_s", "seconds", "waited_s")}
        yield {**asdict(result), "status": result.status, **rounded}
