"""A mission's rule decides as its text says; missing and doubtful evidence never passes."""

from typing import Any

import pytest
from pydantic import ValidationError

from yanshou.missions import load_missions
from yanshou.missions.rules import Decision, Pattern, Rule, decide
from yanshou.schema.summary import parse

INSTALLATION, GROUNDING, CABLING, SHIELD = "BBU安装方式检查（正装）", "BBU接地线检查", "BBU线缆布放", "挡风板安装检查"

DEVICE = "BBU设备/华为,显示完整,无需安装×1"
SCREW = "螺丝、光纤插头/BBU安装螺丝,符合要求×2"
CABINET, BAR = "螺丝、光纤插头/机柜处接地螺丝,符合要求×1", "螺丝、光纤插头/地排处接地螺丝,符合要求×1"
WIRES = "电线/捆扎整齐×10"
BBU_PLUG, ODF_PLUG = "螺丝、光纤插头/BBU端光纤插头,符合要求×2", "螺丝、光纤插头/ODF端光纤插头,符合要求×1"
FIBRE = "光纤/有保护措施,弯曲半径合理/蛇形管×3"
WANTS = "BBU设备/华为,只显示部分,机柜空间充足需要安装"
BARE = "这个BBU设备未按要求配备挡风板"


def verdict(mission: str, *lines: str) -> bool:
    return decide(load_missions().get(mission).rule, map(parse, lines)).passed


def rule(**fields: Any) -> Rule:
    return Rule.model_validate({"text": "须有电线", "require": [["电线"]], **fields})


@pytest.mark.parametrize(
    ("mission", "lines"),
    [
        (INSTALLATION, [DEVICE, SCREW]),
        (INSTALLATION, [f"{DEVICE}，{SCREW}", "无关图片×1"]),
        (INSTALLATION, ["BBU设备/华为/只显示部分/无需安装×1", "螺丝/BBU安装螺丝/符合要求×1"]),
        (GROUNDING, [CABINET, BAR, WIRES]),
        (
            GROUNDING,
            [f"{CABINET}，螺丝、光纤插头/BBU安装螺丝,不符合要求/未拧紧×1", f"{BAR}，{WIRES}"],
        ),  # another's fault
        (CABLING, [BBU_PLUG, ODF_PLUG, FIBRE]),
        (CABLING, [BBU_PLUG, ODF_PLUG, "光纤/有保护措施×1", "光纤/弯曲半径合理×1"]),
        (SHIELD, [DEVICE]),
        (SHIELD, [f"{WANTS}/这个BBU设备按要求配备了挡风板×1"]),
        (SHIELD, [f"{WANTS}/{BARE}×1", "挡风板/华为,只显示部分,安装方向正确×1"]),
    ],
)
def test_full_evidence_passes(mission: str, lines: list[str]) -> None:
    assert verdict(mission, *lines)


@pytest.mark.parametrize(
    ("mission", "lines"),
    [
        (INSTALLATION, [DEVICE, SCREW]),
        (GROUNDING, [CABINET, BAR, WIRES]),
        (CABLING, [BBU_PLUG, ODF_PLUG, FIBRE]),
        (SHIELD, [DEVICE]),
    ],
)
def test_each_missing_piece_of_evidence_fails(mission: str, lines: list[str]) -> None:
    for left_out in range(len(lines)):
        assert not verdict(mission, *lines[:left_out], "无关图片×1", *lines[left_out + 1 :])


@pytest.mark.parametrize(
    ("mission", "lines", "fault"),
    [
        (INSTALLATION, [DEVICE, SCREW], "螺丝、光纤插头/BBU端光纤插头,不符合要求/未拧紧×1"),
        (INSTALLATION, [DEVICE, SCREW], "螺母/不符合要求×1"),
        (GROUNDING, [CABINET, BAR, WIRES], "螺丝、光纤插头/机柜处接地螺丝,不符合要求/露铜×1"),
        (GROUNDING, [CABINET, BAR, WIRES], "螺丝/地排处接地螺丝/不符合要求/生锈×1"),
        (GROUNDING, [CABINET, BAR, WIRES], "电线/分布散乱×1"),
        (CABLING, [BBU_PLUG, ODF_PLUG, FIBRE], "螺丝、光纤插头/BBU端光纤插头,不符合要求/未拧紧×1"),
        (CABLING, [BBU_PLUG, ODF_PLUG, FIBRE], "螺丝、光纤插头/ODF端光纤插头,不符合要求/未拧紧×1"),
        (CABLING, [BBU_PLUG, ODF_PLUG, FIBRE], "光纤/无保护措施,弯曲半径合理×1"),
        (CABLING, [BBU_PLUG, ODF_PLUG, FIBRE], "光纤/有保护措施,弯曲半径不合理(弯曲半径<4cm或者成环)/铠装×1"),
        (CABLING, [BBU_PLUG, ODF_PLUG, FIBRE], "光纤/有保护措施,弯曲半径不合理(弯曲半径4cm或者成环)/铠装×1"),
        (SHIELD, [DEVICE], f"{WANTS}/{BARE}×1"),
        (SHIELD, [DEVICE], f"{WANTS}×1，挡风板/华为,显示完整,安装方向错误×1"),
    ],
)
def test_one_fault_fails_a_group_that_passes_without_it(mission: str, lines: list[str], fault: str) -> None:
    assert verdict(mission, *lines)
    assert not verdict(mission, *lines, fault)
    assert not verdict(mission, fault, *lines)


