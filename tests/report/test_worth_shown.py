"""The page says what a mission's figures are worth: the learned baseline, the best single feature, photos."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support.lines import GOOD, stage_a_line, verdict
from support.parsed_page import report

from yanshou.evaluate import evaluate
from yanshou.missions import load_missions
from yanshou.report.translations import TRANSLATIONS
from yanshou.report.worth_shown import WorthShown, worth_shown

Judged = Callable[..., Path]
FLAG = "螺丝、光纤插头/需复核备注:第{n}处看不清×1"


def shown(file: Path, lang: str) -> WorthShown:
    (found,) = worth_shown(evaluate([file], None, load_missions()), TRANSLATIONS[lang]).values()
    return found


def marked(judged: Judged, *, planted: bool) -> Path:
    """60 groups, every second a fail. Planted: all passes are marked 需复核; otherwise groups are marked by lot."""
    draw, verdicts, lines = random.Random(3), [], []
    for n in range(60):
        label = "fail" if n % 2 else "pass"
        has_flag = label == "pass" if planted else draw.random() < 0.5
        texts = [f"标签/可以识别×{n + 1}", *([FLAG.format(n=n)] if has_flag else ["无关图片×1"])]
        lines.append(stage_a_line(f"QC-{n}", label, *texts))
        verdicts.append(verdict(f"QC-{n}", label, draw.choice(["pass", "fail"]), round(draw.random(), 3)))
    return judged(verdicts, lines)


@pytest.mark.parametrize(
    ("lang", "text"), [("zh", "单凭“"), ("en", " alone predicts the label: AUC 1.00, in 100% of the")]
)
def test_a_planted_feature_is_named_as_a_warning(judged: Judged, lang: str, text: str) -> None:
    _, shortcut = shown(marked(judged, planted=True), lang).findings
    assert shortcut.warns
    assert text in shortcut.text
    assert "需复核" in shortcut.text


def test_without_a_planted_feature_nothing_warns_of_one(judged: Judged) -> None:
    _, shortcut = shown(marked(judged, planted=False), "en").findings
    assert not shortcut.warns
    assert shortcut.text == "No single feature reliably predicts the label."


def test_a_judge_by_lot_is_said_not_to_beat_the_learned_baseline(judged: Judged) -> None:
    baseline, _ = shown(marked(judged, planted=True), "en").findings
    assert baseline.warns
    assert baseline.text.startswith(
        "The judge is not shown to be better than the learned baseline: where each releases"
    )
    assert "; AUC 0." in baseline.text


def test_a_set_without_enough_groups_says_how_many_a_baseline_takes(judged: Judged) -> None:
    file = judged([verdict("QC-1", "pass", "pass", 0.9), verdict("QC-2", "fail", "fail", 0.1)])
    baseline, _ = shown(file, "en").findings
    assert not baseline.warns
    assert "it takes 20 groups of each label" in baseline.text
    assert "the rarer label has" in baseline.text


def test_fails_are_shared_by_number_of_photos(judged: Judged) -> None:
    lines = [
        stage_a_line("QC-1", "pass", GOOD),
        stage_a_line("QC-2", "fail", GOOD),
        stage_a_line("QC-3", "fail", GOOD, GOOD),
    ]
    file = judged([verdict(line["group_id"], line["label"], "pass", 0.5) for line in lines], lines)
    one, two = shown(file, "en").photos
    assert (one.photos, one.share, one.percent) == ("1", "1 / 2 · 50.0% [9.5–90.5]", 50.0)  # Wilson, 95 %
    assert (two.photos, two.groups, two.percent) == ("2", "1", 100.0)


def test_new_jobs_have_no_such_section(judged: Judged, tmp_path: Path) -> None:
    page = report([judged([verdict("QC-1", None, "pass", 0.9)])], tmp_path)
    assert page.texts[TRANSLATIONS["zh"]["worth"]] == 0
