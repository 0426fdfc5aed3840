"""Guarantees of `yanshou summarize` and `summarize_directory`: what one run writes."""

import json
import time
from datetime import datetime
from itertools import chain
from pathlib import Path

import pytest
from support.stage_a_runs import (
    FAIL,
    KEYS,
    PASS,
    SCREWS,
    SHIELD,
    PhotoTree,
    Script,
    answers,
    end,
    expected_lines,
    jobs,
    lines,
    lines_file,
    run,
    settings,
    start,
)

from yanshou.engines.base import Completion, Request
from yanshou.engines.scripted import ScriptedEngine
from yanshou.missions import load_missions
from yanshou.stage_a.summarize import summarize_directory


@pytest.mark.parametrize("photos", [1, 5, 23])
def test_a_single_group_of_any_size_is_one_line(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, photos: int
) -> None:
    root = photo_tree(tree := jobs(1, photos))
    result = run(root, script(answers(tree)), tmp_path / "out")
    assert lines(tmp_path / "out") == expected_lines(root, tree)
    assert (result.status, result.groups, result.written, result.photos) == (0, 1, 1, photos)


def test_passing_and_failing_groups_are_labelled(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    tree = {f"{SHIELD}/{FAIL}/QC-2": 2, f"{SHIELD}/{FAIL}/QC-10": 1, f"{SHIELD}/{PASS}/QC-1": 3}
    root = photo_tree(dict(reversed(tree.items())))
    assert run(root, script(answers(tree)), tmp_path / "out").status == 0
    assert lines(tmp_path / "out") == expected_lines(root, tree)


def test_four_missions_at_once_into_one_folder(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    trees = {mission.name: jobs(12, 2, mission.name) for mission in load_missions()}
    root = photo_tree(dict(chain.from_iterable(tree.items() for tree in trees.values())))
    path = script(answers(jobs(12, 2)), delay_s=0.02)
    processes = [start(root, path, tmp_path / "out", mission) for mission in trees]
    assert [end(process)[0] for process in processes] == [0, 0, 0, 0]
    assert {mission: lines(tmp_path / "out", mission) for mission in trees} == {
        mission: expected_lines(root, tree) for mission, tree in trees.items()
    }


def test_the_time_spent_waiting_for_photos_is_measured_per_mission(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = ScriptedEngine.prepare

    def slow(engine: ScriptedEngine, request: Request) -> Completion:
        time.sleep(0.05)
        return prepare(engine, request)

    monkeypatch.setattr(ScriptedEngine, "prepare", slow)
    root = photo_tree(jobs(6) | jobs(6, mission=SCREWS))
    options = settings(root, script(answers(jobs(6))), tmp_path / "out", SHIELD, SCREWS)
    for result in summarize_directory(options):
        assert 0.05 < result.waited_s <= result.seconds


# --- the line


def test_a_line_has_exactly_the_eight_keys_in_order_and_a_time_with_an_offset(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    begun = datetime.now().astimezone().replace(microsecond=0)
    run(photo_tree(jobs(2)), script(), tmp_path / "out")
    for line in lines_file(tmp_path / "out").read_text(encoding="utf-8").splitlines():
        assert list(json.loads(line)) == KEYS
        moment = datetime.fromisoformat(json.loads(line)["timestamp"])
        assert moment.tzinfo is not None
        assert begun <= moment <= datetime.now().astimezone()


def test_image_paths_are_absolute_even_for_a_relative_input_folder(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_tree(jobs(1))
    monkeypatch.chdir(root)
    run(Path(), script(), tmp_path / "out")
    assert lines(tmp_path / "out")[0]["images"] == [str(root / SHIELD / PASS / "QC-1" / "1.jpg")]
