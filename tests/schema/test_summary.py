"""The grammar of summary lines keeps every character, unifies spellings and names what is impossible."""

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yanshou.schema.summary import TIGHT_BEND, VOCABULARY, Entry, Summary, parse, problems

FIELD_LINES = [
    "BBU设备/华为,显示完整,机柜空间充足需要安装/这个BBU设备按要求配备了挡风板×1，螺丝、光纤插头/BBU端光纤插头,符合要求×2",
    "光纤/有保护措施,弯曲半径合理/铠装×3，标签/5G-BBU-(-48V)×1，标签/无法识别×1",
    "BBU设备/需复核备注:无法判断品牌,形状特殊,无法框全×1，电线/捆扎整齐×10",
    "无关图片×1",
    "标签无法×1，标签无法识别×10151",
    "标签/5G-BBU-传输光纤(10×1)×1",
    "挡风板/华为,显示完整,安装方向正确✅ ×1；螺丝、光纤插头/BBU安装螺丝,符合要求×2",
]

# Text made of the grammar's own pieces finds more than random characters do.
WORDS = [
    *VOCABULARY,
    "螺丝",
    "标签无法识别",
    "需复核",
    "备注",
    TIGHT_BEND,
    "弯曲半径不合理",
    "华为",
    "符合要求",
    "螺母",
]
MARKS = ["，", "/", ",", "×", "×1", "×0", "×007", "×10151", ":", "：", "、", " ", "\n", "备注:", ",备注:", "备注: "]
any_text = st.one_of(st.text(), st.lists(st.sampled_from(WORDS + MARKS)).map("".join))


@st.composite
def known_entries(draw: st.DrawFn) -> Entry:
    category = draw(st.sampled_from(sorted(set(VOCABULARY) - {"标签", "无关图片"})))
    first, *below = VOCABULARY[category]
    levels = [draw(st.lists(st.sampled_from(first), min_size=2, unique=True))]
    levels += [draw(st.lists(st.sampled_from(words), min_size=1, unique=True)) for words in below]
    return Entry(category, tuple(map(tuple, levels)), count=draw(st.integers(1, 100)))


@pytest.mark.parametrize("line", FIELD_LINES)
def test_field_lines_print_as_they_were_read(line: str) -> None:
    assert str(parse(line)) == line


@given(any_text)
def test_any_text_parses_and_keeps_every_character(line: str) -> None:
    printed = str(parse(line))
    assert printed.replace("/", ",") == line.replace("/", ",")  # the older notation's / may become a comma
    assert parse(printed) == parse(line)


@given(any_text)
def test_canonical_form_is_its_own_canonical_form_and_prints(line: str) -> None:
    canonical = parse(line).canonical()
    assert canonical.canonical() == canonical
    assert parse(str(canonical)) == canonical


@given(any_text)
def test_problems_of_any_text_name_their_entry(line: str) -> None:
    entries = parse(line).entries
    names = tuple(f"entry {number} ({entry}): " for number, entry in enumerate(entries, 1))
    assert all(problem.startswith(names) for problem in problems(Summary(entries)))


@given(st.lists(known_entries(), min_size=1).map(tuple))
def test_entries_of_the_vocabulary_print_parse_and_have_no_problems(entries: tuple[Entry, ...]) -> None:
    summary = Summary(entries)
    assert parse(str(summary)) == summary == summary.canonical()
    assert problems(summary) == []


def test_the_parts_of_an_entry() -> None:
    assert parse("光纤/有保护措施,弯曲半径合理/铠装×3，标签/5G/4G,L×1，标签×2") == Summary(
        (
            Entry("光纤", (("有保护措施", "弯曲半径合理"), ("铠装",)), count=3),
            Entry("标签", (("5G/4G,L",),), count=1),
            Entry("标签", count=2),
        )
    )


