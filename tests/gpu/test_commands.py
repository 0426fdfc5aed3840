"""The commands with `--device cuda`, from photos on disk to checked lines."""

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from support.gpu import on_gpu, release

from yanshou.cli import main
from yanshou.world.draw import draw
from yanshou.world.scene import random_scene

pytestmark = on_gpu

MISSION = "挡风板安装检查"


def installed() -> bool:
    try:
        return bool(version("yanshou"))
    except PackageNotFoundError:
        return False


@pytest.mark.skipif(not installed(), reason="doctor reports the version of the installed package: pip install -e .")
def test_doctor_reports_the_card_and_accepts_the_demo_checkpoint() -> None:
    result = CliRunner().invoke(main, ["doctor", "--checkpoint", "demo"])
    assert result.exit_code == 0, result.output
    assert f"cuda:0 {torch.cuda.get_device_name(0)}" in result.output
    assert "FAIL" not in result.output


@pytest.fixture
def photo_folder(tmp_path: Path) -> Path:
    """Three groups of two drawn photos each."""
    rng = Random("commands")
    for number in range(3):
        group = tmp_path / "in" / MISSION / ("审核通过", "审核不通过")[number % 2] / f"QC-{number}"
        group.mkdir(parents=True)
        for photo in (1, 2):
            draw(random_scene(rng), rng).save(group / f"{photo}.jpg", "JPEG", quality=90)
    return tmp_path / "in"


def summarize(photos: Path, out: Path, *options: str) -> list[dict[str, Any]]:
    """The written lines, without the time."""
    given = ["--checkpoint", "demo", "--mission", MISSION, "--input-dir", str(photos), "--output-dir", str(out)]
    result = CliRunner().invoke(main, ["summarize", *given, *options])
    assert result.exit_code == 0, result.output
    lines = (out / f"{MISSION}_stage_a.jsonl").read_text(encoding="utf-8").splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "timestamp"} for line in lines]


def test_summarize_on_cuda_writes_a_line_for_every_group(photo_folder: Path, tmp_path: Path) -> None:
    lines = summarize(photo_folder, tmp_path / "out", "--device", "cuda")
    assert [len(line["per_image"]) for line in lines] == [2, 2, 2]
    assert all(text for line in lines for text in line["per_image"].values())
    run = (tmp_path / "out" / f"{MISSION}_stage_a.run.json").read_text(encoding="utf-8")
    assert torch.cuda.get_device_name(0) in run
    assert '"continuous"' in run


def test_in_float32_the_lines_of_cuda_are_those_of_the_cpu(photo_folder: Path, tmp_path: Path) -> None:
    on_cuda = summarize(photo_folder, tmp_path / "cuda", "--device", "cuda", "--dtype", "float32")
    release()
    assert summarize(photo_folder, tmp_path / "cpu", "--device", "cpu", "--dtype", "float32") == on_cuda
