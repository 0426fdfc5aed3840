"""Bins of p_pass, the Brier score, and the share of fails by number of photos."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from support.judged_groups import judged_group
from support.lines import GOOD, GROUNDING, fault, stage_a_line, verdict

from yanshou.evaluate import Rate, evaluate
from yanshou.evaluate.calibration import BINS, Calibration
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.missions import load_missions
from yanshou.schema.records import Label

MISSIONS = load_missions()
Judged = Callable[..., Path]


def groups(scored: Iterable[tuple[float | None, Label | None]]) -> list[JudgedGroup]:
    return [judged_group(str(number), label, p=p) for number, (p, label) in enumerate(scored)]


def test_brier_score_and_that_of_the_base_rate() -> None:
    found = Calibration.of(groups([(0.9, "pass"), (0.6, "fail"), (0.2, "fail"), (1.0, "pass"), (None, "pass")]))
    assert found is not None
    assert found.brier == pytest.approx((0.01 + 0.36 + 0.04 + 0.0) / 4)
    assert found.base_rate_brier == pytest.approx(0.25)
    assert found.auc == 1.0


def test_bins_have_equally_many_groups_and_count_passes() -> None:
    found = Calibration.of(groups((n / 100, "pass" if n % 2 else "fail") for n in range(100)))
    assert found is not None
    assert [(one.low, one.high, one.passes) for one in found.bins] == [
        (10 * n / 100, (10 * n + 9) / 100, Rate(5, 10)) for n in range(BINS)
    ]
    assert found.bins[3].mean == pytest.approx(0.345)


@pytest.mark.parametrize(
    ("scored", "sizes"),
    [
        ([0.1] * 95 + [0.2] * 5, [95, 5]),
        ([0.1] * 5 + [0.2] * 95, [5, 95]),
        ([0.5] * 7, [7]),
        ([0.1, 0.2, 0.3], [1, 1, 1]),
        ([0.0] * 40 + [0.5 + n / 100 for n in range(20)] + [1.0] * 40, [40, 10, 10, 40]),
    ],
)
def test_equal_values_share_a_bin_and_a_frequent_one_has_its_own(scored: list[float], sizes: list[int]) -> None:
    found = Calibration.of(groups((p, "pass") for p in scored))
    assert found is not None
    assert [one.passes.of for one in found.bins] == sizes


def test_verdicts_without_p_pass_have_no_calibration() -> None:
    assert Calibration.of(groups([(None, "pass"), (None, "fail"), (0.5, None)])) is None


def test_the_share_of_fails_by_number_of_photos(judged: Judged) -> None:
    lines, verdicts = [], []
    for number, (photos, label) in enumerate(
        [(1, "fail"), (1, "pass"), (3, "pass"), (6, "fail"), (7, None), (9, "fail")]
    ):
        lines.append(stage_a_line(f"QC-{number}", label, *[GOOD] * photos))
        verdicts.append(verdict(f"QC-{number}", label))
    lines.append(stage_a_line("QC-9", "pass", GOOD))  # without a verdict, it still has photos and a label
    result = evaluate([judged(verdicts, lines, [fault("QC-9")])], None, MISSIONS)
    bands = [(band.name, band.fails) for band in result.worth[GROUNDING].photos]
    assert bands == [("1", Rate(1, 3)), ("3", Rate(0, 1)), ("5–7", Rate(1, 1)), ("8+", Rate(1, 1))]
    found = json.loads(json.dumps(result.to_dict(), allow_nan=False))["missions"][GROUNDING]
    assert found["fails_by_photos"][0]["photos"] == "1"
    assert found["fails_by_photos"][0]["human_fails"]["count"] == 1
    assert found["calibration"]["bins"][0]["human_passes"]["of"] == 5
