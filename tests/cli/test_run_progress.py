"""Promises of `yanshou.cli.run_progress`: how far a run is, on a terminal and in a log; names are never markup."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from yanshou.cli import progress
from yanshou.cli.run_progress import FAULTS_SHOWN, RunProgress
from yanshou.engines.scripted import ScriptedEngine
from yanshou.errors import CheckpointError
from yanshou.pipeline.mission_result import MissionResult
from yanshou.settings import EngineSettings, StageASettings
from yanshou.stage_a.summarize import summarize_directory

SHIELD, CABLES = "挡风板安装检查", "BBU线缆布放"
PhotoTree = Callable[..., Path]


def shown(
    root: Path, answers: dict[str, str], terminal: bool = False, missions: tuple[str, ...] = (SHIELD,), **options: Any
) -> tuple[str, list[MissionResult]]:
    """What a run shows from begin to end, and its results."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120, highlight=False, soft_wrap=True)
    settings = StageASettings(
        input_dir=root, output_dir=root.parent / "out", missions=missions,
        engine=EngineSettings(checkpoint="none", engine="scripted"),
    )  # fmt: skip
    results = summarize_directory(settings, ScriptedEngine.of(answers, **options), RunProgress(console=console))
    return console.file.getvalue(), results


def groups(*names: str, mission: str = SHIELD) -> dict[str, int]:
    return {f"{mission}/审核通过/{name}": 1 for name in names}


def test_without_a_terminal_a_line_is_printed_now_and_then(
    photo_tree: PhotoTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    text, _ = shown(photo_tree(groups("QC-1", "QC-2", "QC-3")), {"*": "无关图片×1"}, batch_size=1)
    assert [re.sub(r"\d+\.\d\d images/s", "… images/s", line) for line in text.splitlines()] == [
        f"{SHIELD}: 0 of 3 groups, 1 photos, … images/s, ? left",
        f"{SHIELD}: 1 of 3 groups, 1 photos, … images/s, 0 s left",
        f"{SHIELD}: 1 of 3 groups, 2 photos, … images/s, 0 s left",
        f"{SHIELD}: 2 of 3 groups, 2 photos, … images/s, 0 s left",
        f"{SHIELD}: 2 of 3 groups, 3 photos, … images/s, 0 s left",
        f"{SHIELD}: 3 of 3 groups, 3 photos, … images/s, 0 s left",
    ]


def test_a_quick_run_prints_no_line(photo_tree: PhotoTree) -> None:
    text, _ = shown(photo_tree(groups(*map(str, range(50)))), {"*": "无关图片×1"})
    assert text == ""


def test_a_terminal_gets_a_bar_that_ends_with_the_run(photo_tree: PhotoTree) -> None:
    text, _ = shown(photo_tree(groups("QC-1", "QC-2")), {"*": "无关图片×1"}, terminal=True)
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()[-1]
    assert re.match(rf"{SHIELD} ━+ 2/2 groups · 2 photos · [0-9.]+ images/s 0:00:00", last)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is hidden, then shown again


def test_a_run_that_raises_gives_the_terminal_back(photo_tree: PhotoTree) -> None:
    def breaks(size: int) -> None:
        raise CheckpointError("no chat template")

    console = Console(file=io.StringIO(), force_terminal=True)
    settings = StageASettings(
        input_dir=photo_tree(groups("QC-1")), output_dir=photo_tree({}).parent / "out", missions=(SHIELD,),
        engine=EngineSettings(checkpoint="none", engine="scripted"),
    )  # fmt: skip
    with pytest.raises(CheckpointError):
        summarize_directory(settings, ScriptedEngine.of({"*": "x"}, before_batch=breaks), RunProgress(console=console))
    text = console.file.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


@pytest.mark.parametrize("terminal", [False, True])
def test_only_the_first_failures_of_each_mission_are_shown(photo_tree: PhotoTree, terminal: bool) -> None:
    names = [f"QC-{number}" for number in range(1, 10)]
    root = photo_tree(groups(*names) | groups(*names, mission=CABLES))
    text, _ = shown(root, {"*": ""}, terminal, missions=(SHIELD, CABLES))
    shown_faults = re.findall(r"failed: (QC-\d): the summary is empty: the model wrote '<\|im_end\|>'", text)
    assert shown_faults == [f"QC-{number}" for number in range(1, FAULTS_SHOWN + 1)] * 2


@pytest.mark.parametrize("terminal", [False, True])
def test_names_that_look_like_markup_are_shown_as_they_are(photo_tree: PhotoTree, terminal: bool) -> None:
    name = "[red]站点 :smile: [bold"
    root = photo_tree(groups("ok") | {f"{SHIELD}/审核通过/{name}": ["[bold]x :warning:.jpg"], f"{SHIELD}/{name}/a": 1})
    (photo,) = (root / SHIELD / "审核通过" / name).iterdir()
    photo.write_bytes(b"")
    text, _ = shown(root, {"*": "无关图片×1"}, terminal)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert f"warning: {SHIELD}: left out 1 × folder that is not a label: {name}\n" in plain
    assert f"failed: {name}: {photo}: the file is empty (0 bytes)\n" in plain


def test_warnings_of_a_mission_are_printed_once_even_where_it_cannot_run(photo_tree: PhotoTree) -> None:
    root = photo_tree(groups("QC-1") | {f"{CABLES}/审核通过/empty": 0, f"{SHIELD}/审核通过/empty": 0})
    text, _ = shown(root, {"*": "无关图片×1"}, missions=(CABLES, SHIELD))
    assert text.splitlines() == [
        f"warning: {mission}: left out 1 × group without photos: 审核通过/empty" for mission in (CABLES, SHIELD)
    ]