@pytest.mark.parametrize(
    ("older", "written"),
    [
        ("BBU设备/华为/显示完整/无需安装×1", "BBU设备/华为,显示完整,无需安装×1"),
        (
            "BBU设备/华为/显示完整/机柜空间充足需要安装/这个BBU设备按要求配备了挡风板×1",
            "BBU设备/华为,显示完整,机柜空间充足需要安装/这个BBU设备按要求配备了挡风板×1",
        ),
        ("螺丝/BBU安装螺丝/不符合要求/未拧紧/露铜×2", "螺丝/BBU安装螺丝,不符合要求/未拧紧,露铜×2"),
        (f"光纤/有保护措施/{TIGHT_BEND}/铠装×1", f"光纤/有保护措施,{TIGHT_BEND}/铠装×1"),
        ("电线/捆扎整齐×10", "电线/捆扎整齐×10"),
        ("BBU设备/华为/不知道×1", "BBU设备/华为/不知道×1"),  # a guess would lose what was said
    ],
)
def test_older_notation_is_read_and_the_new_one_written(older: str, written: str) -> None:
    assert str(parse(older)) == written


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        ("螺丝/BBU端光纤插头,符合要求×1", "螺丝、光纤插头/BBU端光纤插头,符合要求×1"),
        ("标签无法识别×3", "标签/无法识别×3"),
        ("光纤/需复核,备注:部分未套蛇形管×3", "光纤/需复核备注:部分未套蛇形管×3"),
        ("BBU设备/需复核备注,备注:无法判断品牌×1", "BBU设备/需复核备注:无法判断品牌×1"),
        ("无关图片×1，备注: 照片模糊", "无关图片×1，备注:照片模糊"),
        ("螺丝/BBU端光纤插头,符合要求,备注:部分遮挡×3", "螺丝、光纤插头/BBU端光纤插头,符合要求,备注:部分遮挡×3"),
        ("光纤/有保护措施,弯曲半径不合理(弯曲半径4cm或者成环)/蛇形管×1", f"光纤/有保护措施,{TIGHT_BEND}/蛇形管×1"),
        ("无关图片×1， 标签/ 无法识别 ×1", "无关图片×1，标签/无法识别×1"),
    ],
)
def test_two_spellings_have_one_canonical_form(spelling: str, canonical: str) -> None:
    assert str(parse(spelling).canonical()) == canonical


@pytest.mark.parametrize(
    ("line", "notes"),
    [
        ("BBU设备/需复核备注:像华为，也像中兴，看不清×1，标签/无法识别×1", ["备注:像华为，也像中兴，看不清", ""]),
        ("无关图片×1，备注: 太暗，请重拍", ["", "备注: 太暗，请重拍"]),
        ("备注: 太暗，螺丝/BBU安装螺丝,不符合要求×1", ["备注: 太暗", ""]),  # never hides an entry
        ("光纤/需复核,备注:高/低,不明×2", [",备注:高/低,不明"]),
    ],
)
def test_a_note_may_contain_commas_and_slashes_and_ends_before_the_next_entry(line: str, notes: list[str]) -> None:
    assert [entry.note for entry in parse(line).entries] == notes


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("螺母/松动×1", "unknown category '螺母'"),
        ("BBU设备/诺基亚,显示完整×1", "unknown value '诺基亚' on level 1"),
        ("BBU设备/华为/未拧紧×1", "unknown value '未拧紧' on level 2"),
        ("BBU设备×1", "no values"),
        ("电线/捆扎整齐", "×N is missing"),
        ("电线/捆扎整齐×0", "count 0"),
        ("电线/捆扎整齐×101", "count 101"),
        ("标签/无法识别×17953", "count 17953"),
        ("无关图片×1，，无关图片×1", "entry 2 (): empty"),
        ("电线/捆扎整齐×" + "9" * 5000, "×N is missing"),  # more digits than int() takes
    ],
)
def test_impossible_entries_are_named(line: str, said: str) -> None:
    assert said in "\n".join(problems(parse(line)))


def test_usual_lines_have_no_problems() -> None:
    lines = [
        *FIELD_LINES[:4],
        "标签/什么都可以(读到的)×1",
        "BBU设备/需复核备注:看不清×1，备注: 太暗",
        "螺丝/BBU安装螺丝,符合要求×1",
    ]
    assert [problems(parse(line)) for line in lines] == [[]] * len(lines)


def test_long_runs_of_spaces_take_no_longer_than_other_text() -> None:
    begin = time.monotonic()
    for line in (
        " " * 200_000 + "电线/捆扎整齐×1",
        "电线/捆扎整齐" + " " * 200_000 + "×1",
        "标签/甲" + "\u3000" * 200_000 + "乙×1",
    ):
        assert str(parse(line).canonical()).startswith(("电线/捆扎整齐×1", "标签/甲\u3000"))
    assert time.monotonic() - begin < 30  # the square of the length took minutes


def test_grammar_rules_and_missions_load_without_a_tensor_library() -> None:
    modules = "yanshou.schema.summary, yanshou.missions.rules, yanshou.missions"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
