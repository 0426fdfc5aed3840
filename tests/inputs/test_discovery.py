"""`yanshou.inputs.discovery`: every group once, in an order that never depends on the disk; nothing lost silently."""

import os
import random
import shutil
import sys
import tempfile
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile import build_hostile_mission

from yanshou.errors import GroupFolderError, InputError
from yanshou.inputs import listing
from yanshou.inputs.discovery import Discovery, Group, discover, mission_folders
from yanshou.inputs.label_folders import LABELS
from yanshou.inputs.listing import UNKNOWN_LABEL, natural_key
from yanshou.schema.records import GroupKey

MISSION = "挡风板安装检查"
quick = settings(max_examples=40, database=None)


def make(root: Path, *files: str) -> Path:
    """Makes empty files (or folders, if the name ends with a slash) below root; returns root."""
    for file in files:
        path = root / file
        if file.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return root


def ids(found: Discovery) -> list[tuple[str | None, str]]:
    return [(group.key.label, group.key.group_id) for group in found.groups]


def test_example_of_the_module_docstring(tmp_path):
    root = make(
        tmp_path,
        f"{MISSION}/审核不通过/QC-TEMP-20241022-0015062/QC-TEMP-20241022-0015062_10.JPG",
        f"{MISSION}/审核不通过/QC-TEMP-20241022-0015062/QC-TEMP-20241022-0015062_9.jpeg",
        f"{MISSION}/审核通过/QC-TEMP-20241022-0015062/QC-TEMP-20241022-0015062_11.jpeg",
        f"{MISSION}/审核通过/站点【A】 2/图片 1.png",
        f"{MISSION}/待定/a/1.jpg",
    )
    found = discover(root, MISSION)
    folder = root / MISSION / "审核不通过" / "QC-TEMP-20241022-0015062"
    assert ids(found) == [
        ("fail", "QC-TEMP-20241022-0015062"),
        ("pass", "QC-TEMP-20241022-0015062"),
        ("pass", "站点【A】 2"),
    ]
    assert found.groups[0].key == GroupKey(MISSION, "fail", "QC-TEMP-20241022-0015062")
    assert found.groups[0].photos() == [
        folder / "QC-TEMP-20241022-0015062_9.jpeg",
        folder / "QC-TEMP-20241022-0015062_10.JPG",
    ]
    assert found.warnings() == [f"{MISSION}: left out 1 × folder that is not a label: 待定"]
    assert found.faults == []


@pytest.mark.parametrize(
    ("folder", "photo", "group_id"),
    [
        ("任意", "QC-TEMP-20241022-0015062_4176693.jpeg", "QC-TEMP-20241022-0015062"),
        ("任意", "QC-DEN-20241022-1.png", "QC-DEN-20241022-1"),
        ("QC-20241022-0015062", "QC-20241022-0015062_1.jpg", "QC-20241022-0015062"),
        ("QC-20241022-0015062", "IMG_1.jpg", "QC-20241022-0015062"),
        ("a", "x QC-TEMP-20241022-0015062.jpg", "a"),
        ("a", "QC-TEMP-2024102-0015062.jpg", "a"),
    ],
)
def test_id_comes_from_the_first_photos_name_or_is_the_folders_name(folder, photo, group_id, tmp_path):
    found = discover(make(tmp_path, f"{MISSION}/审核通过/{folder}/{photo}"), MISSION)
    assert ids(found) == [("pass", group_id)]


def test_first_photo_is_first_in_natural_order(tmp_path):
    make(tmp_path, f"{MISSION}/审核通过/g/QC-A-20241022-2_1.jpg", f"{MISSION}/审核通过/g/QC-A-20241022-10_1.jpg")
    assert ids(discover(tmp_path, MISSION)) == [("pass", "QC-A-20241022-2")]


name = st.text("01239aAbé图片 _-【】📷", min_size=1, max_size=6).map(str.strip).filter(bool)
tree = st.dictionaries(
    st.tuples(st.sampled_from(sorted(LABELS)), name), st.sets(name, min_size=1, max_size=4), min_size=1
)


