"""Comparing summaries with reference summaries: right, wrong, missed and left-out entries."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from yanshou.cli import main
from yanshou.errors import DamagedFileError, InputError
from yanshou.evaluate.summaries import Tally, compare, score
from yanshou.missions import load_missions
from yanshou.schema.records import GroupKey

KNOWN = load_missions()
KEY = GroupKey("BBU接地线检查", "pass", "QC-1")


def photos(*lines: str) -> dict[str, str]:
    return {f"图片_{number}": line for number, line in enumerate(lines, 1)}


def truth_line(*lines: str, group: str = "QC-1", mission: str = "BBU接地线检查", label: str = "pass") -> dict[str, Any]:
    return {"mission": mission, "label": label, "group_id": group, "per_image": photos(*lines)}


def written_line(*lines: str, **key: str) -> dict[str, Any]:
    record = truth_line(*lines, **key)
    images = [f"/photos/{number}.jpg" for number in range(len(lines))]
    texts = {"raw_texts": list(lines), "clean_texts": list(lines), "timestamp": "2026-01-18T09:30:00+08:00"}
    return {**record, "images": images, **texts}


def jsonl(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def entries(truth: str, written: str) -> Tally:
    return compare({KEY: photos(truth)}, {KEY: photos(written)}).overall.entries


def test_equal_lines_have_a_score_of_one() -> None:
    lines = photos("电线/捆扎整齐×2，标签/5G-BBU-接地线×1", "无关图片×1")
    part = compare({KEY: lines}, {KEY: lines}).overall
    assert (part.groups, part.unwritten, part.photos, part.identical_share) == (1, 0, 2, 1.0)
    assert (part.entries.precision, part.entries.recall, part.entries.f1) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("truth", "written", "tally"),
    [
        ("电线/捆扎整齐×3", "电线/捆扎整齐×2", Tally(right=2, written=2, true=3)),
        ("电线/捆扎整齐×2", "电线/捆扎整齐×3", Tally(right=2, written=3, true=2)),
        ("电线/捆扎整齐×2", "电线/捆扎整齐×1，电线/捆扎整齐×1", Tally(right=2, written=2, true=2)),
        ("电线/捆扎整齐×1", "电线/捆扎整齐", Tally(right=1, written=1, true=1)),
        ("电线/捆扎整齐×1", "电线/分布散乱×1", Tally(right=0, written=1, true=1)),
        ("电线/捆扎整齐×1", "电线/捆扎整齐×0", Tally(right=0, written=0, true=1)),
        ("标签/无法识别×1", "标签/无法识别×17953", Tally(right=1, written=100, true=1)),
        ("BBU设备/华为,显示完整,无需安装×1", "BBU设备/华为/显示完整/无需安装×1", Tally(right=1, written=1, true=1)),
        ("螺丝、光纤插头/BBU安装螺丝,符合要求×1", "螺丝/BBU安装螺丝,符合要求×1", Tally(right=1, written=1, true=1)),
        ("光纤/需复核备注:甲×1", "光纤/需复核备注:乙×1", Tally(right=0, written=1, true=1)),
    ],
)
def test_entries_are_compared_as_multisets_in_one_spelling(truth: str, written: str, tally: Tally) -> None:
    assert entries(truth, written) == tally


def test_precision_recall_and_f1_of_a_tally() -> None:
    tally = Tally(right=2, written=4, true=8)
    assert (tally.precision, tally.recall, tally.f1) == (0.5, 0.25, pytest.approx(1 / 3))
    assert (Tally().precision, Tally().recall, Tally().f1) == (None, None, None)


def test_another_spelling_is_right_but_not_identical() -> None:
    part = compare({KEY: photos("标签/无法识别×1")}, {KEY: photos("标签无法识别×1")}).overall
    assert (part.identical, part.entries.f1) == (0, 1.0)


def test_a_right_entry_beside_the_wrong_photo_is_wrong() -> None:
    swapped = compare({KEY: photos("电线/捆扎整齐×1", "无关图片×1")}, {KEY: photos("无关图片×1", "电线/捆扎整齐×1")})
    assert swapped.overall.entries == Tally(right=0, written=2, true=2)


def test_a_group_that_is_not_written_counts_as_wrong() -> None:
    other = KEY._replace(label="fail")  # the same id with the other label is another group
    result = compare({KEY: photos("电线/捆扎整齐×2", "无关图片×1")}, {other: photos("电线/捆扎整齐×2", "无关图片×1")})
    assert (result.overall.unwritten, result.overall.identical_share) == (1, 0.0)
    assert result.overall.entries == Tally(right=0, written=0, true=3)
    assert result.not_in_truth == (other,)


def test_photos_missing_on_one_side_count_as_wrong() -> None:
    line = "无关图片×1"
    missing = compare({KEY: photos(line, line, line)}, {KEY: photos(line)}).overall
    extra = compare({KEY: photos(line)}, {KEY: photos(line, line, line)}).overall
    assert (missing.photos, missing.identical, missing.entries) == (3, 1, Tally(right=1, written=1, true=3))
    assert (extra.photos, extra.identical, extra.entries) == (3, 1, Tally(right=1, written=3, true=1))


def test_figures_per_category_and_mission_add_up() -> None:
    other = KEY._replace(mission="BBU线缆布放")
    result = compare(
        {KEY: photos("电线/捆扎整齐×2，标签/甲×1"), other: photos("光纤/有保护措施,弯曲半径合理/铠装×1")},
        {KEY: photos("电线/捆扎整齐×2，标签/乙×1，螺母×1")},
    )
    assert result.overall.categories == {
        "电线": Tally(2, 2, 2),
        "标签": Tally(0, 1, 1),
        "其他": Tally(0, 1, 0),
        "光纤": Tally(0, 0, 1),
    }
    assert {name: part.entries for name, part in result.missions.items()} == {
        KEY.mission: Tally(2, 4, 3),
        other.mission: Tally(0, 0, 1),
    }
    assert result.overall.entries == Tally(2, 4, 4)


def test_unknown_words_and_odd_counts_are_counted() -> None:
    line = "螺母/松动×1，标签/无法识别×17953，电线/捆扎整齐×1，BBU设备"
    part = compare({KEY: photos("无关图片×1")}, {KEY: photos(line)}).overall
    assert (part.unknown, part.odd_counts) == (2, 2)


def test_files_are_read_and_compared(tmp_path: Path) -> None:
    truth = jsonl(tmp_path / "truth.jsonl", truth_line("电线/捆扎整齐×2"), truth_line("无关图片×1", group="QC-2"))
    written = [
        jsonl(tmp_path / "a.jsonl", written_line("电线/捆扎整齐×2")),
        jsonl(tmp_path / "b.jsonl", written_line("无关图片×1", group="QC-9")),
    ]
    result = score(truth, written, KNOWN)
    overall = result.to_dict()["overall"]
    assert (overall["groups"], overall["groups_not_written"], overall["identical_share"]) == (2, 1, 0.5)
    assert overall["categories"]["电线"] == {"precision": 1, "recall": 1, "f1": 1, "right": 2, "written": 2, "true": 2}
    assert overall["categories"]["无关图片"]["precision"] is None
    assert result.warnings == ["group QC-9 (BBU接地线检查, pass) is left out: it is not in the truth"]
    assert json.loads(json.dumps(result.to_dict())) == result.to_dict()


def test_a_limit_to_some_missions_applies_to_both_sides(tmp_path: Path) -> None:
    lines = {"group": "QC-2", "mission": "挡风板安装检查"}
    truth = jsonl(tmp_path / "truth.jsonl", truth_line("无关图片×1"), truth_line("无关图片×1", **lines))
    written = jsonl(tmp_path / "a.jsonl", written_line("无关图片×1"), written_line("电线/捆扎整齐×1", **lines))
    result = score(truth, [written], KNOWN, {"BBU接地线检查"})
    assert (list(result.missions), result.overall.identical_share) == (["BBU接地线检查"], 1.0)
    assert result.not_in_truth == ()


@pytest.mark.parametrize("missions", [None, {"挡风板安装检查"}])
def test_a_truth_without_groups_is_an_error(tmp_path: Path, missions: set[str] | None) -> None:
    records = [truth_line("无关图片×1")] if missions else []
    with pytest.raises(InputError, match=r"truth\.jsonl: no group"):
        score(jsonl(tmp_path / "truth.jsonl", *records), [], KNOWN, missions)


@pytest.mark.parametrize(
    "damage",
    [{"label": None}, {"extra": 1}, {"per_image": {}}, {"per_image": {"图片_2": "无关图片×1"}}, {"mission": ""}],
)
def test_a_damaged_truth_is_named_with_its_line(tmp_path: Path, damage: dict[str, Any]) -> None:
    truth = jsonl(
        tmp_path / "truth.jsonl", truth_line("无关图片×1"), {**truth_line("无关图片×1", group="QC-2"), **damage}
    )
    with pytest.raises(DamagedFileError, match=r"truth\.jsonl:2: "):
        score(truth, [], KNOWN)


def test_a_group_in_two_files_is_an_error_that_names_both(tmp_path: Path) -> None:
    truth = jsonl(tmp_path / "truth.jsonl", truth_line("无关图片×1"))
    files = [jsonl(tmp_path / name, written_line("无关图片×1")) for name in ("a.jsonl", "b.jsonl")]
    with pytest.raises(DamagedFileError, match=r"b\.jsonl:1: group QC-1 .* is already at .*a\.jsonl:1"):
        score(truth, files, KNOWN)


def test_a_file_given_by_two_names_is_read_once(tmp_path: Path) -> None:
    truth = jsonl(tmp_path / "truth.jsonl", truth_line("无关图片×1"))
    file = jsonl(tmp_path / "a.jsonl", written_line("无关图片×1"))
    (tmp_path / "b.jsonl").symlink_to(file)
    assert score(truth, [file, tmp_path / "b.jsonl", file], KNOWN).overall.identical_share == 1.0


def test_warnings_name_at_most_five_groups_that_the_truth_lacks(tmp_path: Path) -> None:
    truth = jsonl(tmp_path / "truth.jsonl", truth_line("无关图片×1"))
    written = jsonl(tmp_path / "a.jsonl", *(written_line("无关图片×1", group=f"QC-{n}") for n in range(1, 22)))
    warnings = score(truth, [written], KNOWN).warnings
    assert len(warnings) == 6
    assert warnings[0] == "group QC-2 (BBU接地线检查, pass) is left out: it is not in the truth"
    assert warnings[-1].startswith("15 more groups are left out")


def test_an_alias_of_a_mission_is_the_same_mission(tmp_path: Path) -> None:
    truth = jsonl(tmp_path / "truth.jsonl", truth_line("无关图片×1", mission="BBU线缆布放要求"))
    written = jsonl(tmp_path / "a.jsonl", written_line("无关图片×1", mission="BBU线缆布放"))
    result = score(truth, [written], KNOWN)
    assert (list(result.missions), result.overall.identical_share) == (["BBU线缆布放"], 1.0)
    ran = CliRunner().invoke(
        main, ["score", "--truth", str(truth), "--stage-a", str(written), "--mission", "BBU线缆布放要求"]
    )
    assert (ran.exit_code, "100.0%" in ran.stdout) == (0, True)


NAMES = ["[red]自己的", "[/]", "[/red]", "门禁 [bold", ":smile:", "[link=x]门禁[/link]", "\\[red]"]


def test_mission_names_that_look_like_markup_are_shown_unchanged(tmp_path: Path) -> None:
    truth = jsonl(tmp_path / "truth.jsonl", *(truth_line("无关图片×1", mission=name) for name in NAMES))
    written = jsonl(
        tmp_path / "a.jsonl", *(written_line("无关图片×1", mission=name) for name in NAMES),
        written_line("无关图片×1", mission="[/]", group="QC-2"),
    )  # fmt: skip
    ran = CliRunner().invoke(main, ["score", "--truth", str(truth), "--stage-a", str(written)])
    assert (ran.exit_code, ran.exception) == (0, None)
    assert ran.stderr == "warning: group QC-2 ([/], pass) is left out: it is not in the truth\n"
    figures = ["1", "0", "1", *["100.0%"] * 4, "0", "0"]
    _, *rows = [row.split() for row in ran.stdout.splitlines()][: len(NAMES) + 1]
    assert sorted(rows) == sorted([*name.split(), *figures] for name in NAMES)
