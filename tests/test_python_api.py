"""The examples of docs/python-api.md run, one after the other, on drawn photos."""

import re
from pathlib import Path

import pytest

from yanshou.missions import load_missions
from yanshou.world.synth import synthesize

PAGE = Path(__file__).parents[1] / "docs/python-api.md"


def test_every_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    synthesize(tmp_path / "demo/photos", 4, 3, [load_missions().get("挡风板安装检查")])
    monkeypatch.chdir(tmp_path)
    lines = []
    for example in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(example, PAGE.name, "exec"), {})
        lines.append(len(capsys.readouterr().out.splitlines()))
    assert lines == [2, 1, 1, 1, 1, 8, 0]
