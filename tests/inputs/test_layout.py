"""`yanshou.inputs.layout`: the message of a wrong layout says what the folder is and shows the wanted one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support.lines import CABLES, GROUNDING, SHIELD

from yanshou.errors import InputError
from yanshou.inputs.discovery import discover
from yanshou.inputs.layout import no_mission
from yanshou.missions import load_missions
from yanshou.settings import Layout

PhotoTree = Callable[..., Path]
LABELLED = f"""Expected:
  <input-dir>/
  └── <mission>/
      ├── 审核通过/
      │   └── <group>/*.jpg
      └── 审核不通过/
          └── <group>/*.jpg
  <mission>: {SHIELD}"""
FLAT = f"""Expected:
  <input-dir>/
  └── <mission>/
      └── <group>/*.jpg
  <mission>: {SHIELD}"""


def refusal(root: Path, layout: Layout = "labelled") -> str:
    with pytest.raises(InputError) as caught:
        discover(root, SHIELD, layout=layout)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "is_what"),
    [
        (SHIELD, "is the mission's own folder: give its parent, {root}."),
        (CABLES, "is a mission's own folder: give its parent, {root}."),
        (f"{SHIELD}/审核不通过", "is a label's folder: give the folder above its mission, {root}."),
        (
            f"{SHIELD}/审核通过/QC-1",
            "is one group's folder: give the folder above its mission, {root}. To read its photos without labels, give "
            "--photos {given} in place of --input-dir.",
        ),
    ],
)
def test_a_folder_too_deep(photo_tree: PhotoTree, given: str, is_what: str) -> None:
    root = photo_tree({f"{SHIELD}/审核通过/QC-1": 1, f"{SHIELD}/审核不通过/QC-2": 1, f"{CABLES}/审核通过/QC-3": 1})
    place = root / given
    assert refusal(place) == f"{place} {is_what.format(root=root, given=place)} {LABELLED}"


def test_a_folder_given_as_a_dot_has_a_name(photo_tree: PhotoTree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = photo_tree({f"{SHIELD}/审核通过/QC-1": 1})
    monkeypatch.chdir(root / SHIELD)
    assert refusal(Path()).startswith(f". is the mission's own folder: give its parent, {root}.")


@pytest.mark.parametrize(
    ("tree", "holds"),
    [
        ({"": 2}, "holds photos, and no mission's folder. To read its photos without labels, give --photos {root}"),
        ({"QC-1": 1, "QC-2": 1}, "holds folders of photos (QC-1), and no mission's folder. To read its photos"),
        (
            {f"bbu_groups/{SHIELD}/审核通过/QC-1": 1},
            "holds no mission's folder, but its folder bbu_groups does: give {root}/bbu_groups.",
        ),
        (
            {"": [f"{SHIELD}\\审核通过\\QC-1\\1.jpg"]},
            "holds no mission's folder, but files with whole paths as their names "
            f"('{SHIELD}\\审核通过\\QC-1\\1.jpg'). Unpack the archive again",
        ),
        ({"a/b/c": 0}, f"holds no folder {SHIELD}, only a."),
        ({"": 0}, "holds no folder at all."),
    ],
)
def test_a_folder_with_other_content(photo_tree: PhotoTree, tree: dict[str, int | list[str]], holds: str) -> None:
    root = photo_tree(tree, root="照片")
    assert refusal(root).startswith(f"{root} {holds.format(root=root)}")
    assert refusal(root).endswith(LABELLED)
    assert refusal(root, "flat").endswith(FLAT)


def test_stray_photos_beside_missions_do_not_hide_that_one_is_missing(photo_tree: PhotoTree) -> None:
    root = photo_tree({f"{CABLES}/审核通过/QC-1": 1})
    (root / "1.jpg").touch()
    assert refusal(root) == f"{root} holds no folder {SHIELD}, only {CABLES}."


def test_a_near_name_is_offered(photo_tree: PhotoTree) -> None:
    root = photo_tree({f"{SHIELD} /审核通过/QC-1": 1, "RRU安装检查/审核通过/QC-1": 1})
    assert refusal(root) == (
        f"{root} holds no folder {SHIELD}, only RRU安装检查, {SHIELD} . If '{SHIELD} ' is {SHIELD}, rename it."
    )


def test_label_folders_of_other_spellings_are_to_be_renamed(photo_tree: PhotoTree) -> None:
    root = photo_tree({f"{SHIELD}/pass/QC-1": 1, f"{SHIELD}/审核未通过/QC-2": 1, f"{SHIELD}/待定/QC-3": 1})
    assert refusal(root) == (
        f"{root}/{SHIELD} holds no folder 审核通过 or 审核不通过, only pass, 审核未通过, 待定. "
        "If these are the labels, rename 'pass' to 审核通过, '审核未通过' to 审核不通过."
    )


def test_an_archive_unpacked_into_a_folder_of_its_own_name(photo_tree: PhotoTree) -> None:
    root = photo_tree({f"{SHIELD}/{SHIELD}/审核通过/QC-1": 1})
    assert refusal(root).endswith(f"inside another one of its name: give {root}/{SHIELD}.")


def test_photos_in_the_missions_folder_itself(photo_tree: PhotoTree) -> None:
    root = photo_tree({SHIELD: 2})
    assert f"give --photos {root}/{SHIELD} in place of --input-dir" in refusal(root)
    (root / SHIELD / "1.jpg").unlink()
    (root / SHIELD / "2.jpg").unlink()
    assert refusal(root) == (
        f"{root}/{SHIELD} holds no folder 审核通过 or 审核不通过, and no folder at all. {LABELLED}"
    )


def test_without_any_known_mission_the_names_of_all_are_shown(photo_tree: PhotoTree) -> None:
    root = photo_tree({f"{GROUNDING}\u3000/审核通过/QC-1": 1, "RRU安装检查/审核通过/QC-1": 1})
    known = load_missions().names
    message = str(no_mission(root, known))
    assert f"If '{GROUNDING}\u3000' is {GROUNDING}, rename it. Expected:" in message
    assert message.endswith(f"<mission>: {', '.join(known)}")


@pytest.mark.parametrize("place", ["/", "/审核通过", "/审核通过/QC-1"])
def test_places_near_the_root_are_no_crash(place: str) -> None:
    assert refusal(Path(place))
