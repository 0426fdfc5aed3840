"""Guarantees of `yanshou.stage_b.card`: figures, contradictions and warnings."""

from collections.abc import Sequence
from pathlib import Path

from yanshou.missions import load_missions
from yanshou.schema.prompt import Prompt
from yanshou.schema.records import Label
from yanshou.settings import DatasetSettings
from yanshou.stage_b.card import Card, DataFile, LeftOut, build_card
from yanshou.stage_b.contradictions import Contradiction, find_contradictions
from yanshou.stage_b.dataset_figures import Tokens
from yanshou.stage_b.examples import Example
from yanshou.stage_b.sides import Sides
from yanshou.storage.line_place import LinePlace


def example(
    *summaries: str, group: str = "QC-1", label: Label = "pass", mission: str = "甲", tokens: int = 9
) -> Example:
    texts = summaries or ("无关图片×1",)
    images = tuple(map(str, range(len(texts))))
    return Example(mission, label, group, texts, images, Prompt("", ""), "", LinePlace(Path("a.jsonl"), 1), tokens)


def card_of(train: Sequence[Example], val: Sequence[Example], left_out: Sequence[LeftOut] = ()) -> Card:
    settings = DatasetSettings(stage_a=("a.jsonl",), output_dir="out")
    files = {
        name: DataFile(groups=len(side), rows=len(side), sha256="0")
        for name, side in (("train.jsonl", train), ("val.jsonl", val))
    }
    return build_card(settings, Sides(train, val), files, left_out)


def test_the_figures_of_a_mission_and_of_all() -> None:
    train = [
        example("电线/捆扎整齐×2，钥匙/红色×1", "无关图片×1", label="pass", tokens=10),
        example("电线/分布散乱×1", group="QC-2", label="fail", tokens=30),
        example("无关图片×1", group="QC-3", label="fail", mission="乙", tokens=20),
    ]
    val = [example("电线/分布散乱×3", group="QC-4", label="fail", tokens=40)]
    card = card_of(train, val)
    figures = card.missions["甲"]
    assert (figures.groups, figures.photos) == (3, 4)
    assert (figures.train, figures.val) == ({"pass": 1, "fail": 1}, {"pass": 0, "fail": 1})
    assert (figures.irrelevant_photos, figures.irrelevant_share) == (1, 0.25)
    assert (figures.entries, figures.unknown_entries, figures.unknown_share) == (5, 1, 0.2)
    assert figures.prompt_tokens == Tokens(median=30, p95=40, maximum=40)
    assert (card.overall.groups, card.overall.photos, card.overall.prompt_tokens.median) == (4, 5, 20)


def test_a_photo_is_irrelevant_where_its_only_entry_says_so() -> None:
    card = card_of(
        [example("无关图片×1", "无关图片×1，电线/捆扎整齐×1", " 无关图片", "标签/无关图片×1")], [example(group="QC-2")]
    )
    assert card.overall.irrelevant_photos == 3


def test_contradictions_have_the_same_summaries_in_any_order_within_a_mission() -> None:
    train = [
        example("A", "B", group="QC-1", label="pass"),
        example("B", "A", group="QC-2", label="fail"),
        example("A", "B", group="QC-3", label="fail"),
        example("A", "B", group="QC-4", label="pass", mission="乙"),
        example("A", "B", "B", group="QC-5", label="pass"),
    ]
    assert find_contradictions(train) == [
        Contradiction(mission="甲", summaries=["A", "B"], passed=["QC-1"], failed=["QC-2", "QC-3"])
    ]


def test_best_accuracy_counts_the_rarer_label_of_each_contradiction_as_wrong() -> None:
    train = [example("A", group=f"QC-{i}", label="pass" if i < 3 else "fail") for i in range(8)]
    card = card_of(train, [example("B", group="QC-8"), example("A", group="QC-9", label="fail", mission="乙")])
    assert card.missions["甲"].best_accuracy == 1 - 3 / 9
    assert (card.missions["甲"].contradictions, card.missions["甲"].contradicting_groups) == (1, 8)
    assert (card.missions["乙"].contradictions, card.missions["乙"].best_accuracy) == (0, 1.0)
    assert card.overall.best_accuracy == 1 - 3 / 10


def test_contradictions_between_train_and_val_count() -> None:
    assert card_of([example(label="pass")], [example(group="QC-2", label="fail")]).overall.best_accuracy == 0.5


def test_a_mission_with_one_label_is_a_warning() -> None:
    card = card_of([example(label="pass")], [example(group="QC-2", label="pass")])
    assert card.warnings == ["甲: all 2 groups have the label pass: nothing can be learned or measured from one label"]


def test_a_label_missing_in_train_or_val_is_a_warning() -> None:
    train = [example(label="pass"), example(group="QC-2", label="fail")]
    card = card_of(train, [example(group="QC-3", label="pass")])
    assert card.warnings == ["甲: no group with the label fail in val; the mission has too few (1)"]


def test_groups_left_out_are_a_warning_that_names_the_first() -> None:
    left = LeftOut(group_id="QC-9", mission="甲", label="pass", reason="its prompt has 900 tokens, more than 800")
    train = [example(label="pass"), example(group="QC-2", label="fail")]
    val = [example(group="QC-3", label="pass"), example(group="QC-4", label="fail")]
    assert card_of(train, val, [left]).warnings == [
        "1 groups are left out; left_out in the card lists them. The first: "
        "group QC-9 (甲, pass): its prompt has 900 tokens, more than 800"
    ]


def test_labels_that_the_missions_rule_contradicts_are_counted() -> None:
    name, shown = "挡风板安装检查", "BBU设备/华为,显示完整,无需安装×1"
    train = [example(shown, mission=name), example(shown, mission=name, group="QC-2", label="fail")]
    val = [example("无关图片×1", mission=name, group="QC-3")]
    settings = DatasetSettings(stage_a=("a.jsonl",), output_dir="out")
    card = build_card(settings, Sides(train, val), {}, (), missions=load_missions())
    for figures in (card.missions[name], card.overall):
        assert (figures.against_rule, figures.against_rule_share) == (2, 2 / 3)
    assert card_of(train, val).overall.against_rule is None
