"""Lines of Stage-A, truth, verdict and errors files, as objects, and files of lines."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from yanshou.schema.records import image_key, summaries_sha256
from yanshou.storage.jsonl import dump_line

GROUNDING, SHIELD, CABLES = "BBU接地线检查", "挡风板安装检查", "BBU线缆布放"
SCREWS = "BBU安装方式检查（正装）"
TIMESTAMP = "2026-01-18T09:30:00+08:00"
GOOD = "螺丝、光纤插头/机柜处接地螺丝,符合要求×1，螺丝、光纤插头/地排处接地螺丝,符合要求×1，电线/捆扎整齐×1"
BAD = "电线/分布散乱×1"
LABEL_DIRS = {"pass": "审核通过", "fail": "审核不通过", None: "."}

Line = dict[str, Any]


def key(group: str, label: str | None = "pass", mission: str = GROUNDING) -> Line:
    return {"group_id": group, "mission": mission, "label": label}


def per_image(*texts: str) -> dict[str, str]:
    """The summaries by photo: 图片_1, 图片_2, …"""
    return {image_key(number): text for number, text in enumerate(texts, 1)}


def stage_a_line(group: str, label: str | None = "pass", *texts: str, mission: str = GROUNDING, **more: Any) -> Line:
    """A line as `yanshou summarize` writes it: one photo per text, one photo with a good summary if there is none."""
    texts = texts or (GOOD,)
    folder = f"/photos/{mission}/{LABEL_DIRS[label]}/{group}"
    return {
        **key(group, label, mission),
        "images": [f"{folder}/{label or 'new'}_{number}.jpg" for number in range(1, len(texts) + 1)],
        "per_image": per_image(*texts),
        "raw_texts": [f"{text}<|im_end|>" for text in texts],
        "clean_texts": list(texts),
        "timestamp": TIMESTAMP,
        **more,
    }


def truth_line(group: str, label: str, *texts: str, mission: str = GROUNDING) -> Line:
    """A group's reference summaries, as `yanshou synth` writes them."""
    return {"mission": mission, "label": label, "group_id": group, "per_image": per_image(*texts)}


def verdict(group: str, label: str | None = "pass", says: str = "pass", p: float | None = 0.5, **more: Any) -> Line:
    """A line as `yanshou judge` writes it, about the summaries of a `stage_a_line` without texts."""
    said = {"verdict": says, "reason": "有图片_1", "p_pass": p, "raw_text": None, "timestamp": TIMESTAMP}
    return {**key(group, label), **said, "summaries_sha256": summaries_sha256(per_image(GOOD)), **more}


def bound(verdicts: Iterable[Line], lines: Iterable[Line]) -> list[Line]:
    """The verdicts, each about the summaries of its group's line."""
    summaries = {(line["mission"], line["label"], line["group_id"]): line["per_image"] for line in lines}
    keys = [(said["mission"], said["label"], said["group_id"]) for said in verdicts]
    return [
        {**said, "summaries_sha256": summaries_sha256(summaries[key])} if key in summaries else said
        for said, key in zip(verdicts, keys, strict=True)
    ]


def fault(group: str, label: str | None = "pass", message: str = "out of memory", **more: Any) -> Line:
    """A line of an errors file."""
    found = {"photo": None, "step": "generate", "message": message, "advice": "", "timestamp": TIMESTAMP}
    return {**key(group, label), **found, **more}


def write_lines(path: Path, lines: Iterable[Line | BaseModel]) -> Path:
    path.write_bytes(b"".join(map(dump_line, lines)))
    return path
