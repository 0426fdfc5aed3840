"""Runs on one mission's files, as the tests of storage make them: numbered groups, a run that writes some of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.lines import SHIELD, stage_a_line
from yanshou.schema.records import Fault, StageARecord
from yanshou.storage.jsonl import dump_line, read_lines
from yanshou.storage.run_file import EarlierRuns, read_earlier
from yanshou.storage.run_files import RunFiles, locked_run
from yanshou.storage.settings_diff import Change

MISSION = SHIELD
STEM = f"{MISSION}_stage_a"
SETTINGS: dict[str, Any] = {
    "checkpoint": "4f0c",
    "sampling": {"max_new_tokens": 256, "temperature": 0.0},
    "allow_truncated": False,
    "prompt": "看图，用一行中文写出照片里的内容。" * 4 + "用全角逗号隔开，看不清的写 需复核。只写这一行。",
}
MAY_CHANGE: dict[str, Change] = {"sampling.max_new_tokens": "grow", "allow_truncated": "any"}
ENVIRONMENT = {"device": "cuda:0", "versions": {"torch": "2.9"}}


def record(number: int) -> StageARecord:
    """The line of group QC-`number`."""
    return StageARecord(
        **stage_a_line(f"QC-{number}", "pass", f"挡风板×{number}", mission=MISSION, images=[f"/data/{number}.jpg"])
    )


def fault(number: int, message: str = "the file is empty (0 bytes)", photo: str | None = "1.jpg") -> Fault:
    """A fault of group QC-`number`."""
    key = record(number).key
    return Fault(**key._asdict(), photo=photo, step="load", message=message, advice="Copy it again.", timestamp="")


@contextmanager
def open_run(
    folder: Path,
    stem: str = STEM,
    mission: str = MISSION,
    *,
    settings: Mapping[str, Any] = SETTINGS,
    environment: Mapping[str, Any] = ENVIRONMENT,
    fresh: bool = False,
) -> Iterator[RunFiles[StageARecord]]:
    """A run's files, from the lock to the end of the context."""
    with locked_run(folder, stem) as paths:
        earlier = (
            EarlierRuns(None, has_lines=False, fresh=True)
            if fresh
            else read_earlier(paths.run, paths.lines, StageARecord, settings, MAY_CHANGE)
        )
        with RunFiles.open(paths, StageARecord, mission, earlier, settings, environment) as files:
            yield files


def write_groups(folder: Path, *numbers: int, **changes: Any) -> None:
    """A whole run that writes these groups."""
    with open_run(folder, **changes) as files:
        for number in numbers:
            files.append(record(number))
        files.finish("finished", {"written": len(files.lines.done)})


def lines(folder: Path) -> bytes:
    """The file of lines."""
    return (folder / f"{STEM}.jsonl").read_bytes()


def written(*numbers: int) -> bytes:
    """The file of lines that a run over these groups writes."""
    return b"".join(dump_line(record(number)) for number in numbers)


def run_file(folder: Path) -> dict[str, Any]:
    """The run file."""
    return dict(json.loads((folder / f"{STEM}.run.json").read_text(encoding="utf-8")))


def failing(folder: Path) -> Sequence[tuple[str, str]]:
    """Group and message of each line of the errors file."""
    return [(line["group_id"], line["message"]) for _, line in read_lines(folder / f"{STEM}.errors.jsonl")]


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file of the folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
