"""Stage-A files for tests, a line a group."""

import json
from pathlib import Path
from typing import Any

GROUNDING, SHIELD = "BBU接地线检查", "挡风板安装检查"


def line(*summaries: str, group: str = "QC-20241022-1", mission: str = GROUNDING, label: str | None = "pass") -> Any:
    """A line as `yanshou summarize` writes it, as an object."""
    folder = {"pass": "审核通过", "fail": "审核不通过", None: "."}[label]
    texts = list(summaries or ("无关图片×1",))
    return {
        "group_id": group,
        "mission": mission,
        "label": label,
        "images": [f"/data/{mission}/{folder}/{group}/{group}_{i}.jpeg" for i, _ in enumerate(texts, 1)],
        "per_image": {f"图片_{i}": text for i, text in enumerate(texts, 1)},
        "raw_texts": texts,
        "clean_texts": texts,
        "timestamp": "2026-01-18T09:30:00+08:00",
    }


def write(path: Path, *lines: Any) -> Path:
    path.write_bytes(b"".join(json.dumps(fields).encode() + b"\n" for fields in lines))
    return path
