"""True lines of scenes: within the vocabulary, in one order, and complete."""

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from yanshou.schema.summary import parse, problems
from yanshou.world.scene import (
    MAX_OF_KIND,
    MAX_SMALL,
    MAX_WIDE,
    SCREWS,
    Device,
    Fastener,
    Fibre,
    Item,
    Scene,
    Shield,
    Tag,
    Wide,
    Wires,
    limit_items,
    random_item,
    random_scene,
)

SCENES = st.randoms(use_true_random=False).map(random_scene)
ITEMS = st.randoms(use_true_random=False).map(random_item)


def test_a_scene_has_the_line_that_a_careful_person_would_write() -> None:
    scene = Scene((
        Wires(2, tied=True),
        Fastener("机柜处接地螺丝", "露铜"),
        Device("华为", whole=False, need="装反"),
        Fastener("机柜处接地螺丝", "露铜"),
        Fibre(None, gentle=False),
        Fibre("铠装", gentle=True),
        Shield("中兴", whole=True, upright=True),
        Tag(None),
        Tag("GND"),
    ))  # fmt: skip

    assert scene.line().split("，") == [
        "BBU设备/华为,只显示部分,机柜空间充足需要安装/这个BBU设备未按要求配备挡风板×1",
        "光纤/无保护措施,弯曲半径不合理(弯曲半径<4cm或者成环)×1",
        "光纤/有保护措施,弯曲半径合理/铠装×1",
        "挡风板/中兴,显示完整,安装方向正确×1",
        "挡风板/华为,只显示部分,安装方向错误×1",
        "标签/GND×1",
        "标签/无法识别×1",
        "电线/捆扎整齐×2",
        "螺丝、光纤插头/机柜处接地螺丝,不符合要求/露铜×2",
    ]


def test_a_photo_without_items_is_unrelated() -> None:
    assert Scene(blank="floor").line() == "无关图片×1"


@given(SCENES)
def test_every_line_uses_the_vocabulary_only(scene: Scene) -> None:
    assert problems(parse(scene.line())) == []


@given(SCENES)
def test_every_line_is_in_its_canonical_spelling(scene: Scene) -> None:
    assert str(parse(scene.line()).canonical()) == scene.line()


@given(SCENES, st.randoms(use_true_random=False))
def test_the_line_does_not_depend_on_the_order_of_the_items(scene: Scene, rng: Random) -> None:
    shuffled = Scene(tuple(rng.sample(scene.items, len(scene.items))), scene.blank)

    assert shuffled.line() == scene.line()


@given(SCENES)
def test_every_item_is_counted(scene: Scene) -> None:
    counted = sum(entry.count or 0 for entry in parse(scene.line()).entries)
    shown = sum(len(list(item.entries())) for item in scene.items)

    assert counted == (shown or 1)


@given(st.lists(ITEMS, max_size=30))
def test_items_beyond_the_limits_are_dropped_and_the_others_keep_their_order(items: list[Item]) -> None:
    kept = limit_items(items)

    rest = iter(items)
    assert all(any(item is candidate for candidate in rest) for item in kept)
    kinds = Counter(map(type, kept))
    assert all(kinds[kind] <= limit for kind, limit in MAX_OF_KIND.items())
    assert sum(isinstance(item, Wide) for item in kept) <= MAX_WIDE
    assert sum(not isinstance(item, Wide) for item in kept) <= MAX_SMALL


def test_every_fault_of_the_vocabulary_can_be_shown() -> None:
    assert {fault for faults in SCREWS.values() for fault in faults} == {"未拧紧", "露铜", "复接", "生锈"}
