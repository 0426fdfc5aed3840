"""What the tests of evaluation build their files with: one mission's verdicts, faults, run file and Stage-A lines."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from verdict_files import MISSION, MOMENT, jsonl, stage_a


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., Path]:
    """Writes a mission's files; gives the file of verdicts."""

    def write(
        verdicts: Iterable[dict[str, Any]],
        lines: Iterable[dict[str, Any]] | None = None,
        faults: Iterable[dict[str, Any]] = (),
        stage_a_faults: Iterable[dict[str, Any]] = (),
        mission: str = MISSION,
    ) -> Path:
        verdicts = list(verdicts)
        if lines is None:
            lines = [stage_a(v["group_id"], v["label"], mission=v["mission"]) for v in verdicts]
        read = jsonl(tmp_path / f"{mission}_stage_a.jsonl", lines)
        jsonl(tmp_path / f"{mission}_stage_a.errors.jsonl", stage_a_faults)
        jsonl(tmp_path / f"{mission}_verdicts.errors.jsonl", faults)
        run = {"yanshou": "0", "status": "finished", "counts": {}, "runs": 1, "begun": MOMENT, "updated": MOMENT}
        more = {"settings": {"stage_a": [str(read)]}, "environment": {}, "earlier_environments": []}
        (tmp_path / f"{mission}_verdicts.run.json").write_text(json.dumps({**run, **more}), encoding="utf-8")
        return jsonl(tmp_path / f"{mission}_verdicts.jsonl", verdicts)

    return write
