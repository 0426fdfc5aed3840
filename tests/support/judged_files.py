"""Files of a mission whose groups have been judged: verdicts, Stage-A lines, errors files and the run file."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from support.lines import GOOD, GROUNDING, TIMESTAMP, bound, stage_a_line, verdict, write_lines
from yanshou.schema.run_record import RunRecord
from yanshou.storage.jsonl import dump_line


def write_judged(
    folder: Path,
    verdicts: Iterable[dict[str, Any]],
    lines: Iterable[dict[str, Any]] | None = None,
    faults: Iterable[dict[str, Any]] = (),
    stage_a_faults: Iterable[dict[str, Any]] = (),
    mission: str = GROUNDING,
    *,
    bind: bool = True,
) -> Path:
    """Writes a mission's files and returns the file of verdicts. `bind`: each verdict names its line's summaries."""
    verdicts = list(verdicts)
    if lines is None:
        lines = [stage_a_line(v["group_id"], v["label"], mission=v["mission"]) for v in verdicts]
    lines = list(lines)
    read = write_lines(folder / f"{mission}_stage_a.jsonl", lines)
    write_lines(folder / f"{mission}_stage_a.errors.jsonl", stage_a_faults)
    write_lines(folder / f"{mission}_verdicts.errors.jsonl", faults)
    run = RunRecord(
        format=1, yanshou="0", status="finished", counts={}, runs=1, started=TIMESTAMP, updated=TIMESTAMP,
        settings={"stage_a": [str(read)]}, environment={}, earlier_environments=[],
    )  # fmt: skip
    (folder / f"{mission}_verdicts.run.json").write_bytes(dump_line(run))
    return write_lines(folder / f"{mission}_verdicts.jsonl", bound(verdicts, lines) if bind else verdicts)


def amend(file: Path, environment: dict[str, Any] | None = None, **settings: Any) -> None:
    """Adds settings to the run file beside a file of lines."""
    path = file.with_suffix(".run.json")
    run = json.loads(path.read_text(encoding="utf-8"))
    assert run["updated"] == TIMESTAMP
    run = {**run, "settings": {**run["settings"], **settings}, "environment": environment or run["environment"]}
    path.write_text(json.dumps(run), encoding="utf-8")


def many(groups: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Verdicts and summaries of a realistic size: three or four photos, a hundred characters each, long paths."""
    verdicts, lines = [], []
    for number in range(groups):
        label = "fail" if number % 8 == 0 else "pass"
        name = f"QC-TEMP-20241022-{number:07d}"
        texts = [GOOD + GOOD[: 7 * (number % 8)]] * (3 + number % 2)
        images = [f"/data/现场照片/{GROUNDING}/审核通过/{name}/{name}_{4176693 + n}.jpeg" for n in range(len(texts))]
        lines.append(stage_a_line(name, label, *texts, images=images))
        verdicts.append(verdict(name, label, p=(number * 37 % 1000) / 1000, says="fail" if number % 3 else "pass"))
    return verdicts, lines
