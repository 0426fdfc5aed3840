"""Promises of `yanshou.cli.train_progress`: one state per step, and a warning once per window."""

import io

import pytest
from rich.console import Console

from yanshou.cli import progress, train_progress
from yanshou.cli.train_progress import WINDOW, TrainProgress
from yanshou.train.curves import Curves


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    return Console(file=io.StringIO(), width=120, highlight=False, soft_wrap=True)


def lines(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()


def test_a_step_is_shown_once(console: Console) -> None:
    view = TrainProgress(console)
    view.begin()
    for step in (1, 1, 2):
        view.update(Curves({step: {}}, steps=4))
    view.end()
    assert [line.split(",")[0] for line in lines(console)] == ["training: 1 of 4 steps", "training: 2 of 4 steps"]


def test_a_warning_is_repeated_only_after_a_window_of_steps(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_progress, "warning", lambda curves: "nothing is learned")
    view = TrainProgress(console)
    for step in range(1, 2 * WINDOW + 1):
        view.update(Curves({step: {}}, steps=99))
    assert lines(console).count("warning: nothing is learned") == 2
