"""What the page shows of a group: its own spelling, with the words that matter for the rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.lines import CABLES, GROUNDING, SCREWS, SHIELD

from yanshou.missions import Rule, load_missions
from yanshou.missions.rules import decide
from yanshou.review.web.screen import all_patterns, entries
from yanshou.schema.summary import TIGHT_BEND, VOCABULARY, parse, pieces

MISSIONS = load_missions()


def own_pieces(line: str) -> list[str]:
    return list(pieces(line)) if line else []


def marked(mission: str, line: str) -> list[list[str]]:
    """The words that matter, by entry."""
    found = entries(line, all_patterns(MISSIONS.get(mission).rule))
    assert ["".join(text for text, _ in entry) for entry in found] == own_pieces(line)
    return [[text for text, matters in entry if matters] for entry in found]


@pytest.mark.parametrize(
    ("mission", "line", "words"),
    [
        (SCREWS, "BBU设备/华为,显示完整×1", [["BBU设备"]]),
        (SCREWS, "螺丝、光纤插头/BBU安装螺丝,符合要求×2", [["BBU安装螺丝", "符合要求"]]),
        (SCREWS, "螺丝/ODF端光纤插头,不符合要求/露铜×2", [["不符合要求"]]),  # forbidden wherever
        (GROUNDING, "螺丝、光纤插头/BBU安装螺丝,符合要求×2，电线/捆扎整齐×10", [[], ["捆扎整齐"]]),
        (GROUNDING, "电线/分布散乱×1，无关图片×1", [["分布散乱"], []]),  # what fails a group is marked alike
        (SHIELD, "BBU设备/华为/显示完整/机柜空间充足需要安装/这个BBU设备按要求配备了挡风板×1",
         [["BBU设备", "机柜空间充足需要安装", "这个BBU设备按要求配备了挡风板"]]),  # the older notation
        (CABLES, "光纤/有保护措施,弯曲半径不合理（弯曲半径小于4cm）/铠装×3",
         [["有保护措施", "弯曲半径不合理（弯曲半径小于4cm）"]]),
        (CABLES, f"光纤 / 有保护措施 , {TIGHT_BEND} × 3", [["有保护措施", TIGHT_BEND]]),
        (CABLES, "螺丝、光纤插头/BBU端光纤插头,ODF端光纤插头,符合要求×1",
         [["BBU端光纤插头", "ODF端光纤插头", "符合要求"]]),
        (SCREWS, "BBU设备/需复核备注:无法判断品牌×1", [[]]),  # no evidence
        (SCREWS, "BBU设备/华为×0，标签无法识别×1，，备注: BBU设备", [[], [], [], []]),
        (SCREWS, "", []),
    ],
)  # fmt: skip
def test_the_words_that_matter(mission: str, line: str, words: list[list[str]]) -> None:
    assert marked(mission, line) == words


def test_a_word_and_a_value_in_one() -> None:
    rule = Rule.model_validate({"text": "标签", "require": [["标签/无法识别"]]})
    assert entries("标签无法识别×2", all_patterns(rule)) == [[("标签无法识别", True), ("×2", False)]]


def test_a_mission_that_is_not_known_marks_nothing() -> None:
    assert entries("BBU设备/华为×1", ()) == [[("BBU设备/华为×1", False)]]


WORDS = [
    *VOCABULARY,
    "螺丝",
    "标签无法识别",
    "需复核",
    "备注",
    *VOCABULARY["BBU设备"][0],
    *VOCABULARY["光纤"][0],
    "符合要求",
]
MARKS = ["，", "/", ",", "×1", "×0", ":", " ", "备注:", ",备注:", "<script>alert(1)</script>", "\n", "\x00", "\u202e"]
LINES = st.one_of(st.text(), st.lists(st.sampled_from(WORDS + MARKS), max_size=20).map("".join))


@given(LINES, st.sampled_from([SCREWS, GROUNDING, CABLES, SHIELD]))
def test_any_text_is_shown_whole(line: str, mission: str) -> None:
    marked(mission, line)


@given(st.lists(st.sampled_from([*WORDS, "，", "/", ",", "×1", "×0"]), max_size=20).map("".join))
def test_an_entry_is_marked_exactly_where_a_pattern_of_the_rule_sees_it(line: str) -> None:
    for mission in MISSIONS:
        for piece, words in zip(own_pieces(line), marked(mission.name, line), strict=True):
            patterns = all_patterns(mission.rule)
            seen = [decide(Rule(text="x", require=((pattern,),)), [parse(piece)]).passed for pattern in patterns]
            assert bool(words) == any(seen), (mission.name, piece)
