"""Entries lost and gained between two lines of one photo."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis.strategies import lists, sampled_from, text

from yanshou.compare.entry_changes import EntryChanges, as_texts, entries_of, entry_key, marked
from yanshou.schema.summary import parse


def lost_and_gained(a: str, b: str) -> tuple[list[str], list[str]]:
    changes = EntryChanges.between(a, b)
    return as_texts(changes.lost), as_texts(changes.gained)


@pytest.mark.parametrize(
    ("a", "b", "lost", "gained"),
    [
        ("电线/捆扎整齐×1", "电线/捆扎整齐×1", [], []),
        ("电线/捆扎整齐×3", "电线/捆扎整齐×1", ["电线/捆扎整齐×2"], []),
        ("电线/捆扎整齐×1", "电线/分布散乱×1", ["电线/捆扎整齐×1"], ["电线/分布散乱×1"]),
        ("无关图片×1", "标签/A×1，标签/B×2", ["无关图片×1"], ["标签/A×1", "标签/B×2"]),
        ("标签/A×1，标签/A×1", "标签/A×2", [], []),
        ("标签/A×1，电线/捆扎整齐×1", "电线/捆扎整齐×1，标签/A×1", [], []),  # the order alone
        ("螺丝/BBU安装螺丝,符合要求×1", "螺丝、光纤插头/BBU安装螺丝,符合要求×1", [], []),  # the spelling alone
        ("BBU设备/华为/显示完整/无需安装×1", "BBU设备/华为,显示完整,无需安装×1", [], []),  # the older notation
        ("标签无法识别×1", "标签/无法识别×1", [], []),
        ("电线/捆扎整齐", "电线/捆扎整齐×1", [], []),  # an entry without ×N counts once
        ("电线/捆扎整齐×0", "无关图片×1", [], ["无关图片×1"]),  # ×0 counts as none
        ("电线/捆扎整齐×1", "电线/捆扎整齐×17953", [], ["电线/捆扎整齐×100"]),  # a repetition loop
        ("电线/捆扎整齐×120", "电线/捆扎整齐×130", [], ["电线/捆扎整齐×10"]),
        ("光纤/需复核备注:遮挡×1", "光纤/需复核备注:模糊×1", ["光纤/需复核备注:遮挡×1"], ["光纤/需复核备注:模糊×1"]),
    ],
)
def test_entries_lost_and_gained(a: str, b: str, lost: list[str], gained: list[str]) -> None:
    assert lost_and_gained(a, b) == (lost, gained)
    assert lost_and_gained(b, a) == (gained, lost)


def test_number_and_categories_are_those_of_both_directions() -> None:
    changes = EntryChanges.between("电线/捆扎整齐×3，机柜/开门×1", "电线/捆扎整齐×1，标签/A×1")
    assert changes.number == 2 + 1 + 1
    assert changes.categories == ["电线", "其他", "标签"]


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("电线/捆扎整齐×1，标签/A×2", [("电线/捆扎整齐×1，", True), ("标签/A×2", False)]),
        ("标签/A×1，备注:遮挡，看不清", [("标签/A×1，", False), ("备注:遮挡，看不清", False)]),
        ("BBU设备/华为/显示完整/无需安装×1", [("BBU设备/华为/显示完整/无需安装×1", True)]),  # kept as it is written
        ("", []),
    ],
)
def test_a_line_is_shown_whole_with_its_changed_entries_marked(line: str, pieces: list[tuple[str, bool]]) -> None:
    changed = EntryChanges.between("电线/捆扎整齐×1", "无关图片×1").lost
    assert marked(line, changed) == pieces
    assert "".join(text for text, _ in marked(line, changed)) == line


ENTRIES = (
    "电线/捆扎整齐×1",
    "螺丝/BBU安装螺丝，×2",
    " 标签 / A ×3",
    "光纤/需复核,备注:遮挡，看不清×1",
    "备注: 远",
    "",
    "×2",
    "机柜",
)


@given(lists(sampled_from(ENTRIES), max_size=6).map("，".join) | text("，,/×1 备注:标签A螺丝"))
def test_entries_are_those_of_the_canonical_line(line: str) -> None:
    """The shorter way, entry by entry, gives what the grammar gives for the whole line."""
    counts: Counter[tuple[str, str]] = Counter()
    for entry in parse(line).canonical().entries:
        counts[entry_key(entry)] += 1 if entry.count is None else entry.count
    assert entries_of(line) == {key: number for key, number in counts.items() if number}
