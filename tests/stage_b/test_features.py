"""Guarantees of `yanshou.stage_b.features`: the words of the summaries, read as the rules read them, and the counts."""

from yanshou.stage_b.features import group_features

LINES = ["BBU设备/华为,显示完整×1，螺丝、光纤插头/需复核备注:部分遮挡×1", "无关图片×1"]


def test_words_are_present_and_photos_and_characters_are_counted() -> None:
    assert group_features(LINES) == {
        **dict.fromkeys(
            ("BBU设备", "BBU设备/华为", "BBU设备/显示完整", "需复核", "螺丝、光纤插头/需复核", "无关图片"), 1.0
        ),
        "number of photos": 2, "number of characters": sum(map(len, LINES)),
    }  # fmt: skip


def test_spellings_of_one_entry_give_the_same_features() -> None:
    one, other = (
        group_features([line]) for line in ("螺丝、光纤插头/BBU安装螺丝,符合要求×2", "螺丝/BBU安装螺丝/符合要求×2")
    )
    assert one.keys() == other.keys()
    assert "螺丝、光纤插头/符合要求" in one


def test_an_entry_of_none_says_nothing_and_a_note_is_a_flag() -> None:
    assert [*group_features(["电线/捆扎整齐×0"])] == ["number of photos", "number of characters"]
    assert [*group_features(["备注: 无"])] == ["备注", "number of photos", "number of characters"]


def test_an_invented_entry_cannot_pose_as_a_count() -> None:
    assert group_features(["number of photos×9"])["number of photos"] == 1
