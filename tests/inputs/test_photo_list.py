"""`yanshou.inputs.photo_list`: photos without a mission's folder, each once, in groups by id or by folder."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.lines import SHIELD

from yanshou.errors import GroupFolderError, InputError
from yanshou.inputs.discovery import Discovery
from yanshou.inputs.listing import HIDDEN, OTHER_TYPE, REPEATED_FOLDER, REPEATED_PHOTO
from yanshou.inputs.photo_list import list_photos

PhotoTree = Callable[..., Path]


def groups(found: Discovery, root: Path) -> dict[str, list[str]]:
    """Group id → photos, relative to root, both in the order of the run."""
    return {group.key.group_id: [str(p.relative_to(root)) for p in group.photos()] for group in found.groups}


def skipped(found: Discovery) -> dict[str, int]:
    return {kind: things.count for kind, things in found.skipped.items()}


def test_example_of_the_module_docstring(photo_tree: PhotoTree) -> None:
    root = photo_tree(
        {
            "现场": ["QC-A-20241022-1_1.jpg"], "备份": ["QC-A-20241022-1_2.jpg"],
            "现场/站点一": ["1.jpg"], "别处/站点一": ["1.jpg"], "站点十": ["10.jpg", "9.JPG"],
        }
    )  # fmt: skip
    (root / "别处" / "站点一" / "1.jpg").write_bytes(b"another photo")
    found = list_photos([root], SHIELD)
    assert groups(found, root) == {
        "QC-A-20241022-1": ["现场/QC-A-20241022-1_1.jpg", "备份/QC-A-20241022-1_2.jpg"],
        "站点十": ["站点十/9.JPG", "站点十/10.jpg"],
    }
    assert {group.key.label for group in found.groups} == {None}
    (fault,) = found.faults
    assert (fault.key.group_id, fault.key.label) == ("站点一", None)
    assert str(fault.error) == (
        f"站点一: 2 folders have this name, and their photos no id: {root}/别处/站点一, {root}/现场/站点一"
    )
    assert found.warnings() == [
        f"{SHIELD}: 1 × group with photos of several folders: QC-A-20241022-1 ({root}/备份, {root}/现场)"
    ]


def test_order_does_not_depend_on_the_order_of_the_paths(photo_tree: PhotoTree) -> None:
    root = photo_tree({f"{name}": 3 for name in ("b", "a10", "a2", "a2/c", "a2/QC-A-20240101-1")})
    paths = [root / "b", root / "a10", root / "a2", root / "b" / "1.jpg"]
    orders = []
    for _ in range(5):
        random.shuffle(paths)
        orders.append(groups(list_photos(paths, SHIELD), root))
    assert orders[0] == {name.split("/")[-1]: [f"{name}/{n}.jpg" for n in (1, 2, 3)] for name in (
        "a2/QC-A-20240101-1", "a2", "a10", "b", "a2/c"
    )}  # fmt: skip
    assert [list(order.items()) for order in orders] == [list(orders[0].items())] * 5


def test_the_same_photo_is_in_a_group_once(photo_tree: PhotoTree) -> None:
    root = photo_tree({"a": ["QC-A-20240101-1_1.jpg", "QC-A-20240101-1_2.jpg"], "b": 0})
    first = root / "a" / "QC-A-20240101-1_1.jpg"
    (root / "b" / "QC-A-20240101-1_3.jpg").symlink_to(first)  # another name, the same file
    (root / "b" / "QC-A-20240101-1_1.jpg").write_bytes(first.read_bytes())  # a copy under the same name
    (root / "b" / "QC-A-20240101-1_2.jpg").write_bytes(first.read_bytes() + b"x")  # the name alone is the same
    (root / "b" / "QC-A-20240101-2_1.jpg").hardlink_to(first)  # another group may have it as well
    found = list_photos([root, root / "a", first, first], SHIELD)
    assert groups(found, root) == {
        "QC-A-20240101-1": ["a/QC-A-20240101-1_1.jpg", "a/QC-A-20240101-1_2.jpg", "b/QC-A-20240101-1_2.jpg"],
        "QC-A-20240101-2": ["b/QC-A-20240101-2_1.jpg"],
    }
    assert skipped(found) == {REPEATED_FOLDER: 1, REPEATED_PHOTO: 4}


def test_links_that_lead_back_end(photo_tree: PhotoTree, tmp_path: Path) -> None:
    root = photo_tree({"a/b": 1, "c": 1})
    (root / "a" / "b" / "up").symlink_to(root)
    (root / "c" / "self").symlink_to(".")
    (root / "c" / "2.jpg").symlink_to("2.jpg")
    (tmp_path / "elsewhere").symlink_to(root / "c")
    found = list_photos([root, tmp_path / "elsewhere"], SHIELD)
    assert [group.key.group_id for group in found.groups] == ["b", "elsewhere"]
    assert [photo.name for photo in found.groups[1].photos()] == ["1.jpg", "2.jpg"]
    assert skipped(found)[REPEATED_FOLDER] == 3


def test_what_is_no_photo_is_counted(photo_tree: PhotoTree) -> None:
    root = photo_tree({"a": ["1.jpg", ".2.jpg", "3.heic", "Thumbs.db"], "__MACOSX/a": ["._1.jpg"], "@eaDir/1.jpg": 1})
    (root / "x.jpg").mkdir()
    found = list_photos([root / "a", root / "x.jpg", root], SHIELD)
    assert groups(found, root) == {"a": ["a/1.jpg"]}
    assert skipped(found) == {HIDDEN: 3, OTHER_TYPE: 2, REPEATED_FOLDER: 2}


def test_a_folder_without_photos_is_named(photo_tree: PhotoTree) -> None:
    root = photo_tree({"a": 1, "b/c": 0})
    found = list_photos([root / "a", root / "b"], SHIELD)
    assert found.warnings() == [f"{SHIELD}: left out 1 × folder without photos: {root}/b"]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("none.jpg", "{}: no such file or folder. Check the path."),
        ("a.heic", "{} is not a photo by its name (.jpg, .jpeg, .png). Convert it, or leave it out."),
        ("photos.zip", "{} is not a photo by its name (.jpg, .jpeg, .png). Convert it, or leave it out."),
    ],
)
def test_a_path_that_cannot_be_used_is_an_error(photo_tree: PhotoTree, name: str, complaint: str) -> None:
    root = photo_tree({"": ["1.jpg", "a.heic", "photos.zip"]})
    with pytest.raises(InputError) as caught:
        list_photos([root / "1.jpg", root / name], SHIELD)
    assert str(caught.value) == complaint.format(root / name)


def test_a_heap_of_photos_without_ids_is_one_group_and_reported(photo_tree: PhotoTree) -> None:
    root = photo_tree({"inbox": 101, "b": 100})
    found = list_photos([root], SHIELD)
    assert {group.key.group_id: len(group.photos()) for group in found.groups} == {"b": 100, "inbox": 101}
    assert found.warnings() == [
        f"{SHIELD}: 1 × group of more than 100 photos, which may be several jobs: inbox (101 photos)"
    ]


def test_numbers_of_several_jobs_in_one_group_are_reported(photo_tree: PhotoTree) -> None:
    inbox = ["QC-20241022-15062_9.jpg", "QC-20241022-15062_10.jpg", "qc-temp-20241022-7_1.jpg", "QC-A-20241022-2.jpg"]
    one = ["QC-20241022-0015064_1.jpg", "QC-20241022-0015064_2.jpg", "QC-20241022.jpg"]
    many = [f"QC-20241022-{number}_1.jpg" for number in range(1, 5)]
    found = list_photos([photo_tree({"inbox": inbox, "一个工单": one, "若干": many})], SHIELD)
    assert {group.key.group_id: len(group.photos()) for group in found.groups} == {
        "QC-A-20241022-2": 1, "inbox": 3, "一个工单": 3, "若干": 4,
    }  # fmt: skip
    assert found.warnings() == [
        f"{SHIELD}: 2 × group whose photos begin with the numbers of several jobs (put the photos of each job into a "
        "folder of their own: only an id like QC-TEMP-20241022-1 makes a group): "
        "inbox (QC-20241022-15062, qc-temp-20241022-7), "
        "若干 (QC-20241022-1, QC-20241022-2, QC-20241022-3, …)"
    ]


def test_a_copy_of_a_whole_folder_is_the_same_group(photo_tree: PhotoTree) -> None:
    root = photo_tree({"站点一": 2, "备份/站点一": 2})
    found = list_photos([root], SHIELD)
    assert groups(found, root) == {"站点一": ["备份/站点一/1.jpg", "备份/站点一/2.jpg"]}
    assert (found.faults, skipped(found)) == ([], {REPEATED_PHOTO: 2})


def test_photos_under_both_labels_are_refused(photo_tree: PhotoTree) -> None:
    root = photo_tree({f"{SHIELD}/审核通过/QC-1": 1, f"{SHIELD}/审核不通过/QC-1": 1})
    for paths in ([root], [root / SHIELD / "审核通过", root / SHIELD / "审核不通过" / "QC-1" / "1.jpg"]):
        with pytest.raises(InputError, match=r"of both labels .*--input-dir"):
            list_photos(paths, SHIELD)
    assert groups(list_photos([root / SHIELD / "审核通过"], SHIELD), root) == {
        "QC-1": [f"{SHIELD}/审核通过/QC-1/1.jpg"]
    }


def test_relative_paths_have_the_names_of_their_folders(photo_tree: PhotoTree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = photo_tree({"站点/内": 1})
    (root / "站点" / "1.jpg").write_bytes(b"another photo")
    monkeypatch.chdir(root / "站点" / "内")
    for path in (Path(), Path("1.jpg"), Path("..") / "内", Path("../../站点/内/1.jpg")):
        assert groups(list_photos([path], SHIELD), root) == {"内": ["站点/内/1.jpg"]}
    assert groups(list_photos([Path("..")], SHIELD), root) == {"内": ["站点/内/1.jpg"], "站点": ["站点/1.jpg"]}


def test_names_that_are_not_utf8_fail_their_groups(photo_tree: PhotoTree) -> None:
    root = photo_tree({"a": ["1.jpg"], "b": ["1.jpg"]})
    (root / "a" / os.fsdecode(b"\xb2.jpg")).touch()
    (root / os.fsdecode("站点".encode("gbk"))).mkdir()
    (root / os.fsdecode("站点".encode("gbk")) / "1.jpg").touch()
    found = list_photos([root], SHIELD)
    with pytest.raises(GroupFolderError, match="not UTF-8"):
        found.groups[0].photos()
    assert [group.key.group_id for group in found.groups] == ["a", "b"]
    assert [("not UTF-8" in str(fault.error), fault.key.group_id) for fault in found.faults] == [(True, "վ\\xb5\\xe3")]


def test_a_folder_below_that_cannot_be_read_is_a_fault(photo_tree: PhotoTree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = photo_tree({"a": 1, "b": 1})
    scandir = os.scandir

    def forbidding(path: Path) -> object:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidding)
    found = list_photos([root], SHIELD)
    assert (list(groups(found, root)), [fault.key.group_id for fault in found.faults]) == (["a"], ["b"])
    assert found.unlisted == [root / "b"]
    with pytest.raises(InputError, match="Permission denied"):
        list_photos([root / "b"], SHIELD)
