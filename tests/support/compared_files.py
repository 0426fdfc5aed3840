"""Two files about the same groups, the run files beside them, and `yanshou compare` on them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from support.lines import TIMESTAMP, write_lines
from yanshou.cli import main
from yanshou.schema.run_record import RunRecord
from yanshou.storage.jsonl import dump_line


def write_side(folder: Path, lines: Iterable[dict[str, Any]], kind: str = "stage_a", **settings: Any) -> Path:
    """Writes one side; with settings, its run file, too. `environment` is that of the run."""
    folder.mkdir(parents=True, exist_ok=True)
    file = write_lines(folder / f"m_{kind}.jsonl", lines)
    if settings:
        environment = settings.pop("environment", {})
        run = RunRecord(
            format=1, yanshou="0", status="finished", counts={}, runs=1, started=TIMESTAMP, updated=TIMESTAMP,
            settings=settings, environment=environment, earlier_environments=[],
        )  # fmt: skip
        file.with_suffix(".run.json").write_bytes(dump_line(run))
    return file


def run_compare(a: Path, b: Path, output_dir: Path, *more: str) -> Result:
    command = ["compare", str(a), str(b), "--output-dir", str(output_dir), *more]
    return CliRunner().invoke(main, command, catch_exceptions=False)


def compared(a: Path, b: Path, output_dir: Path, *more: str) -> dict[str, Any]:
    """What --json says."""
    result = run_compare(a, b, output_dir, "--json", *more)
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


def changes(output_dir: Path) -> list[dict[str, Any]]:
    """The lines of changes.jsonl."""
    return [json.loads(line) for line in (output_dir / "changes.jsonl").read_text("utf-8").splitlines()]
