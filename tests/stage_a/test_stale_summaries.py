"""Guarantees of Stage-A for folders that change between runs: no line stays unnoticed when its group is gone."""

import os
import shutil
from pathlib import Path
from unicodedata import normalize

import pytest
from support.lines import CABLES, SHIELD, stage_a_line
from support.stage_a_runs import (
    FAIL,
    PASS,
    PhotoTree,
    Script,
    answers,
    ids,
    jobs,
    lines,
    lines_file,
    run,
    run_file,
    settings,
)

from yanshou.cli.reporter import file_summary, final_messages
from yanshou.pipeline.mission_result import MissionResult
from yanshou.schema.records import StageARecord
from yanshou.stage_a.stale_summaries import InputTree
from yanshou.stage_a.summarize import summarize_directory


def groups(out: Path) -> list[tuple[str, str]]:
    return [(line["label"], line["group_id"]) for line in lines(out)]


def warning(result: MissionResult) -> str:
    """The one warning at the end of a run, without the file that it begins with."""
    (text,) = result.late_warnings
    assert f"warning: {text}" in final_messages([result])
    return text.removeprefix(f"{result.lines}: ")


def test_a_group_under_the_other_label_leaves_a_stale_line_that_names_where_its_photos_are(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    tree = jobs(4, 2)
    root, path, out = photo_tree(tree), script(answers(tree)), tmp_path / "out"
    assert (run(root, path, out).status, run_file(out)["counts"]["stale"]) == (0, 0)
    (root / SHIELD / FAIL).mkdir()
    (root / SHIELD / PASS / "QC-2").rename(root / SHIELD / FAIL / "QC-2")
    for written in (1, 0):  # the second run has nothing to do, and says the same
        result = run(root, path, out)
        assert (result.status, result.written, result.failed, result.stale, result.elsewhere) == (3, written, 0, 1, 0)
        assert warning(result) == (
            "1 line is stale: the input no longer holds QC-2 (pass), whose photos are now in group QC-2 (fail). Put "
            f"the groups back, or move the lines to {SHIELD}_stage_a.removed.jsonl with --prune."
        )
        assert run_file(out)["counts"]["stale"] == 1
    assert groups(out) == [("pass", f"QC-{number}") for number in range(1, 5)] + [("fail", "QC-2")]


def test_a_renamed_folder_is_a_new_group_and_the_old_line_is_stale(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root, out = photo_tree(jobs(3, 2)), tmp_path / "out"
    said = {"QC-2/1.jpg": "标签/乙×1", "QC-2（补）/1.jpg": "标签/乙×1", "*": "标签/甲×1"}
    run(root, script(said), out)
    (root / SHIELD / PASS / "QC-2").rename(root / SHIELD / PASS / "QC-2（补）")
    result = run(root, script(said), out)
    assert (result.status, result.stale) == (3, 1)
    assert "holds QC-2 (pass), whose photos are now in group QC-2（补） (pass). Put" in warning(result)


def test_a_photo_in_front_that_carries_another_id_makes_another_group_of_the_folder(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    names = ["QC-TEMP-20240101-0000005_7.jpg", "QC-TEMP-20240101-0000005_9.jpg"]
    root, path, out = photo_tree({f"{SHIELD}/{PASS}/job": names, **jobs(2)}), script(), tmp_path / "out"
    run(root, path, out)
    folder = root / SHIELD / PASS / "job"
    shutil.copy(folder / names[0], folder / "QC-TEMP-20240101-0000004_1.jpg")
    result = run(root, path, out)
    assert (result.status, result.written, result.stale) == (3, 1, 1)
    assert "QC-TEMP-20240101-0000005 (pass), whose photos are now in group QC-TEMP-20240101-0000004 (pass)" in (
        warning(result)
    )


def test_deleted_groups_are_named_up_to_five_and_all_counted(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    tree = jobs(20)
    root, path, out = photo_tree(tree), script(answers(tree)), tmp_path / "out"
    run(root, path, out)
    for number in range(3, 11):
        shutil.rmtree(root / SHIELD / PASS / f"QC-{number}")
    (root / SHIELD / PASS / "QC-11" / "1.jpg").rename(root / SHIELD / PASS / "QC-11" / "1.heic")
    result = run(root, path, out)
    assert (result.status, result.stale, result.skipped, result.groups) == (3, 9, 11, 11)
    named = "; ".join(f"QC-{number} (pass)" for number in range(3, 8))
    assert warning(result).startswith(f"9 lines are stale: the input no longer holds {named}; 4 more. Put the groups")


def test_photos_that_many_groups_have_are_said_to_be_in_none_of_them(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root, path, out = photo_tree(jobs(4)), script(), tmp_path / "out"
    run(root, path, out)
    shutil.rmtree(root / SHIELD / PASS / "QC-2")
    assert "holds QC-2 (pass). Put" in warning(run(root, path, out))


def test_a_limited_run_says_nothing_and_keeps_what_the_last_whole_run_counted(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root, path, out = photo_tree(jobs(5)), script(), tmp_path / "out"
    run(root, path, out)
    shutil.rmtree(root / SHIELD / PASS / "QC-5")
    run(root, path, out)
    result = run(root, path, out, limit=2)
    assert (result.status, result.stale, result.late_warnings) == (0, None, [])
    assert run_file(out)["counts"]["stale"] == 1


# ---- whose lines they are ----


def test_lines_of_another_input_folder_are_counted_apart_and_never_moved(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    first, second = photo_tree(jobs(3), "in"), photo_tree(jobs(5, label=FAIL), "in/二月")
    path, out = script(), tmp_path / "out"
    run(first, path, out)
    result = run(second, path, out, prune_all=True)
    assert (result.status, result.stale, result.elsewhere, result.pruned, len(ids(out))) == (0, 0, 3, 0, 8)
    assert file_summary([result])[0].endswith("; lines of other inputs in it: 3")
    shutil.rmtree(second / SHIELD / FAIL / "QC-1")
    (result,) = summarize_directory(settings(first, path, out))  # the parent folder: the others are no groups of it
    assert (result.status, result.stale, result.elsewhere) == (0, 0, 5)
    result = run(second, path, out, prune=True)
    assert (result.status, result.pruned, result.elsewhere, len(ids(out))) == (0, 1, 3, 7)
    assert run_file(out)["inputs"] == [str(first), str(second)]


@pytest.mark.parametrize("spelling", ["relative", "dots", "link", "slash", "nfd"])
def test_the_input_folder_is_the_same_however_it_is_written(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    root, path, out = photo_tree(jobs(3), "Übung/in"), script(), tmp_path / "out"
    run(root, path, out)
    shutil.rmtree(root / SHIELD / PASS / "QC-2")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(root)
    (tmp_path / normalize("NFD", "Übung")).symlink_to("Übung")
    written = {
        "relative": Path("Übung/in"),
        "dots": Path("link/../in"),
        "link": Path("link"),
        "slash": Path(f"{root}//"),
        "nfd": Path(normalize("NFD", str(root))),
    }
    result = run(written[spelling], path, out)
    assert (result.status, result.stale, result.elsewhere) == (3, 1, 0)


def test_an_alias_folder_holds_the_same_groups(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, path, out = photo_tree(jobs(3, mission=CABLES)), script(), tmp_path / "out"
    run(root, path, out, CABLES)
    (root / CABLES).rename(root / "BBU线缆布放要求")
    assert (run(root, path, out, CABLES).stale, len(ids(out, CABLES))) == (0, 3)
    shutil.rmtree(root / "BBU线缆布放要求" / PASS / "QC-3")
    result = run(root, path, out, CABLES)
    assert (result.status, result.stale, result.elsewhere) == (3, 1, 0)


# ---- folders that cannot be listed ----


def test_nothing_is_stale_below_a_folder_on_a_disk_that_is_not_there(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    """A group's id comes from its photo, which nobody can see now; a label folder takes all of its groups with it."""
    disk = photo_tree({"fail/QC-7": 1, "job": ["QC-TEMP-20240101-0000005_7.jpg"]}, "disk")
    root, path, out = photo_tree(jobs(2)), script(), tmp_path / "out"
    (root / SHIELD / FAIL).symlink_to(disk / "fail")
    (root / SHIELD / PASS / "job").symlink_to(disk / "job")
    assert run(root, path, out).written == 4
    disk.rename(tmp_path / "unplugged")
    result = run(root, path, out, prune_all=True)
    assert (result.status, result.stale, result.elsewhere, result.pruned, len(ids(out))) == (0, 0, 0, 0, 4)
    assert warning(result) == "2 of its lines may be stale: their folders could not be listed."
    (tmp_path / "unplugged").rename(disk)
    assert (run(root, path, out).skipped, run(root, path, out).late_warnings) == (4, [])


def test_nothing_is_stale_below_an_alias_folder_on_a_disk_that_is_not_there(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    disk, alias = photo_tree({f"{PASS}/QC-9": 1}, "disk"), "BBU线缆布放要求"
    root, path, out = photo_tree(jobs(3, mission=CABLES)), script(), tmp_path / "out"
    (root / alias).symlink_to(disk)
    assert run(root, path, out, CABLES).written == 4
    disk.rename(tmp_path / "unplugged")
    result = run(root, path, out, CABLES, prune_all=True)
    assert (result.status, result.stale, result.pruned, len(ids(out, CABLES))) == (0, 0, 0, 4)
    assert result.warnings == [f"{CABLES}: left out 1 × link that leads to nothing: {alias}"]
    assert warning(result) == "1 of its lines may be stale: their folders could not be listed."


def test_nothing_is_stale_in_a_group_folder_without_permission(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = {**jobs(3), f"{SHIELD}/{PASS}/job": ["QC-TEMP-20240101-0000005_7.jpg"]}
    root, path, out = photo_tree(tree), script(), tmp_path / "out"
    run(root, path, out)
    shutil.rmtree(root / SHIELD / PASS / "QC-3")
    scandir = os.scandir

    def refusing(folder: Path) -> object:
        if Path(folder).name == "job":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    result = run(root, path, out, prune=True)
    assert (result.status, result.failed, result.stale, result.pruned, len(ids(out))) == (3, 1, 0, 1, 3)


@pytest.mark.parametrize("how", ["deleted", "emptied", "dangling"])
def test_a_mission_whose_folder_is_gone_fails_and_keeps_its_lines(
    photo_tree: PhotoTree, script: Script, tmp_path: Path, how: str
) -> None:
    """An unplugged disk looks the same. `--mission all` must not pass over the mission."""
    root, path, out = photo_tree({**jobs(2), **jobs(2, mission=CABLES)}), script(), tmp_path / "out"
    summarize_directory(settings(root, path, out, "all"))
    shutil.rmtree(root / CABLES)
    if how == "emptied":
        (root / CABLES / PASS).mkdir(parents=True)
    elif how == "dangling":
        (root / CABLES).symlink_to(tmp_path / "nowhere")
    results = {
        result.mission: result for result in summarize_directory(settings(root, path, out, "all", prune_all=True))
    }
    assert (results[SHIELD].status, results[CABLES].status, results[CABLES].stale) == (0, 1, None)
    assert len(ids(out, CABLES)) == 2
    if how != "emptied":
        assert results[CABLES].error == (
            f"{lines_file(out, CABLES)} has lines from {root}, where {CABLES} is no longer a folder. Put the folder "
            "back, or move the lines and the files beside them to another folder."
        )


def test_all_missions_of_another_input_folder_are_not_missed(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    path, out = script(), tmp_path / "out"
    summarize_directory(settings(photo_tree(jobs(2, mission=CABLES), "a"), path, out, "all"))
    (result,) = summarize_directory(settings(photo_tree(jobs(2), "b"), path, out, "all"))
    assert (result.mission, result.status) == (SHIELD, 0)


PLACE = f"{SHIELD}/{PASS}/QC-1/1.jpg"


@pytest.mark.parametrize("image", ["", "1.jpg", PLACE, f"/{PASS}/QC-1/1.jpg", "/", f"/\0/{PLACE}", f"/\ud800/{PLACE}"])
def test_paths_that_no_run_writes_are_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: str) -> None:
    (tmp_path / SHIELD / PASS / "QC-1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    tree = InputTree(tmp_path, frozenset({SHIELD}), [])
    line = stage_a_line("QC-1", "pass", mission=SHIELD)
    assert tree.place(StageARecord(**{**line, "images": [image]})) is None
    here = StageARecord(**{**line, "images": [f"{tmp_path}/{PLACE}"]})
    assert tree.place(here) == (SHIELD, PASS, "QC-1")
