"""Promises about the shipped checkpoint and the demo, through the command line, on the CPU, in fp32."""

import csv
import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from yanshou.cli import main
from yanshou.cli.demo_steps import clear
from yanshou.engines.checkpoint import faults, locate
from yanshou.errors import OutputError
from yanshou.missions import load_missions
from yanshou.review.start import started
from yanshou.settings import ReviewSettings
from yanshou.storage.jsonl import read_lines
from yanshou.world.synth import synthesize

ROOT = Path(__file__).parents[2]
MISSION = "BBU接地线检查"
GROUPS = 4

Line = dict[str, Any]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "photos"
    synthesize(folder, GROUPS, 7, [load_missions().get(MISSION)], workers=1)
    return folder


@pytest.fixture(scope="module")
def alone(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Line]:
    """The lines of an undisturbed run with a batch size of 1."""
    out = tmp_path_factory.mktemp("alone")
    assert summarize(photos, out, "--batch-size", "1") == 0
    return lines(out)


def arguments(photos: Path, out: Path, *more: str) -> list[str]:
    return [
        "summarize", "--checkpoint", "demo", "--device", "cpu", "--input-dir", str(photos), "--output-dir", str(out),
        "--mission", MISSION, "--allow-truncated", *more,
    ]  # fmt: skip


def summarize(photos: Path, out: Path, *more: str) -> int:
    return CliRunner().invoke(main, arguments(photos, out, *more), catch_exceptions=False).exit_code


def lines(out: Path) -> dict[str, Line]:
    """Every line by label and group id, without the fields that differ between runs."""
    found = [line for _, line in read_lines(out / f"{MISSION}_stage_a.jsonl")]
    for line in found:
        line.pop("timestamp")
        line["images"] = [Path(image).name for image in line["images"]]
    assert len({(line["label"], line["group_id"]) for line in found}) == len(found)
    return {f"{line['label']} {line['group_id']}": line for line in found}


def test_batch_size_and_order_on_disk_change_no_line(photos: Path, alone: dict[str, Line], tmp_path: Path) -> None:
    assert len(alone) == GROUPS
    files = sorted(photos.rglob("*.jpeg"))
    random.Random(1).shuffle(files)
    for file in files:
        copy = tmp_path / "in" / file.relative_to(photos)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    assert summarize(tmp_path / "in", tmp_path / "out", "--batch-size", "8") == 0
    assert lines(tmp_path / "out") == alone


def test_a_run_in_parts_writes_the_lines_of_one_run(photos: Path, alone: dict[str, Line], tmp_path: Path) -> None:
    for limit in ("1", "2", "100"):
        assert summarize(photos, tmp_path, "--limit", limit) == 0
    assert lines(tmp_path) == alone


def test_a_run_killed_twice_ends_with_the_same_lines(photos: Path, alone: dict[str, Line], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "yanshou.cli", *arguments(photos, tmp_path, "--batch-size", "2")]
    for enough in (1, 2):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            _wait(tmp_path / f"{MISSION}_stage_a.jsonl", enough, run)
            run.send_signal(signal.SIGKILL)
        assert run.returncode == -signal.SIGKILL
        assert enough <= len(lines_on_disk(tmp_path)) < GROUPS
    assert summarize(photos, tmp_path) == 0
    assert lines(tmp_path) == alone


def lines_on_disk(out: Path) -> list[bytes]:
    return (out / f"{MISSION}_stage_a.jsonl").read_bytes().splitlines()


def _wait(file: Path, count: int, run: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while not file.exists() or file.read_bytes().count(b"\n") < count:
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_shipped_checkpoint_is_small_and_complete() -> None:
    folder = locate("demo")
    shards = [file.stat().st_size for file in folder.glob("*.safetensors")]
    assert list(faults(folder)) == []
    assert max(shards) <= 15_000_000
    assert sum(shards) <= 24_000_000
    assert {tensor["dtype"] for file in folder.glob("*.safetensors") for tensor in _header(file)} == {"BF16"}


def _header(file: Path) -> Iterator[dict[str, Any]]:
    data = file.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return (tensor for name, tensor in header.items() if name != "__metadata__")


def test_the_demo_writes_every_group_with_a_true_reason_and_a_score(tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, ["demo", "--output-dir", str(tmp_path / "demo")], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    written = [line for file in (tmp_path / "demo").rglob("*_stage_a.jsonl") for line in read_lines(file)]
    assert len(written) == 24
    printed = [line.rstrip() for line in ran.output.replace(f"{tmp_path}/", "").splitlines()]
    for page in ("README.md", "README.zh-CN.md"):
        (shown,) = re.findall(r"```\n(mission .*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
        assert set(shown.splitlines()) <= set(printed), page
    judged = [line for file in (tmp_path / "demo").rglob("*_verdicts.jsonl") for _, line in read_lines(file)]
    assert len(judged) == 24
    answers = {line["raw_text"].removesuffix("<|im_end|>") for line in judged}
    for page in ("README.md", "README.zh-CN.md"):
        (quoted,) = re.findall(r"```\n(通过\n.*?)\n```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
        assert set(quoted.split("\n\n")) <= answers, page
    with (tmp_path / "demo" / "report" / "groups.csv").open(encoding="utf-8-sig", newline="") as sheet:
        rows = list(csv.DictReader(sheet))
    assert len(rows) == 24
    assert {row["verdict"] for row in rows} == {"pass", "fail"}
    assert [row["reason"] for row in rows if (row["reason_check"], row["reason_problems"]) != ("grounded", "")] == []
    assert "false releases" in ran.output
    assert (tmp_path / "demo" / "report" / "report.html").exists()
    check_that_the_groups_can_be_reviewed(printed[-1], tmp_path)


def check_that_the_groups_can_be_reviewed(command: str, folder: Path) -> None:
    """Follows the command that the demo ends with, up to the page."""
    assert command == "  yanshou review --all-groups --store demo/review.sqlite demo/verdicts/*_verdicts.jsonl"
    settings = ReviewSettings(
        files=tuple(folder.glob("demo/verdicts/*_verdicts.jsonl")),
        store=folder / "demo" / "review.sqlite",
        all_groups=True,
    )
    with started(settings, load_missions()) as start:
        assert start.imported is not None
        assert sum(counts.not_queued for counts in start.imported.missions.values()) == 0
        assert start.imported.added.added == 24
        assert start.imported.warnings == ()
    clear(folder / "demo")
    assert [path.name for path in (folder / "demo").iterdir() if "lock" not in path.name] == ["review.sqlite"]


def test_the_demo_deletes_only_its_own_files(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    ran = CliRunner().invoke(main, ["demo", "--output-dir", str(tmp_path)], catch_exceptions=False)
    assert ran.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_cannot_be_removed_of_an_earlier_demo_is_named(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "stage_a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="demo/stage_a: cannot be written: Cannot call rmtree on a symbolic link"):
        clear(tmp_path / "demo")
    with pytest.raises(OutputError, match="x: cannot be written: File name too long"):
        clear(tmp_path / ("x" * 300))