@pytest.mark.parametrize("entry", ["电线/捆扎整齐,需复核备注:看不清×1", "电线/需复核×1", "电线/捆扎整齐×0"])
def test_doubtful_and_zero_entries_are_no_evidence(entry: str) -> None:
    required, forbidden = rule(), rule(require=[["无关图片"]], forbid=["电线"])
    assert not decide(required, [parse(entry)]).passed
    assert decide(forbidden, [parse(f"{entry}，无关图片×1")]).passed


def test_a_note_has_no_effect() -> None:
    assert not decide(rule(), [parse("备注: 电线/捆扎整齐")]).passed
    assert verdict(INSTALLATION, DEVICE, f"{SCREW}，备注: 螺丝不符合要求")


def test_no_photos_fail() -> None:
    assert not any(decide(mission.rule, []).passed for mission in load_missions())


def test_the_reason_names_photo_and_entry() -> None:
    installation = load_missions().get(INSTALLATION).rule
    assert decide(installation, [parse("无关图片×1"), parse(f"{DEVICE}，{SCREW}")]) == Decision(
        True, "有图片_2 BBU设备/华为,显示完整,无需安装×1；有图片_2 螺丝、光纤插头/BBU安装螺丝,符合要求×2"
    )
    assert decide(installation, [parse("螺丝/BBU安装螺丝,不符合要求/生锈×1")]) == Decision(
        False,
        "图片_1 螺丝、光纤插头/BBU安装螺丝,不符合要求/生锈×1，属于不允许的*/不符合要求；"
        "没有看到BBU设备；没有看到螺丝、光纤插头/BBU安装螺丝,符合要求",
    )
    assert decide(load_missions().get(SHIELD).rule, [parse(f"{WANTS}×1")]) == Decision(
        False,
        f"有图片_1 {WANTS}×1，但没有看到BBU设备/这个BBU设备按要求配备了挡风板 或 挡风板/安装方向正确",
    )


def test_a_pattern_finds_its_values_on_any_level_and_in_any_spelling() -> None:
    entry = parse("螺丝/BBU安装螺丝,不符合要求/生锈×1").canonical().entries[0]
    matching = ["螺丝", "螺丝、光纤插头/生锈", "*/生锈,BBU安装螺丝", "螺丝/BBU安装螺丝/不符合要求"]
    other = ["电线", "*/符合要求", "螺丝/BBU安装螺丝,露铜"]
    assert [Pattern.parse(text).matches(entry) for text in matching + other] == [True] * 4 + [False] * 3


@pytest.mark.parametrize(
    "text", ["", "*", "/符合要求", "电线/", "电线×1", "电线，光纤", "电线/需复核", "备注:电线", "电线/备注:a"]
)
def test_a_malformed_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a pattern"):
        Pattern.parse(text)


@pytest.mark.parametrize(
    "fields", [{"require": []}, {"require": [[]]}, {"text": ""}, {"text": "审核通过"}, {"wehn": []}]
)
def test_a_rule_without_requirements_or_with_a_label_folder_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rule(**fields)


def test_a_rule_can_be_dumped_and_read_again() -> None:
    for mission in load_missions():
        assert Rule.model_validate(mission.rule.model_dump(by_alias=True)) == mission.rule


def test_too_few_photos_fail_a_group_whatever_they_show() -> None:
    three = rule(min_photos=3)
    shown = [parse("电线/捆扎整齐×1"), parse("无关图片×1")]
    assert decide(three, shown) == Decision(False, "照片只有2张，少于要求的3张")
    assert decide(three, [parse("无关图片×1")]).reason == "照片只有1张，少于要求的3张；没有看到电线"
    assert decide(three, [*shown, parse("无关图片×1")]) == Decision(True, "有图片_1 电线/捆扎整齐×1")
    assert decide(rule(), shown).passed


@pytest.mark.parametrize("wrong", [0, -1, 101, 10**30, True, 3.0, "3"])
def test_a_number_of_photos_that_no_group_can_have_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        rule(min_photos=wrong)


def test_the_prompt_says_the_number_of_photos_and_a_run_file_has_it_where_the_mission_has() -> None:
    assert rule(text="须有电线。", min_photos=3).condition == "须有电线；照片少于3张即不通过。"
    assert rule().condition == "须有电线"
    assert rule(min_photos=3).to_dict()["min_photos"] == 3
    for mission in load_missions():
        assert mission.rule.condition == mission.rule.text
        assert "min_photos" not in mission.rule.to_dict()