@quick
@given(tree, st.randoms(use_true_random=False))
def test_every_photo_appears_once_in_an_order_that_does_not_depend_on_the_disk(layout, chance):
    files = [f"{MISSION}/{label}/{group}/{photo}.jpg" for (label, group), photos in layout.items() for photo in photos]
    orders = []
    for _ in range(2):
        chance.shuffle(files)
        with tempfile.TemporaryDirectory() as root:
            found = discover(make(Path(root), *files), MISSION)
            orders.append([str(p.relative_to(root)) for group in found.groups for p in group.photos()])
            keys = [natural_key(path.name) for group in found.groups[:1] for path in group.photos()]
            assert keys == sorted(keys)
            assert found.faults == []
            assert found.warnings() == []
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == sorted(files)


@quick
@given(st.lists(name, unique=True))
def test_natural_order_is_total(names):
    shuffled = names[:]
    random.Random(0).shuffle(shuffled)
    assert sorted(names, key=natural_key) == sorted(shuffled, key=natural_key)


def test_numbers_are_ordered_by_value_and_ties_by_the_plain_name():
    names = ["图片_10", "图片_2", "图片_02", "图片_1", "a2b10", "a2b9", "2", "10", "01", "1"]
    assert sorted(names, key=natural_key) == [
        "01", "1", "2", "10", "a2b9", "a2b10", "图片_1", "图片_02", "图片_2", "图片_10",
    ]  # fmt: skip


def test_same_id_in_two_folders_of_one_label_is_a_fault_that_names_both(tmp_path):
    make(
        tmp_path,
        f"{MISSION}/审核通过/a/QC-A-20241022-1_1.jpg",
        f"{MISSION}/审核通过/b/QC-A-20241022-1_2.jpg",
        f"{MISSION}/审核不通过/a/QC-A-20241022-1_1.jpg",
        f"{MISSION}/审核通过/c/1.jpg",
    )
    found = discover(tmp_path, MISSION)
    assert ids(found) == [("fail", "QC-A-20241022-1"), ("pass", "c")]
    (fault,) = found.faults
    assert fault.key == GroupKey(MISSION, "pass", "QC-A-20241022-1")
    assert str(tmp_path / MISSION / "审核通过" / "a") in str(fault.error)
    assert str(tmp_path / MISSION / "审核通过" / "b") in str(fault.error)
    assert fault.error.advice


def test_everything_left_out_is_named_and_counted(tmp_path):
    good = f"{MISSION}/审核通过/g"
    make(
        tmp_path,
        f"{good}/1.jpg", f"{good}/x.jpg/", f"{good}/sub/2.jpg", f"{good}/3.heic", f"{good}/4.webp", f"{good}/.5.jpg",
        f"{good}/Thumbs.db", f"{good}/notes.txt",
        f"{MISSION}/审核通过/empty/", f"{MISSION}/审核通过/stray.jpg", f"{MISSION}/.DS_Store", f"{MISSION}/readme.txt",
        f"{MISSION}/审核中/g/1.jpg", f"{MISSION}/审核通过/.cache/1.jpg",
    )  # fmt: skip
    found = discover(tmp_path, MISSION)
    assert ids(found) == [("pass", "g")]
    assert {kind: skipped.count for kind, skipped in found.skipped.items()} == {
        listing.SUB_FOLDER: 2, listing.OTHER_TYPE: 4, listing.HIDDEN: 3, listing.EMPTY_GROUP: 1, listing.STRAY_FILE: 2,
        UNKNOWN_LABEL: 1,
    }  # fmt: skip
    assert f"{MISSION}: left out 1 × group without photos: 审核通过/empty" in found.warnings()
    (others,) = [line for line in found.warnings() if listing.OTHER_TYPE in line]
    assert others.startswith(f"{MISSION}: left out 4 × ")
    assert others.endswith(", …")


