"""How a run over missions is told: progress on stderr, a result on stdout, an exit status."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import click

from yanshou.cli.progress import ProgressView, begun, last_words, page, table, whereabouts
from yanshou.pipeline.listener import Listener, NullListener
from yanshou.pipeline.mission_result import MissionResult, exit_status


class RunReporter:
    """What a command says while it runs, and at its end. `unit`: what is counted."""

    def __init__(self, unit: str, quiet: bool, as_json: bool) -> None:
        self.unit, self.quiet, self.as_json = unit, quiet, as_json
        self.listener: Listener = NullListener() if quiet or as_json else ProgressView(unit=unit)

    def end(self, results: Sequence[MissionResult]) -> int:
        """Tells the results; gives the exit status."""
        if self.as_json:
            click.echo(json.dumps(list(_rows(results)), ensure_ascii=False, indent=1, default=str))
        elif not self.quiet and begun(results):
            page(stderr=True).print(table(results, self.unit), *whereabouts(results), sep="\n", markup=False)
        for words in last_words(results):
            click.echo(words, err=True)
        return exit_status(results)


def _rows(results: Iterable[MissionResult]) -> Iterable[dict[str, Any]]:
    for result in results:
        rounded = {name: round(getattr(result, name), 3) for name in ("images_per_s", "seconds", "waited_s")}
        yield {**asdict(result), "status": result.status, **rounded}


def silence_transformers() -> None:
    """transformers talks and draws bars on its own; its warnings stay, its chatter goes."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
