"""Guarantees of Stage-A for groups that fail: none stops the others, none is silent."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from unicodedata import normalize

from support.hostile import build_hostile_mission
from support.lines import CABLES, SHIELD
from support.stage_a_runs import (
    FAIL,
    PASS,
    PhotoTree,
    Script,
    Yanshou,
    arguments,
    faults,
    ids,
    jobs,
    lines,
    lines_file,
    run,
    run_file,
    settings,
)

from yanshou.cli.reporter import final_messages
from yanshou.engines.base import OutOfMemoryError
from yanshou.engines.scripted import ScriptedEngine
from yanshou.pipeline.mission_run import MAX_FAILURES_AT_START
from yanshou.stage_a.summarize import summarize_directory


def test_a_hostile_folder_loses_no_good_group_and_names_every_bad_photo(
    script: Script, tmp_path: Path, yanshou: Yanshou
) -> None:
    expected = build_hostile_mission(tmp_path / "in" / SHIELD)
    path, out = script(), tmp_path / "out"
    good = [group for group, cause in expected.items() if cause == "ok"]
    bad = {group: cause for group, cause in expected.items() if cause != "ok"}
    ran = yanshou(*arguments(tmp_path / "in", path, out))
    assert (ran.returncode, "Traceback" in ran.stderr) == (3, False)
    assert ids(out) == good
    found = {group: (photo, cause_in(message, bad[group])) for group, photo, message in faults(out)}
    assert found == {group: ("图片_2.jpg", cause) for group, cause in bad.items()}
    assert ran.stderr.splitlines()[-1] == (
        f"{SHIELD}: {len(bad)} of {len(expected)} groups failed: see {out / (SHIELD + '_stage_a.errors.jsonl')}. "
        "Run the same command again to retry only these."
    )
    for left_out in ("group without photos", "hidden file or folder", "folder inside a group", "not JPEG or PNG"):
        assert left_out in ran.stderr

    again = run(tmp_path / "in", path, out)
    assert (again.status, again.written, again.failed, again.skipped) == (3, 0, len(bad), len(good))
    assert again.photos == 2 * len(bad)
    assert len(faults(out)) == len(bad)
    for group in bad:
        shutil.copy(
            tmp_path / "in" / SHIELD / PASS / group / "图片_1.jpg",
            tmp_path / "in" / SHIELD / PASS / group / "图片_2.jpg",
        )
    assert run(tmp_path / "in", path, out).status == 0
    assert (sorted(ids(out)), faults(out)) == (sorted(expected), [])


def cause_in(message: str, cause: str) -> str:
    return cause if cause in message else message


def test_rotated_photos_are_counted(script: Script, tmp_path: Path) -> None:
    build_hostile_mission(tmp_path / "in" / SHIELD)
    assert run(tmp_path / "in", script(), tmp_path / "out").rotated == 7
    assert run(tmp_path / "in", script(), tmp_path / "other", photo={"exif": "ignore"}).rotated == 0


def test_one_id_in_two_folders_of_a_label_fails_both_and_no_other(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    photo = ["QC-TEMP-20241022-0015062_1.jpg"]
    tree = {f"{SHIELD}/{PASS}/a": photo, f"{SHIELD}/{PASS}/b": photo, f"{SHIELD}/{FAIL}/c": photo, **jobs(1)}
    root, out = photo_tree(tree), tmp_path / "out"
    result = run(root, script(), out)
    assert (result.status, result.groups, result.written, result.failed) == (3, 3, 2, 1)
    folder = root / SHIELD / PASS
    message = f"QC-TEMP-20241022-0015062: 2 folders have this id: {folder / 'a'}, {folder / 'b'}"
    assert faults(out) == [("QC-TEMP-20241022-0015062", None, message)]
    assert [(line["label"], line["group_id"]) for line in lines(out)] == [
        ("fail", "QC-TEMP-20241022-0015062"),
        ("pass", "QC-1"),
    ]
    shutil.rmtree(folder / "b")
    assert run(root, script(), out).status == 0
    assert (len(ids(out)), faults(out)) == (3, [])


def test_photos_renamed_after_their_line_was_written_are_an_error_naming_both(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root, path, out = photo_tree(jobs(2, 2)), script(), tmp_path / "out"
    run(root, path, out)
    folder = root / SHIELD / PASS / "QC-1"
    (folder / "1.jpg").rename(folder / "3.jpg")
    before = lines_file(out).read_bytes()
    result = run(root, path, out)
    assert (result.status, result.failed, result.skipped) == (3, 1, 1)
    message = f"{folder}: its line was written from 1.jpg, 2.jpg; now there are 2.jpg, 3.jpg"
    assert faults(out) == [("QC-1", None, message)]
    assert lines_file(out).read_bytes() == before
    (folder / "3.jpg").rename(folder / "1.jpg")
    assert (run(root, path, out).status, faults(out)) == (0, [])


def test_photos_whose_names_only_changed_their_unicode_form_are_the_same(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    root, path, out = photo_tree({f"{SHIELD}/{PASS}/站点": ["侧é.jpg", "正é.jpg"]}), script(), tmp_path / "out"
    run(root, path, out)
    for photo in list((root / SHIELD / PASS / "站点").iterdir()):
        photo.rename(photo.with_name(normalize("NFD", photo.name)))
    assert (run(root, path, out).status, run(root, path, out).skipped) == (0, 1)


def test_a_run_whose_first_groups_all_fail_stops(photo_tree: PhotoTree, tmp_path: Path) -> None:
    root, out, sizes = photo_tree(jobs(60)), tmp_path / "out", []
    engine = ScriptedEngine.of({"*": ""}, batch_size=4, before_batch=sizes.append)
    (result,) = summarize_directory(settings(root, Path("none"), out), engine)
    assert (result.status, result.failed, result.written) == (1, MAX_FAILURES_AT_START, 0)
    assert result.error == (
        "the first 20 groups all failed. The last error: the summary is empty: the model wrote '<|im_end|>'"
    )
    assert sum(sizes) <= MAX_FAILURES_AT_START + 4
    assert (len(faults(out)), ids(out), run_file(out)["status"]) == (MAX_FAILURES_AT_START, [], "stopped")


def test_photos_that_cannot_be_read_never_stop_a_run(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    """Neither files that are no photos nor folders that were emptied say anything about the model."""
    count = 2 * MAX_FAILURES_AT_START + 3
    root, path, out = photo_tree(jobs(count)), script(decode=True), tmp_path / "out"
    folder = root / SHIELD / PASS
    for number in range(1, count - 2):
        (folder / f"QC-{number}" / "1.jpg").write_bytes(b"RIFF\x10\0\0\0WEBPVP8 " if number % 2 else b"")
    result = run(root, path, out)
    assert (result.status, result.failed, result.error) == (3, count - 3, "")
    assert ids(out) == [f"QC-{number}" for number in range(count - 2, count + 1)]
    assert run_file(out)["status"] == "finished"


def test_unreadable_photos_do_not_hide_a_model_that_answers_nothing(photo_tree: PhotoTree, tmp_path: Path) -> None:
    root, out = photo_tree(jobs(60, 2)), tmp_path / "out"
    for number in range(1, 31):
        (root / SHIELD / PASS / f"QC-{number}" / "1.jpg").write_bytes(b"")
        (root / SHIELD / PASS / f"QC-{number}" / "2.jpg").write_bytes(b"")
    (result,) = summarize_directory(settings(root, Path("none"), out), ScriptedEngine.of({"*": ""}, batch_size=4))
    assert (result.status, result.failed) == (1, 30 + MAX_FAILURES_AT_START)
    assert result.error.endswith("The last error: the summary is empty: the model wrote '<|im_end|>'")


def test_failures_after_a_written_group_stop_nothing(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    root, out = photo_tree(jobs(40)), tmp_path / "out"
    result = run(root, script({"QC-1/1.jpg": "无关图片×1", "*": ""}), out)
    assert (result.status, result.written, result.failed, result.error) == (3, 1, 39, "")
    again = run(root, script({"QC-1/1.jpg": "无关图片×1", "*": ""}), out)
    assert (again.status, again.skipped, again.failed) == (3, 1, 39)


def test_a_few_groups_may_all_fail(photo_tree: PhotoTree, script: Script, tmp_path: Path) -> None:
    result = run(photo_tree(jobs(MAX_FAILURES_AT_START - 1)), script({"*": ""}), tmp_path / "out")
    assert (result.status, result.failed, result.error) == (3, MAX_FAILURES_AT_START - 1, "")


def test_a_mission_that_stops_does_not_keep_the_others_from_running(
    photo_tree: PhotoTree, script: Script, tmp_path: Path
) -> None:
    tree = {f"{CABLES}/{PASS}/bad {number}": ["x.jpg"] for number in range(30)} | jobs(3)
    root, out = photo_tree(tree), tmp_path / "out"
    path = script({"x.jpg": "", "*": "无关图片×1"})
    cables, shield = summarize_directory(settings(root, path, out, "all", batch_size=2))
    assert (cables.status, shield.status, ids(out)) == (1, 0, ["QC-1", "QC-2", "QC-3"])


def test_out_of_memory_fails_only_the_group_whose_photo_does_not_fit_alone(
    photo_tree: PhotoTree, tmp_path: Path
) -> None:
    calls: Iterator[bool] = iter([True, True, True])  # the first four photos, their first half, and photo 1 alone

    def before_batch(size: int) -> None:
        if next(calls, False):
            raise OutOfMemoryError

    root, out = photo_tree(jobs(9)), tmp_path / "out"
    engine = ScriptedEngine.of({"*": "无关图片×1"}, batch_size=4, before_batch=before_batch)
    (result,) = summarize_directory(settings(root, Path("none"), out), engine)
    assert (result.status, result.failed, ids(out)) == (3, 1, [f"QC-{number}" for number in range(2, 10)])
    assert faults(out) == [("QC-1", "1.jpg", "the photo does not fit the device's memory even in a batch of one")]
    assert result.out_of_memory == run_file(out)["counts"]["out_of_memory"] == 3
    message = f"{SHIELD}: the GPU ran out of memory 3 time(s); the run continued with smaller batches."
    assert final_messages([result])[0].startswith(message)