def test_flat_layout_has_no_labels(tmp_path):
    make(tmp_path, f"{MISSION}/g10/1.jpg", f"{MISSION}/g2/1.jpg", f"{MISSION}/stray.jpg")
    found = discover(tmp_path, MISSION, layout="flat")
    assert ids(found) == [(None, "g2"), (None, "g10")]
    assert found.warnings() == [f"{MISSION}: left out 1 × file outside a group folder: stray.jpg"]


def test_error_of_a_wrong_layout_names_the_right_one(tmp_path):
    make(tmp_path / "new", f"{MISSION}/g/1.jpg")
    make(tmp_path / "old", f"{MISSION}/审核通过/g/1.jpg")
    with pytest.raises(InputError, match="--layout flat"):
        discover(tmp_path / "new", MISSION)
    with pytest.raises(InputError, match="--layout labelled"):
        discover(tmp_path / "old", MISSION, layout="flat")


def test_error_of_a_missing_folder_lists_what_is_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read as a folder"):
        discover(tmp_path / "nowhere", MISSION)
    with pytest.raises(InputError, match="cannot be read as a folder"):
        discover(make(tmp_path, "file") / "file", MISSION)
    with pytest.raises(InputError, match="no folder at all"):
        discover(tmp_path, MISSION)
    make(tmp_path, "别的任务/", f"{MISSION}2/")
    with pytest.raises(InputError, match=f"holds no folder {MISSION} or other, only 别的任务, {MISSION}2"):
        discover(tmp_path, MISSION, ["other"])


def test_mission_folder_given_as_input_is_an_error_that_names_its_parent(tmp_path):
    make(tmp_path, f"{MISSION}/审核通过/g/1.jpg")
    with pytest.raises(InputError, match="give its parent"):
        discover(tmp_path / MISSION, MISSION)


def test_mission_folder_may_have_an_alias_and_both_are_read(tmp_path):
    make(tmp_path, "BBU线缆布放要求/审核通过/a/1.jpg", "BBU线缆布放/审核通过/b/1.jpg", "BBU线缆布放/审核通过/c/1.jpg")
    make(tmp_path, "BBU线缆布放要求/审核通过/c/1.jpg")
    found = discover(tmp_path, "BBU线缆布放", ["BBU线缆布放要求"])
    assert ids(found) == [("pass", "b"), ("pass", "a")]
    assert [fault.key for fault in found.faults] == [GroupKey("BBU线缆布放", "pass", "c")]
    assert ids(discover(tmp_path, "BBU线缆布放要求")) == [("pass", "a"), ("pass", "c")]


def test_present_missions_are_found(tmp_path):
    make(tmp_path, f"{MISSION}/", "BBU线缆布放要求/", "BBU接地线检查")
    assert mission_folders(tmp_path, MISSION) == [tmp_path / MISSION]
    assert mission_folders(tmp_path, "BBU线缆布放", ["BBU线缆布放要求"]) == [tmp_path / "BBU线缆布放要求"]
    assert mission_folders(tmp_path, "BBU接地线检查") == []  # a file


def test_names_are_compared_in_one_normal_form(tmp_path):
    make(tmp_path, normalize("NFD", "Überprüfung") + "/审核通过/" + normalize("NFD", "é") + "/1.jpg")
    assert ids(discover(tmp_path, "Überprüfung")) == [("pass", "é")]


def test_links_are_followed_and_odd_files_are_left_to_the_loader(tmp_path):
    group = make(tmp_path, f"{MISSION}/审核通过/g/1.jpg", "elsewhere/1.jpg") / MISSION / "审核通过" / "g"
    (group / "2.jpg").symlink_to("nowhere")
    (group / "3.jpg").symlink_to("3.jpg")
    (group / "dir.jpg").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(group / "4.jpg")
    (group.parent / "h").symlink_to(tmp_path / "elsewhere")
    found = discover(tmp_path, MISSION)
    assert ids(found) == [("pass", "g"), ("pass", "h")]
    assert [path.name for path in found.groups[0].photos()] == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems store names as Unicode")
