"""Two Stage-A files: figures computed by hand, changes in their order, and what is named."""

from pathlib import Path

from support.compared_files import changes, compared, write_side
from support.lines import BAD, CABLES, GOOD, GROUNDING, SHIELD, fault, stage_a_line, write_lines

LOOSE = GOOD.replace("电线/捆扎整齐×1", "电线/分布散乱×1")
SPELT = GOOD.replace("螺丝、光纤插头/", "螺丝/")


def test_figures_of_a_comparison_by_hand(tmp_path: Path) -> None:
    a = [
        stage_a_line("QC-1", "pass", GOOD, "标签/A×1", "无关图片×1"),  # one entry fewer, one spelling, one identical
        stage_a_line("QC-2", "fail", BAD, "标签/A×1"),  # the rules turn to pass
        stage_a_line("QC-3", "pass", GOOD),  # only in A
        stage_a_line("QC-1", "pass", "挡风板/华为,安装方向正确×2", mission=SHIELD),
    ]
    b = [
        stage_a_line("QC-1", "pass", SPELT, "标签/A×1，标签/B×2", "无关图片×1"),
        stage_a_line("QC-2", "fail", GOOD, "标签/A×1"),
        stage_a_line("QC-1", "pass", "挡风板/华为,安装方向正确×1", mission=SHIELD),
        stage_a_line("QC-4", "pass", "挡风板/华为,安装方向正确×1", mission=SHIELD),  # only in B
    ]
    found = compared(write_side(tmp_path / "a", a), write_side(tmp_path / "b", b), tmp_path / "out")
    assert found["kind"] == "summaries"
    grounding, shield, overall = found["missions"][GROUNDING], found["missions"][SHIELD], found["overall"]
    assert grounding == {
        "groups": 2, "groups_only_in_a": 1, "groups_only_in_b": 0,
        "photos": 5, "photos_only_in_a": 0, "photos_only_in_b": 0, "photos_with_another_name": 0,
        "identical": 2, "identical_share": 0.4, "other_spelling": 1, "changed": 2,
        "rules": {"fail_to_pass": 1, "pass_to_fail": 0},
        "categories": {
            "螺丝、光纤插头": {"in_a": 2, "in_b": 4, "lost": 0, "gained": 2},
            "电线": {"in_a": 2, "in_b": 2, "lost": 1, "gained": 1},
            "标签": {"in_a": 2, "in_b": 4, "lost": 0, "gained": 2},
            "无关图片": {"in_a": 1, "in_b": 1, "lost": 0, "gained": 0},
        },
    }  # fmt: skip
    assert shield["categories"] == {"挡风板": {"in_a": 2, "in_b": 1, "lost": 1, "gained": 0}}
    assert (overall["groups"], overall["photos"], overall["identical"], overall["changed"]) == (3, 6, 2, 3)
    assert found["only_in_a"] == [{"mission": GROUNDING, "label": "pass", "group_id": "QC-3"}]
    assert found["only_in_b"] == [{"mission": SHIELD, "label": "pass", "group_id": "QC-4"}]


def test_changes_are_whole_and_worst_first(tmp_path: Path) -> None:
    a = [
        stage_a_line("QC-1", "pass", GOOD),  # the spelling alone
        stage_a_line("QC-2", "pass", "标签/A×9", mission=CABLES),  # nine entries
        stage_a_line("QC-3", "pass", GOOD, "标签/A×1"),  # turns by its first photo
    ]
    b = [
        stage_a_line("QC-1", "pass", SPELT),
        stage_a_line("QC-2", "pass", "无关图片×1", mission=CABLES),
        stage_a_line("QC-3", "pass", LOOSE, "标签/A×1"),
    ]
    compared(write_side(tmp_path / "a", a), write_side(tmp_path / "b", b), tmp_path / "out")
    found = changes(tmp_path / "out")
    assert [(line["group_id"], line["photo"], line["change"]) for line in found] == [
        ("QC-3", 1, "entries"), ("QC-2", 1, "entries"), ("QC-1", 1, "spelling"),
    ]  # fmt: skip
    assert found[0] == {
        "mission": GROUNDING, "group_id": "QC-3", "label": "pass", "photo": 1, "path": a[2]["images"][0],
        "path_b": None, "change": "entries", "a": GOOD, "b": LOOSE,
        "entries_lost": ["电线/捆扎整齐×1"], "entries_gained": ["电线/分布散乱×1"],
        "rules_a": "pass", "rules_b": "fail",
    }  # fmt: skip


