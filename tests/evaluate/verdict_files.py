"""Lines of verdicts, faults and summaries, as the tests of evaluation write them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from yanshou.jsonl import dump_line

MISSION = "BBU接地线检查"
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
    told = {"photo": None, "step": "generate", "message": message, "advice": "", "timestamp": MOMENT}
    return {**key(group, label), **told, **more}


def jsonl(path: Path, lines: Iterable[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(map(dump_line, lines)))
    return path
