"""Files of verdicts, faults and summaries, and photos, for the tests of evaluation."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.ExifTags import Base

from yanshou.schema.run_record import RunRecord
from yanshou.storage.jsonl import dump_line

MISSION = "BBU接地线检查"
OTHER = "挡风板安装检查"
MOMENT = "2026-01-18T09:30:00+08:00"
GOOD = "螺丝、光纤插头/机柜处接地螺丝,符合要求×1，螺丝、光纤插头/地排处接地螺丝,符合要求×1，电线/捆扎整齐×1"
BAD = "电线/分布散乱×1"


def key(group: str, label: str | None = "pass", mission: str = MISSION) -> dict[str, Any]:
    return {"group_id": group, "mission": mission, "label": label}


def verdict(
    group: str, label: str | None = "pass", says: str = "pass", p: float | None = 0.5, **more: Any
) -> dict[str, Any]:
    line = {
        **key(group, label),
        "verdict": says,
        "reason": "有图片_1",
        "p_pass": p,
        "raw_text": None,
        "timestamp": MOMENT,
    }
    return {**line, **more}


def stage_a(group: str, label: str | None = "pass", text: str = GOOD, **more: Any) -> dict[str, Any]:
    texts = {"per_image": {"图片_1": text}, "raw_texts": [text], "clean_texts": [text], "timestamp": MOMENT}
    return {**key(group, label), "images": [f"/photos/{group}/1.jpg"], **texts, **more}


def fault(group: str, label: str | None = "pass", message: str = "out of memory", **more: Any) -> dict[str, Any]:
    given = {"photo": None, "step": "generate", "message": message, "advice": "", "timestamp": MOMENT}
    return {**key(group, label), **given, **more}


def jsonl(path: Path, lines: Iterable[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(map(dump_line, lines)))
    return path


def write_judged(
    folder: Path,
    verdicts: Iterable[dict[str, Any]],
    lines: Iterable[dict[str, Any]] | None = None,
    faults: Iterable[dict[str, Any]] = (),
    stage_a_faults: Iterable[dict[str, Any]] = (),
    mission: str = MISSION,
) -> Path:
    """Writes a mission's files and returns the file of verdicts."""
    verdicts = list(verdicts)
    if lines is None:
        lines = [stage_a(v["group_id"], v["label"], mission=v["mission"]) for v in verdicts]
    read = jsonl(folder / f"{mission}_stage_a.jsonl", lines)
    jsonl(folder / f"{mission}_stage_a.errors.jsonl", stage_a_faults)
    jsonl(folder / f"{mission}_verdicts.errors.jsonl", faults)
    run = RunRecord(
        format=1, yanshou="0", status="finished", counts={}, runs=1, started=MOMENT, updated=MOMENT,
        settings={"stage_a": [str(read)]}, environment={}, earlier_environments=[],
    )  # fmt: skip
    (folder / f"{mission}_verdicts.run.json").write_bytes(dump_line(run))
    return jsonl(folder / f"{mission}_verdicts.jsonl", verdicts)


def amend(file: Path, **settings: Any) -> None:
    """Adds settings to the run file beside a file of lines."""
    path = file.with_suffix(".run.json")
    run = json.loads(path.read_text(encoding="utf-8"))
    assert run["updated"] == MOMENT
    path.write_text(json.dumps({**run, "settings": {**run["settings"], **settings}}), encoding="utf-8")


def many(groups: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Verdicts and summaries of a realistic size: three or four photos, a hundred characters each, long paths."""
    verdicts, lines = [], []
    for number in range(groups):
        label = "fail" if number % 8 == 0 else "pass"
        name = f"QC-TEMP-20241022-{number:07d}"
        texts = [GOOD + GOOD[: 7 * (number % 8)]] * (3 + number % 2)
        images = [f"/data/现场照片/{MISSION}/审核通过/{name}/{name}_{4176693 + n}.jpeg" for n in range(len(texts))]
        per_image = {f"图片_{n}": text for n, text in enumerate(texts, 1)}
        lines.append(stage_a(name, label, images=images, per_image=per_image, raw_texts=texts, clean_texts=texts))
        verdicts.append(verdict(name, label, p=(number * 37 % 1000) / 1000, says="fail" if number % 3 else "pass"))
    return verdicts, lines


def photo(path: Path, orientation: int = 1, size: tuple[int, int] = (900, 600)) -> Path:
    """A JPEG whose left half, as stored, is red, with a GPS position and a maker in its EXIF."""
    image = Image.new("RGB", size, "blue")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    exif[Base.Orientation], exif[Base.Make] = orientation, "SECRETMAKER"
    exif.get_ifd(Base.GPSInfo)[1] = "N"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=exif.tobytes(), comment=b"SECRETCOMMENT")
    return path