def test_identical_files_have_no_change(tmp_path: Path) -> None:
    lines = [stage_a_line("QC-1", "pass", GOOD, BAD)]
    found = compared(write_side(tmp_path / "a", lines), write_side(tmp_path / "b", lines), tmp_path / "out")
    assert (found["overall"]["identical"], found["overall"]["identical_share"]) == (2, 1.0)
    assert changes(tmp_path / "out") == []
    assert "没有变化" in (tmp_path / "out" / "compare.html").read_text("utf-8")


def test_photos_of_one_side_and_of_another_name_are_named_and_counted(tmp_path: Path) -> None:
    a = [stage_a_line("QC-1", "pass", GOOD, "标签/A×1", images=["/a/x_1.jpg", "/a/x_2.jpg"])]
    b = [stage_a_line("QC-1", "pass", BAD, images=["/b/y_1.jpg"])]
    found = compared(write_side(tmp_path / "a", a), write_side(tmp_path / "b", b), tmp_path / "out")
    overall = found["overall"]
    assert (overall["photos"], overall["photos_only_in_a"], overall["photos_with_another_name"]) == (1, 1, 1)
    assert any("1 photos only in A and 0 only in B" in warning for warning in found["warnings"])
    assert any("another name under the same number: 1 photos" in warning for warning in found["warnings"])
    first, second = changes(tmp_path / "out")
    assert (first["path"], first["path_b"], first["change"]) == ("/a/x_1.jpg", "/b/y_1.jpg", "entries")
    assert (second["path"], second["path_b"], second["change"]) == ("/a/x_2.jpg", None, "only in A")
    assert (second["a"], second["b"], second["entries_lost"]) == ("标签/A×1", None, [])
    page = (tmp_path / "out" / "compare.html").read_text("utf-8")
    assert "B 中同一序号的照片是 y_1.jpg" in page


def test_a_moved_folder_is_no_other_photo(tmp_path: Path) -> None:
    a = [stage_a_line("QC-1", "pass", GOOD, images=["/a/x_1.jpg"])]
    b = [stage_a_line("QC-1", "pass", BAD, images=["/b/x_1.jpg"])]
    found = compared(write_side(tmp_path / "a", a), write_side(tmp_path / "b", b), tmp_path / "out")
    assert found["overall"]["photos_with_another_name"] == 0
    assert changes(tmp_path / "out")[0]["path_b"] == "/b/x_1.jpg"


def test_groups_of_one_side_say_whether_they_failed_or_have_another_label(tmp_path: Path) -> None:
    a = write_side(tmp_path / "a", [stage_a_line("QC-1"), stage_a_line("QC-2"), stage_a_line("QC-3")])
    b = write_side(tmp_path / "b", [stage_a_line("QC-1"), stage_a_line("QC-3", "fail")])
    write_lines(tmp_path / "b" / "m_stage_a.errors.jsonl", [fault("QC-2")])
    (of_a,) = (text for text in compared(a, b, tmp_path / "out")["warnings"] if "only in A" in text)
    assert of_a.startswith("2 groups (QC-2 (BBU接地线检查, pass), QC-3 (BBU接地线检查, pass)) only in A")
    assert "1 of them failed in B" in of_a
    assert "1 are in B under another label" in of_a


def test_an_unknown_mission_is_compared_without_rules_and_said(tmp_path: Path) -> None:
    a = write_side(tmp_path / "a", [stage_a_line("QC-1", "pass", GOOD, mission="新检查项")])
    b = write_side(tmp_path / "b", [stage_a_line("QC-1", "pass", BAD, mission="新检查项")])
    found = compared(a, b, tmp_path / "out")
    assert found["overall"]["changed"] == 1
    assert any("新检查项: unknown mission" in warning for warning in found["warnings"])
    assert changes(tmp_path / "out")[0]["rules_a"] is None
