"""The files of a reviewer's page at full size: photos, Stage-A lines and verdicts of one mission.

    11,000 groups with 3 or 4 photos each, 37,000 photos in all: hard links to 200 JPEGs of 3000 × 4000 pixels

Every group is queued: half of them are released although the rules say fail, half are doubtful.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workload import Sizes, write_photos

from yanshou.schema.records import image_key, now, summaries_sha256
from yanshou.schema.run_record import RunRecord
from yanshou.storage.jsonl import dump_line

MISSION, LABELS = "BBU接地线检查", {"pass": "审核通过", "fail": "审核不通过"}
PICTURES = 200
PORTRAIT: Sizes = ((3000, 4000),)
GOOD = "螺丝、光纤插头/机柜处接地螺丝,符合要求×1，螺丝、光纤插头/地排处接地螺丝,符合要求×1，电线/捆扎整齐×1"
BAD = "电线/分布散乱×1，标签/无法识别×2"

Line = dict[str, Any]


def write_world(folder: Path, groups: int, photos: int, pictures: int = PICTURES, sizes: Sizes = PORTRAIT) -> Path:
    """Writes all files and returns the file of verdicts. Pictures that are there are kept."""
    drawn = write_photos(folder / "pictures", pictures, sizes)
    paths = _link_photos(folder / "in" / MISSION, drawn, groups, photos)
    lines = [_line(number, images) for number, images in enumerate(paths)]
    stage_a = folder / f"{MISSION}_stage_a.jsonl"
    stage_a.write_bytes(b"".join(map(dump_line, lines)))
    verdicts = folder / f"{MISSION}_verdicts.jsonl"
    verdicts.write_bytes(b"".join(dump_line(_verdict(number, line)) for number, line in enumerate(lines)))
    run = RunRecord(
        format=1, yanshou="0", status="finished", counts={}, runs=1, started=now(), updated=now(),
        settings={"stage_a": [str(stage_a)]}, environment={}, earlier_environments=[],
    )  # fmt: skip
    (folder / f"{MISSION}_verdicts.run.json").write_bytes(dump_line(run))
    return verdicts


def _link_photos(root: Path, pictures: list[Path], groups: int, photos: int) -> Iterator[list[str]]:
    """The photos of each group: the numbers of photos differ by one at most, and are mixed."""
    linked = 0
    for number in range(groups):
        folder = root / LABELS[_label(number)] / _name(number)
        folder.mkdir(parents=True)
        images = []
        while linked * groups < photos * (number + 1):
            path = folder / f"{_name(number)}_{4176693 + linked}.jpeg"
            os.link(pictures[linked % len(pictures)], path)
            images.append(str(path))
            linked += 1
        yield images


def _name(number: int) -> str:
    return f"QC-TEMP-20241022-{number:07}"


def _label(number: int) -> str:
    return "fail" if number % 4 == 3 else "pass"


def _line(number: int, images: list[str]) -> Line:
    texts = [f"{BAD if number % 2 else GOOD}，标签/{number}-{photo}×1" for photo in range(len(images))]
    return {
        "group_id": _name(number), "mission": MISSION, "label": _label(number), "images": images,
        "per_image": {image_key(photo): text for photo, text in enumerate(texts, 1)},
        "raw_texts": texts, "clean_texts": texts, "timestamp": now(),
    }  # fmt: skip


def _verdict(number: int, line: Line) -> Line:
    """Released though the rules fail, or blocked though they pass."""
    return {
        "group_id": line["group_id"], "mission": MISSION, "label": line["label"],
        "verdict": "pass" if number % 2 else "fail", "reason": "有图片_1", "p_pass": 0.9 if number % 2 else 0.6,
        "raw_text": None, "timestamp": now(), "summaries_sha256": summaries_sha256(line["per_image"]),
    }  # fmt: skip
