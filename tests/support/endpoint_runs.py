"""Runs of `yanshou summarize` through a server and without one, over the same photos, and what they wrote."""

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from click.testing import Result
from PIL import Image
from PIL.ExifTags import Base

from support.cli_runs import run
from support.lines import LABEL_DIRS, SHIELD
from support.photos import noise
from yanshou.missions import load_missions
from yanshou.storage.jsonl import read_lines
from yanshou.world.draw import draw
from yanshou.world.scene import random_scene
from yanshou.world.synth import draw_group, orders

PIXELS = "98304"  # of a photo: an eighth of the default, and above the least that the server takes as it is

TURNED = (1, 2, 3, 6, 8)  # EXIF orientations: upright, mirrored, and what cameras write


@dataclass(frozen=True, slots=True)
class LocalRun:
    """A run of the local engine: its folder, the lines in it, and its row of `--json`."""

    out: Path
    lines: list[dict[str, Any]]
    row: dict[str, Any]


def draw_photos(folder: Path) -> Path:
    """Groups of the demo world, one with EXIF orientations, and one of other sizes and types."""
    for order in orders(3, 0, [load_missions().get(SHIELD)]):
        draw_group(folder, order)
    turned, sizes = (group_folder(folder, name) for name in ("QC-9001", "QC-9002"))
    rng = Random(0)
    photo = draw(random_scene(rng), rng)
    for orientation in TURNED:
        exif = Image.Exif()
        exif[Base.Orientation] = orientation
        photo.resize((240, 400)).save(turned / f"{orientation}.jpg", exif=exif)
    photo.resize((301, 517)).save(sizes / "1.png")
    photo.resize((40, 60)).save(sizes / "2.jpg")  # enlarged to the minimum
    photo.resize((900, 200)).convert("L").save(sizes / "3.png")
    noise(1, 700, 500).save(sizes / "4.jpg")
    return folder


def group_folder(root: Path, group: str, label: str = "pass") -> Path:
    """A new folder for one group's photos."""
    folder = root / SHIELD / LABEL_DIRS[label] / group
    folder.mkdir(parents=True)
    return folder


def through_server(url: str, model: str, photos: Path, out: Path, *more: object) -> Result:
    """Summarizes the photos with a model on a server."""
    return run(*server_arguments(url, model, photos, out, *more))


def server_arguments(url: str, model: str, photos: Path, out: Path, *more: object) -> list[str]:
    server = ["--engine", "endpoint", "--endpoint", url, "--model", model]
    return [*_summarize(photos, out), *server, *map(str, more)]


def locally(photos: Path, out: Path, *more: object) -> Result:
    """Summarizes the photos with the demo checkpoint in this process, in 32 bits on the CPU."""
    local = ["--checkpoint", "demo", "--engine", "transformers", "--device", "cpu"]
    return run(*_summarize(photos, out), *local, *map(str, more))


def _summarize(photos: Path, out: Path) -> list[str]:
    return [
        "summarize", "--input-dir", str(photos), "--output-dir", str(out), "--mission", SHIELD, "--max-pixels", PIXELS,
    ]  # fmt: skip


def summaries(out: Path) -> list[dict[str, Any]]:
    """The lines on disk without time and raw texts: a server takes the stop token off."""
    path = out / f"{SHIELD}_stage_a.jsonl"
    hidden = ("timestamp", "raw_texts")
    return [{key: value for key, value in line.items() if key not in hidden} for _, line in read_lines(path)]


def failed_groups(out: Path) -> list[str]:
    path = out / f"{SHIELD}_stage_a.errors.jsonl"
    return [line["group_id"] for _, line in read_lines(path)] if path.exists() else []


def files_text(folder: Path) -> bytes:
    """Everything that stands in the files of a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
