"""Guarantees of `yanshou.stage_b.shortcut`: the feature that picks the labels is named, and chance is not."""

from collections.abc import Sequence
from random import Random

import pytest
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from yanshou.missions import load_missions
from yanshou.schema.records import Label
from yanshou.stage_b.features import group_features
from yanshou.stage_b.shortcut import find_shortcut, lower_limit
from yanshou.world.jobs import random_job

MISSIONS = list(load_missions())
DOUBT = "BBU设备/需复核备注:部分遮挡×1"
Group = tuple[Label, list[str]]


def flipped_world(seed: int, mission: int, groups: int = 500) -> list[Group]:
    """Drawn jobs of one mission; a tenth of the labels is wrong."""
    rng = Random(f"shortcut:{seed}")
    jobs = [random_job(rng, MISSIONS[mission]) for _ in range(groups)]
    return [(job.label if rng.random() < 0.9 else other(job.label), job.lines()) for job in jobs]


def other(label: Label) -> Label:
    return "fail" if label == "pass" else "pass"


def planted(groups: Sequence[Group], rng: Random) -> list[Group]:
    """The groups with 需复核 in 95 % of the passed and 5 % of the failed."""
    return [
        (label, [*lines, DOUBT] if rng.random() < (0.95 if label == "pass" else 0.05) else lines)
        for label, lines in groups
    ]


@pytest.mark.parametrize("mission", range(4))
def test_a_planted_shortcut_is_named_and_without_one_nothing_is_suspicious(mission: int) -> None:
    world = flipped_world(mission, mission)
    plain, with_it = find_shortcut(world, MISSIONS[mission].rule), find_shortcut(
        planted(world, Random(mission)), MISSIONS[mission].rule
    )  # fmt: skip
    assert plain
    assert not plain.suspicious
    assert with_it
    assert with_it.suspicious
    assert with_it.feature in ("需复核", "BBU设备/需复核")
    assert with_it.more_in == "pass"
    assert "the groups were perhaps picked by it" in with_it.warning("甲")


def test_the_auc_is_that_of_scikit_learn() -> None:
    world = flipped_world(1, 0, groups=200)
    found = find_shortcut(world)
    assert found
    values = [group_features(lines).get(found.feature, 0.0) for _, lines in world]
    auc = roc_auc_score([label == found.more_in for label, _ in world], values)
    assert found.auc == pytest.approx(auc)


def test_a_number_is_told_by_its_medians() -> None:
    groups: list[Group] = [("pass", ["无关图片×1"] * n) for n in (3, 4, 5)] + [
        ("fail", ["无关图片×1"] * n) for n in (1, 2, 3)
    ]
    found = find_shortcut(groups)
    assert found
    assert found.feature == "number of photos"  # the characters have the same AUC
    assert found.auc == pytest.approx(mannwhitneyu([3, 4, 5], [1, 2, 3]).statistic / 9)
    assert found.direction == "median 4 in the passed groups, 2 in the failed"


def test_a_value_of_the_rule_tells_the_label_for_a_reason() -> None:
    rule = MISSIONS[1].rule  # 接地线
    good = [*(["螺丝、光纤插头/机柜处接地螺丝,符合要求×1"] * 1), "电线/捆扎整齐×1"]
    groups: list[Group] = [("pass", good)] * 60 + [("fail", ["电线/分布散乱×1", *good[:1]])] * 60
    shown = find_shortcut(groups, rule)
    assert shown
    assert shown.in_rule
    assert shown.auc == 1
    assert not shown.suspicious
    unruled = find_shortcut(groups)
    assert unruled
    assert unruled.suspicious


def test_a_suspicious_feature_comes_before_a_better_one_of_the_rule() -> None:
    rule = MISSIONS[1].rule
    fails = [("fail", ["电线/分布散乱×1", "BBU设备/华为×1"])] * 58 + [("fail", ["电线/分布散乱×1"])] * 2
    groups: list[Group] = [*[("pass", ["电线/捆扎整齐×1", "标签/甲×1"])] * 60, *fails]
    found = find_shortcut(groups, rule)
    assert found
    assert found.suspicious
    assert found.feature == "标签"


def test_few_groups_are_no_ground_for_a_warning() -> None:
    """Labels drawn by chance, 400 times: an AUC above 0.85 is common among few groups, and never suspicious."""
    rng, high = Random(0), 0
    for _ in range(400):
        passes = rng.randint(4, 20)
        labels: list[Label] = ["pass"] * passes + ["fail"] * rng.randint(4, 10)
        words = "甲乙丙丁戊己庚辛壬癸"
        groups = [(label, [f"{word}×1" for word in words if rng.random() < 0.5] or ["无关图片×1"]) for label in labels]
        found = find_shortcut(groups)
        assert found
        assert not found.suspicious
        high += found.auc > 0.85
    assert high > 20


def test_the_lower_limit_is_chernoffs() -> None:
    assert lower_limit(1.0, 30, 5) == pytest.approx((0.01 / 5) ** (1 / 30))  # perfect: the limit's power of the pairs
    assert lower_limit(1.0, 3, 5) == 0.5
    assert lower_limit(0.5, 1000, 5) == 0.5
    assert 0.85 < lower_limit(0.9, 2000, 50) < 0.9


def test_one_label_alone_or_groups_without_differences_have_no_shortcut() -> None:
    assert find_shortcut([("pass", ["电线/捆扎整齐×1"])] * 9) is None
    assert find_shortcut([("pass", ["电线/捆扎整齐×1"]), ("fail", ["电线/捆扎整齐×1"])]) is None
