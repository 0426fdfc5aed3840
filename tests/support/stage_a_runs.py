"""Runs of `yanshou summarize` with the scripted engine, as the tests of Stage-A make them: input, run, output."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from yanshou.pipeline.mission_result import MissionResult
from yanshou.settings import EngineSettings, StageASettings
from yanshou.stage_a.summarize import summarize_directory
from yanshou.storage.jsonl import read_lines

SHIELD, SCREWS, GROUND, CABLES = "挡风板安装检查", "BBU安装方式检查（正装）", "BBU接地线检查", "BBU线缆布放"
PASS, FAIL = "审核通过", "审核不通过"
KEYS = ["group_id", "mission", "label", "images", "per_image", "raw_texts", "clean_texts", "timestamp"]

PhotoTree = Callable[..., Path]
Script = Callable[..., Path]
Yanshou = Callable[..., subprocess.CompletedProcess[str]]
Line = dict[str, Any]


# --- input


def jobs(count: int, photos: int = 1, mission: str = SHIELD, label: str = PASS) -> dict[str, int]:
    """`count` groups, as the fixture photo_tree takes them."""
    return {f"{mission}/{label}/QC-{number}": photos for number in range(1, count + 1)}


def answers(tree: Mapping[str, int | Sequence[str]]) -> dict[str, str]:
    """A different answer for every photo of the tree, whose group folders must have different names."""
    names = {Path(path).name: photos for path, photos in tree.items()}
    return {f"{name}/{photo}": f"标签/{name} {photo}×1" for name, photos in names.items() for photo in listed(photos)}


def listed(photos: int | Sequence[str]) -> list[str]:
    """The photos' names."""
    return [f"{number}.jpg" for number in range(1, photos + 1)] if isinstance(photos, int) else list(photos)


# --- runs


def settings(root: Path, script: Path, out: Path, *missions: str, **options: Any) -> StageASettings:
    engine = {name: options.pop(name) for name in ("batch_size", "sampling", "photo") if name in options}
    return StageASettings(
        input_dir=root, output_dir=out, missions=missions or (SHIELD,),
        engine=EngineSettings(checkpoint=str(script), engine="scripted", **engine), **options,
    )  # fmt: skip


def run(root: Path, script: Path, out: Path, *missions: str, **options: Any) -> MissionResult:
    """Runs one mission in this process, without the command line."""
    (result,) = summarize_directory(settings(root, script, out, *missions, **options))
    return result


def arguments(root: Path, script: Path, out: Path, mission: str = SHIELD, *more: str) -> list[str]:
    return [
        "summarize", "--engine", "scripted", "--checkpoint", str(script), "--input-dir", str(root),
        "--output-dir", str(out), "--mission", mission, *more,
    ]  # fmt: skip


def start(*args: Any) -> "subprocess.Popen[str]":
    """`yanshou summarize` in a process of its own."""
    command = [sys.executable, "-m", "yanshou.cli", *arguments(*args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


def end(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Exit status and stderr."""
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def until(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)


# --- output


def lines_file(out: Path, mission: str = SHIELD) -> Path:
    return out / f"{mission}_stage_a.jsonl"


def lines(out: Path, mission: str = SHIELD) -> list[Line]:
    """The lines on disk, validated, without their timestamps."""
    path = lines_file(out, mission)
    return [{key: line[key] for key in KEYS if key != "timestamp"} for _, line in read_lines(path)]


def ids(out: Path, mission: str = SHIELD) -> list[str]:
    return [line["group_id"] for line in lines(out, mission)]


def faults(out: Path, mission: str = SHIELD) -> list[tuple[str, str | None, str]]:
    return [
        (line["group_id"], line["photo"], line["message"])
        for _, line in read_lines(out / f"{mission}_stage_a.errors.jsonl")
    ]


def run_file(out: Path, mission: str = SHIELD) -> dict[str, Any]:
    return dict(json.loads((out / f"{mission}_stage_a.run.json").read_text(encoding="utf-8")))


def expected_lines(
    root: Path, tree: Mapping[str, int | Sequence[str]], labels: Mapping[str, str | None] | None = None
) -> Any:
    """The lines that a run over the tree must write: one per group, in the tree's order."""
    made = []
    for path, photos in tree.items():
        mission, label, group = path.split("/")
        texts = [f"标签/{group} {photo}×1" for photo in listed(photos)]
        made.append(
            {
                "group_id": group,
                "mission": mission,
                "label": {PASS: "pass", FAIL: "fail"}[label],
                "images": [str(root / path / photo) for photo in listed(photos)],
                "per_image": {f"图片_{number}": text for number, text in enumerate(texts, 1)},
                "raw_texts": [f"{text}<|im_end|>" for text in texts],
                "clean_texts": texts,
            }
        )
    return made
