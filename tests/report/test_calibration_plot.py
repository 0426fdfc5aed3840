"""The reliability plot has a point per bin at its mean and share, an interval, and its number of groups."""

from itertools import combinations, pairwise

import pytest
from support.judged_groups import judged_group

from yanshou.evaluate.calibration import Calibration
from yanshou.report.calibration_plot import DIAGONAL, CalibrationPlot
from yanshou.report.curve_plot import AREA
from yanshou.report.label_places import crosses


def plot(scored: list[tuple[str, float]]) -> CalibrationPlot:
    groups = [judged_group(str(n), "pass" if label == "pass" else "fail", p=p) for n, (label, p) in enumerate(scored)]
    calibration = Calibration.of(groups)
    assert calibration is not None
    return CalibrationPlot.of(calibration, 0.95)


def test_a_bin_is_drawn_at_its_mean_and_its_share_of_passes() -> None:
    """One bin: four groups of 0.75, three of which people passed. Wilson's interval of 3 of 4 is 30.1 to 95.4 %."""
    drawn = plot([("pass", 0.75), ("pass", 0.75), ("pass", 0.75), ("fail", 0.75)])
    (one,) = drawn.bins
    three_quarters = AREA.left + 0.75 * (AREA.right - AREA.left), AREA.bottom - 0.75 * (AREA.bottom - AREA.top)
    assert (one.x, one.y) == pytest.approx(three_quarters)
    assert one.row == {"range": "0.75–0.75", "mean": "75.0%", "share": "75.0% [30.1–95.4]", "count": "4"}
    assert one.high < one.y < one.low  # y grows downwards
    assert (drawn.brier, drawn.base_rate_brier) == ("0.188", "0.188")  # 3/4 × 1/4, at the diagonal


def test_numbers_lie_on_no_interval_no_point_and_no_other_number() -> None:
    scored = [("pass" if n % 7 * p > 1.5 else "fail", p) for n in range(30) for p in (0.02, 0.03, 0.05, 0.5, 0.9, 0.97)]
    bins = plot(scored).bins
    boxes = [one.place.box(one.groups) for one in bins if one.place]
    assert 2 <= len(boxes) < len(bins)  # the crowded ones are in the table alone
    lines = [DIAGONAL, *(((one.x, one.low), (one.x, one.high)) for one in bins)]
    assert not any(crosses(box, *ends) for box in boxes for line in lines for ends in pairwise(line))
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
