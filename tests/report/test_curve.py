"""The curve of false releases against false blocks agrees with the figures."""

from pathlib import Path

from support.lines import GROUNDING
from support.parsed_page import report

from yanshou.evaluate import Counts, evaluate
from yanshou.missions import load_missions
from yanshou.report.curve import Curve, trade_off
from yanshou.settings import ThresholdSettings

MISSIONS = load_missions()


def test_the_curve_has_the_figures_of_every_threshold(report_files: list[Path]) -> None:
    plain = evaluate(report_files[:1], None, MISSIONS)
    scores = [(g.p_pass, g.key.label == "fail") for g in plain.groups if g.key.label and g.p_pass is not None]
    for point in trade_off(scores, plain.overall.judge.human_passes, plain.overall.judge.human_fails)[1:]:
        judge = evaluate(report_files[:1], None, MISSIONS, ThresholdSettings(threshold=point.threshold)).overall.judge
        assert (point.false_block, point.false_release) == (judge.false_block, judge.false_release)


def test_the_mark_lies_on_the_curve(report_files: list[Path], tmp_path: Path) -> None:
    result = evaluate(report_files[:1], None, MISSIONS, ThresholdSettings(threshold=0.6))
    curve = Curve.of(result.groups, 0.6)
    assert curve is not None
    judge: Counts = result.overall.judge
    (mark,) = curve.marks
    assert (mark.point.false_block, mark.point.false_release) == (judge.false_block, judge.false_release)
    assert curve.points[curve.start] == mark.point
    page = report(report_files[:1], tmp_path, threshold=0.6)
    assert len([figure for figure in page.named("figure") if "data-curve" in figure]) == 1
    assert page.texts["所选阈值 0.6"] == 1
    assert page.texts["通过概率 ≥ 0.6 判为通过（本次评估设定）"] == 1
    assert page.data["threshold"] == 0.6


def test_each_mission_with_both_labels_has_a_curve_beside_that_of_all_missions(
    report_files: list[Path], tmp_path: Path
) -> None:
    page = report(report_files, tmp_path)
    assert [f["data-curve"] for f in page.named("figure") if "data-curve" in f] == ["", GROUNDING]
