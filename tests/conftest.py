"""What several test files build their inputs with: small real photos, a script for the scripted engine, a process."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from PIL import Image
from support.judged_files import write_judged

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as on the command line
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the other core is the other test process's
# A busy machine is slow, not wrong; pytest-timeout ends what hangs.
settings.register_profile("yanshou", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("yanshou")


def _jpeg() -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((16, 24)).convert("RGB").save(out, "JPEG")
    return out.getvalue()


JPEG = _jpeg()


@pytest.fixture
def photo_tree(tmp_path: Path) -> Callable[..., Path]:
    """Builds `<tmp_path>/<root>` of real photos, in the order given: {"QC-1": ["b.jpeg"], "QC-2": 2} (1.jpg, 2.jpg)."""

    def build(groups: Mapping[str, int | Sequence[str]], root: str = "in") -> Path:
        for path, photos in groups.items():
            folder = tmp_path / root / path
            folder.mkdir(parents=True)
            for name in [f"{number}.jpg" for number in range(1, photos + 1)] if isinstance(photos, int) else photos:
                (folder / name).write_bytes(JPEG)
        return tmp_path / root

    return build


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Path]:
    """Writes what the scripted engine says; gives the file, the `--checkpoint` of such a run."""

    def write(answers: Mapping[str, str] | None = None, name: str = "script.json", **options: Any) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps({"answers": answers or {"*": "无关图片×1"}, **options}), encoding="utf-8")
        return path

    return write


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., Path]:
    """Writes a mission's verdicts, faults, run file and Stage-A lines; returns the file of verdicts."""
    return partial(write_judged, tmp_path)


@pytest.fixture
def yanshou() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `yanshou …` in a process of its own, to its end."""

    def run(*args: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "yanshou.cli", *map(str, args)]
        return subprocess.run(command, check=False, capture_output=True, encoding="utf-8", timeout=60, **options)

    return run
