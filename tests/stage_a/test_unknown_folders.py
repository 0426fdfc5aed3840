"""Folders that no mission knows are named, counted once, and change no status."""

import os
from pathlib import Path

from support.lines import CABLES, GROUNDING, SHIELD
from support.stage_a_runs import PASS, PhotoTree, Script, jobs, run, run_file, settings

from yanshou.schema.records import TRUTH
from yanshou.stage_a.summarize import summarize_directory


def test_all_warns_about_each_with_the_mission_that_it_was_meant_for(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    strange = [f"{GROUNDING} ", f"{CABLES}_补传", "RRU安装检查", SHIELD.encode("gbk").decode("cp437")]
    root = photo_tree({f"{name}/{PASS}/QC-1": 1 for name in [CABLES, SHIELD, *strange]})
    cables, shield = summarize_directory(settings(root, script(), tmp_path / "out", "all"))
    assert (cables.status, shield.status, cables.written, shield.written) == (0, 0, 1, 1)
    left_out = f"{root}: left out the folder"
    assert cables.warnings == [  # the first mission, and the nearest of the second folder
        f"{left_out} '{GROUNDING} ': no mission has this name. If it is {GROUNDING}, rename the folder",
        f"{left_out} '{CABLES}_补传': no mission has this name. If it is {CABLES}, rename the folder",
        f"{left_out} 'RRU安装检查': no mission has this name. --mission-file adds missions",
    ]
    assert shield.warnings == [
        f"{left_out} '{strange[3]}': no mission has this name. It reads {SHIELD} in another encoding: rename the "
        "folder, or unpack its archive again with the right encoding (`unzip -O gbk`)"
    ]
    assert (cables.unknown_folders, shield.unknown_folders) == (3, 1)
    assert run_file(tmp_path / "out", CABLES)["counts"]["unknown_folders"] == 3


def test_a_named_mission_warns_about_its_own_only(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root = photo_tree({**jobs(1), **jobs(1, mission=f"{SHIELD}\ufeff"), **jobs(1, mission=f"{CABLES} "), "别的/a": 1})
    (root / "readme.txt").touch()
    result = run(root, script(), tmp_path / "out")
    assert result.warnings == [
        f"{root}: left out the folder '{SHIELD}\\ufeff': no mission has this name. If it is {SHIELD}, rename the folder"
    ]
    assert (result.status, result.unknown_folders) == (0, 1)


def test_what_systems_leave_beside_missions_is_counted_and_no_folder(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root = photo_tree({**jobs(1), **{f"{name}/a": 1 for name in ("__MACOSX", "@eaDir", "$RECYCLE.BIN", ".Trash-0")}})
    for name in (".DS_Store", "Thumbs.db", f"{SHIELD}.zip"):
        (root / name).touch()
    result = run(root, script(), tmp_path / "out", "all")
    hidden, files = sorted(result.warnings, key=len, reverse=True)
    assert hidden.startswith(f"{root}: left out 5 × hidden file or folder: ")
    assert files.startswith(f"{root}: left out 2 × file outside a group folder: ")
    assert result.unknown_folders == 0


def test_the_runs_own_output_folder_is_not_unknown(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root = photo_tree({**jobs(1), "logs": 0})
    (root / "out").mkdir()
    (tmp_path / "elsewhere").symlink_to(root / "out")
    result = run(root, script(), tmp_path / "elsewhere", "all")
    assert (result.unknown_folders, "'logs'" in result.warnings[0]) == (1, True)
    for mission in (SHIELD, "all"):  # whatever its name is near to
        result = run(root, script(), root / f"{SHIELD}_out", mission)
        assert not any(f"{SHIELD}_out" in text for text in result.warnings)


def test_many_unknown_folders_are_counted_and_not_all_named(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root = photo_tree({**jobs(1), **{f"QC-{number}": 0 for number in range(200)}})
    os.mkdir(os.fsencode(root) + b"/\xb2\xff")  # noqa: PTH102
    result = run(root, script(), tmp_path / "out", "all")
    assert (result.status, result.unknown_folders, len(result.warnings)) == (0, 201, 51)
    assert result.warnings[-1] == f"{root}: more folders are left out, which no mission knows"


def test_a_label_in_another_spelling_is_named_with_the_cure(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root = photo_tree({**jobs(1), f"{SHIELD}/fail/QC-2": 1})
    result = run(root, script(), tmp_path / "out")
    assert (result.status, result.groups) == (0, 1)
    assert result.warnings == [
        f"{SHIELD}: left out 1 × folder that is not a label: fail",
        f"{SHIELD}: if 'fail' is the label 审核不通过, rename the folder",
    ]
    flat = photo_tree({f"{SHIELD}/QC-1": 1, f"{SHIELD}/PASS/QC-2": 1}, root="flat")
    assert run(flat, script(), tmp_path / "flat-out", layout="flat").warnings[-1] == (
        f"{SHIELD}: if 'PASS' is the label 审核通过, rename it and use --layout labelled"
    )


def test_the_truth_beside_drawn_photos_is_expected(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root = photo_tree(jobs(1))
    (root / TRUTH).touch()
    assert run(root, script(), tmp_path / "out", "all").warnings == []
