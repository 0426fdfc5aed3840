"""What a large run costs the host without a model: discovery, the whole run, and the same run with nothing left to do.

    python benchmarks/host.py --groups 60000 --photos 3

The scripted engine answers and no photo is decoded, so the time is that of reading folders, assembling groups, checking
and writing. Each step runs in its own process, whose memory is sampled. The photos are links to one empty file.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

MISSION, LABELS = "挡风板安装检查", ("审核通过", "审核不通过")
DISCOVER = (
    "import sys; from pathlib import Path; from yanshou.inputs.discovery import discover; "
    f"print(len(discover(Path(sys.argv[1]), {MISSION!r}, (), 'labelled').groups))"
)
SAMPLE_S = 0.1  # between two samples of the memory


def write_tree(root: Path, groups: int, photos: int) -> None:
    """Groups alternately under both labels; every photo is a link to one empty file."""
    root.mkdir(parents=True)
    empty = root / "empty"
    empty.touch()
    for number in range(groups):
        name = f"QC-{20240101 + number % 300}-{number:07}"
        folder = root / MISSION / LABELS[number % 2] / name
        folder.mkdir(parents=True)
        for photo in range(photos):
            (folder / f"{name}_{photo}.jpeg").symlink_to(empty)


def watched(*command: str | Path) -> dict[str, Any]:
    """Seconds of the command, and its resident memory in MiB: the largest, and the median of each quarter."""
    started = time.monotonic()
    sizes = []
    with subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            sizes.append(resident(process.pid))
            time.sleep(SAMPLE_S)
    seconds = time.monotonic() - started
    assert process.returncode == 0, process.returncode
    sizes = [size for size in sizes if size] or [0.0]
    cuts = [round(len(sizes) * quarter / 4) for quarter in range(5)]
    quarters = [round(median(sizes[a:b]), 1) if b > a else None for a, b in pairwise(cuts)]
    return {"seconds": round(seconds, 2), "largest_mib": round(max(sizes), 1), "quarters_mib": quarters}


def resident(pid: int | str) -> float:
    """Resident memory of a process in MiB; 0 if it has ended or there is no /proc."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def main(arguments: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    parser = argparse.ArgumentParser(description="What a large run costs the host without a model.")
    parser.add_argument("--groups", type=int, default=60_000)
    parser.add_argument("--photos", type=int, default=3, help="photos per group")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "yanshou-host")
    given = parser.parse_args(arguments)
    shutil.rmtree(given.folder, ignore_errors=True)
    write_tree(given.folder / "in", given.groups, given.photos)
    script = given.folder / "script.json"
    script.write_text(
        json.dumps({"answers": {"*": "BBU设备/华为,显示完整,无需安装×1"}, "decode": False}), encoding="utf-8"
    )
    run = (
        "-m", "yanshou.cli", "summarize", "--engine", "scripted", "--checkpoint", script, "--quiet",
        "--mission", MISSION, "--input-dir", given.folder / "in",
        "--output-dir", given.folder / "out", "--batch-size", "64",
    )  # fmt: skip
    results = {
        "discovery": watched("-c", DISCOVER, given.folder / "in"),
        "the whole run": watched(*run),
        "the same again, all done": watched(*run),
    }
    lines = (given.folder / "out" / f"{MISSION}_stage_a.jsonl").read_bytes().count(b"\n")
    assert lines == given.groups, lines
    for name, result in results.items():
        print(f"{name:<26} {json.dumps(result)}", flush=True)
    shutil.rmtree(given.folder)
    return results


if __name__ == "__main__":
    sys.exit(not main())
