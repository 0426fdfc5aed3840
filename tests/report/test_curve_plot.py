"""The drawing of a curve: limits at their places, and labels that lie on no line."""

import random
from itertools import combinations, pairwise

import pytest
from support.judged_groups import judged_group

from yanshou.report.curve import Curve
from yanshou.report.curve_plot import AREA, CurvePlot, Limits
from yanshou.report.label_places import crosses
from yanshou.report.translations import TRANSLATIONS

DRAWN = [(seed, lang) for seed in range(12) for lang in ("zh", "en")]


def drawn(seed: int, lang: str, limits: Limits) -> CurvePlot:
    """A judge of some quality, with a threshold and the two thresholds of a policy."""
    draw = random.Random(seed)
    shift = draw.choice([0, 0.1, 0.3, 0.6])
    groups = [
        judged_group(str(n), label, p=round(min(1, max(0, draw.gauss(0.5 + shift * (label == "pass"), 0.2))), 3))
        for n, label in enumerate(draw.choices(["pass", "fail"], [3, 1], k=150))
    ]
    policy = {"release_at": round(draw.uniform(0.6, 1), 2), "block_at": round(draw.uniform(0, 0.5), 2)}
    curve = Curve.of(groups, None if seed % 3 else 0.5, policy)
    assert curve is not None
    return CurvePlot.of(curve, limits, TRANSLATIONS[lang])


@pytest.mark.parametrize(("seed", "lang"), DRAWN)
def test_no_label_lies_on_a_line_a_mark_or_another_label(seed: int, lang: str) -> None:
    plot = drawn(seed, lang, Limits(release=0.05, block=0.1))
    boxes = [named.place.box(named.text) for named in (*plot.limits, *plot.marks)]
    lines = [plot.curve.line, *(named.line for named in plot.limits)]
    assert len(boxes) == 5
    assert all(box.inside(AREA) for box in boxes)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert not any(crosses(box, *ends) for box in boxes for line in lines for ends in pairwise(line))


def test_the_lines_of_the_limits_are_at_their_shares_on_the_axes() -> None:
    release, block = drawn(1, "en", Limits(release=0.25, block=0.04)).limits
    middle = (AREA.top + AREA.bottom) / 2  # √0.25 = ½
    assert release.line == ((AREA.left, middle), (AREA.right, middle))
    fifth = AREA.left + (AREA.right - AREA.left) / 5  # √0.04 = 1/5
    assert block.line == ((fifth, AREA.top), (fifth, AREA.bottom))
    assert (release.text, block.text) == ("limit 25%", "limit 4%")


def test_the_script_gets_counts_and_where_to_start() -> None:
    scored = [("pass", 0.9), ("pass", 0.6), ("fail", 0.5), ("pass", 0.4), ("fail", 0.2)]
    groups = [
        judged_group(str(n), label, p=p, verdict="pass" if p > 0.55 else "fail") for n, (label, p) in enumerate(scored)
    ]
    curve = Curve.of(groups, 0.55)
    assert curve is not None
    data = CurvePlot.of(curve, Limits(release=0.05), TRANSLATIONS["en"]).to_script()
    assert (data["passes"], data["fails"], data["limits"]) == (3, 2, (0.05, None))
    counted = [(block, release, p) for _, _, block, release, p in data["points"]]
    assert counted == [(3, 0, None), (1, 0, 0.55), (1, 1, 0.5), (0, 1, 0.4), (0, 2, 0.2)]
    assert curve.start == 1


def test_verdicts_as_written_start_at_the_nearest_point_of_the_curve() -> None:
    """The judge released the pass of 0.3 and blocked the fail of 0.8: no threshold does that."""
    scored = [("pass", "pass", 0.9), ("fail", "fail", 0.8), ("pass", "pass", 0.3)]
    groups = [judged_group(str(n), label, p=p, verdict=says) for n, (label, says, p) in enumerate(scored)]
    curve = Curve.of(groups, None)
    assert curve is not None
    assert [(point.false_block.count, point.false_release.count) for point in curve.points] == [
        (2, 0), (1, 0), (1, 1), (0, 1),
    ]  # fmt: skip
    assert (curve.marks[0].point.false_block.count, curve.marks[0].point.false_release.count) == (0, 0)
    assert curve.start == 1  # half of the passes blocked is √½ of the axis away; every other point is farther