def test_names_that_are_not_utf8_are_faults_with_a_printable_message(tmp_path):
    label = make(tmp_path, f"{MISSION}/审核通过/g/1.jpg") / MISSION / "审核通过"
    bad = os.fsencode(label) + b"/" + "站点".encode("gbk")
    os.mkdir(bad)  # noqa: PTH102
    Path(os.fsdecode(bad + b"/1.jpg")).touch()
    Path(os.fsdecode(os.fsencode(label / "g") + b"/\xb2.jpg")).touch()
    found = discover(tmp_path, MISSION)
    (fault,) = found.faults
    assert (fault.key.group_id + str(fault.error)).encode().count(rb"\xb5\xe3") == 2
    with pytest.raises(GroupFolderError, match="not UTF-8") as caught:
        found.groups[0].photos()
    assert str(caught.value).encode()


def test_group_folder_that_cannot_be_read_is_a_fault_of_that_group(tmp_path, monkeypatch):
    make(tmp_path, f"{MISSION}/审核通过/a/1.jpg", f"{MISSION}/审核通过/b/1.jpg")
    scandir = os.scandir

    def forbidding(path):
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidding)
    found = discover(tmp_path, MISSION)
    assert ids(found) == [("pass", "b")]
    assert [fault.key.group_id for fault in found.faults] == ["a"]
    assert "Permission denied" in str(found.faults[0].error)


def test_folders_whose_content_is_unknown_are_listed_as_such(tmp_path):
    """A link into a disk that is not there is a stray file by its kind; what it held yesterday is still unknown."""
    mission = make(tmp_path / "in/挡风板安装检查", "审核通过/QC-1/1.jpg", "审核通过/空/x.txt", "审核通过/note.txt")
    (mission / "审核通过/QC-2").symlink_to(tmp_path / "lost disk/QC-2")
    (mission / "审核通过/QC-3").symlink_to(mission / "审核通过/QC-3")
    (mission / "审核通过/QC-4").symlink_to(mission / "审核通过/QC-1")
    (mission / "审核通过/note link").symlink_to(mission / "审核通过/note.txt")
    (mission / "审核不通过").symlink_to(tmp_path / "lost disk")
    found = discover(tmp_path / "in", "挡风板安装检查")
    assert ids(found) == [("pass", "QC-1"), ("pass", "QC-4")]
    unlisted = [mission / "审核不通过", mission / "审核通过/QC-2", mission / "审核通过/QC-3"]
    assert sorted(found.unlisted) == unlisted


def test_photos_are_listed_at_each_call(tmp_path):
    make(tmp_path, f"{MISSION}/审核通过/g/1.jpg")
    (group,) = discover(tmp_path, MISSION).groups
    make(tmp_path, f"{MISSION}/审核通过/g/0.png")
    assert [path.name for path in group.photos()] == ["0.png", "1.jpg"]
    for photo in group.photos():
        photo.unlink()
    with pytest.raises(GroupFolderError, match="gone"):
        group.photos()
    shutil.rmtree(group.folder)
    with pytest.raises(GroupFolderError, match="cannot be read"):
        group.photos()


def test_a_group_takes_little_memory():
    group = Group(GroupKey(MISSION, "pass", "a"), Path("x"), "a")
    assert sum(map(sys.getsizeof, (group, group.key))) < 200


def test_every_group_of_a_hostile_mission_is_found(tmp_path):
    expected = build_hostile_mission(tmp_path / MISSION)
    found = discover(tmp_path, MISSION)
    assert [group.name for group in found.groups] == sorted(expected, key=natural_key)
    assert {kind: skipped.count for kind, skipped in found.skipped.items()} == {
        listing.HIDDEN: 2, listing.EMPTY_GROUP: 1, listing.SUB_FOLDER: 1, listing.OTHER_TYPE: 1,
    }  # fmt: skip
