"""Which missions and groups a run of Stage-A takes."""

from pathlib import Path

import pytest
from support.stage_a_runs import (
    CABLES,
    FAIL,
    GROUND,
    PASS,
    SHIELD,
    PhotoTree,
    Script,
    ids,
    jobs,
    lines,
    run,
    run_file,
    settings,
)

from yanshou.errors import InputError, UsageError
from yanshou.missions import load_missions
from yanshou.pipeline.mission_result import exit_status
from yanshou.stage_a.summarize import summarize_directory


def test_a_mission_without_a_group_is_an_error(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root = photo_tree({f"{SHIELD}/{PASS}/empty": 0})
    result = run(root, script(), tmp_path / "out")
    assert (result.status, result.error) == (1, f"{SHIELD}: no group of photos in {root}. Nothing to do.")
    assert not (tmp_path / "out").exists()


def test_all_means_every_mission_with_a_folder(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root = photo_tree({**jobs(1, mission=CABLES), **jobs(2, mission=SHIELD), "别的检查/审核通过/QC-1": 1})
    results = summarize_directory(settings(root, script(), tmp_path / "out", "all"))
    assert [(result.mission, result.status, result.written) for result in results] == [(CABLES, 0, 1), (SHIELD, 0, 2)]
    assert sorted(path.name for path in (tmp_path / "out").glob("*_stage_a.jsonl")) == [
        f"{CABLES}_stage_a.jsonl",
        f"{SHIELD}_stage_a.jsonl",
    ]


def test_all_in_a_folder_without_any_mission_is_an_error(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root = photo_tree({"别的检查/审核通过/QC-1": 1})
    with pytest.raises(InputError, match="no folder of a known mission is here") as caught:
        run(root, script(), tmp_path / "out", "all")
    assert all(mission.name in str(caught.value) for mission in load_missions())


def test_a_missing_mission_fails_and_the_others_run(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root = photo_tree(jobs(2))
    ground, shield = summarize_directory(settings(root, script(), tmp_path / "out", GROUND, SHIELD))
    assert (ground.status, ground.error) == (1, f"{root} holds no folder {GROUND}, only {SHIELD}.")
    assert (shield.status, shield.written, exit_status([ground, shield])) == (0, 2, 1)


@pytest.mark.parametrize("missions", [("all", GROUND), (GROUND, "all")])
def test_a_mission_named_beside_all_needs_a_folder(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, missions: tuple[str, str]
) -> None:
    root = photo_tree({**jobs(1, mission=CABLES), **jobs(2, mission=SHIELD)})
    results = summarize_directory(settings(root, script(), tmp_path / "out", *missions))
    assert [(result.mission, result.status, result.written) for result in results] == [
        (CABLES, 0, 1),
        (SHIELD, 0, 2),
        (GROUND, 1, 0),
    ]
    assert results[-1].error == f"{root} holds no folder {GROUND}, only {CABLES}, {SHIELD}."
    assert exit_status(results) == 1


def test_a_mission_named_beside_all_runs_once(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root = photo_tree({**jobs(1, mission=CABLES), "别的检查/审核通过/QC-1": 1})
    assert run(root, script(), tmp_path / "out", "all", CABLES, "BBU线缆布放要求").written == 1
    (root / CABLES).rename(root / "又一个检查")
    missed = run(root, script(), tmp_path / "out", "all", CABLES)
    assert (missed.mission, missed.status, "holds no folder" in missed.error) == (CABLES, 1, True)


def test_a_misspelt_mission_beside_all_stops_the_run_before_it_begins(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="unknown mission '挡风板'"):
        summarize_directory(settings(photo_tree(jobs(2)), script(), tmp_path / "out", "all", "挡风板"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("asked", [CABLES, "BBU线缆布放要求"])
def test_a_folder_may_have_an_alias_as_its_name(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, asked: str
) -> None:
    root = photo_tree({f"BBU线缆布放要求/{PASS}/QC-1": 1, f"{CABLES}/{PASS}/QC-2": 1})
    result = run(root, script(), tmp_path / "out", asked)
    assert (result.mission, result.status, sorted(ids(tmp_path / "out", CABLES))) == (CABLES, 0, ["QC-1", "QC-2"])
    assert {line["mission"] for line in lines(tmp_path / "out", CABLES)} == {CABLES}


def test_a_mission_named_twice_runs_once(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    result = run(photo_tree(jobs(1, mission=CABLES)), script(), tmp_path / "out", CABLES, "BBU线缆布放要求")
    assert (result.status, result.written) == (0, 1)


def test_new_jobs_have_no_label(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, out = photo_tree({f"{SHIELD}/QC-2": 1, f"{SHIELD}/QC-10": 2}), tmp_path / "out"
    assert run(root, script(), out, layout="flat").status == 0
    assert [(line["group_id"], line["label"], len(line["images"])) for line in lines(out)] == [
        ("QC-2", None, 1),
        ("QC-10", None, 2),
    ]
    assert run(root, script(), out, layout="flat").skipped == 2


def test_an_id_under_both_labels_is_two_groups(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, out = photo_tree({f"{SHIELD}/{PASS}/QC-1": 1, f"{SHIELD}/{FAIL}/QC-1": 2}), tmp_path / "out"
    assert run(root, script(), out).written == 2
    assert [(line["label"], line["group_id"], len(line["images"])) for line in lines(out)] == [
        ("fail", "QC-1", 2),
        ("pass", "QC-1", 1),
    ]
    assert run(root, script(), out).skipped == 2


def test_a_users_own_mission_runs(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        'name = "门禁检查"\nfocus = "本检查项重点关注门禁。"\n[rule]\ntext = "门禁可见。"\nrequire = [["标签"]]\n',
        encoding="utf-8",
    )
    root = photo_tree(jobs(2, mission="门禁检查"))
    result = run(root, script(), tmp_path / "out", "all", mission_files=(tmp_path / "own.toml",))
    assert (result.mission, result.status, ids(tmp_path / "out", "门禁检查")) == ("门禁检查", 0, ["QC-1", "QC-2"])
    assert "本检查项重点关注门禁。" in run_file(tmp_path / "out", "门禁检查")["settings"]["prompts"]["user"]
