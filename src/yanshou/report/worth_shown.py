"""What a mission's figures are worth, in the page's language: baseline, shortcut, calibration, number of photos."""

from collections.abc import Mapping
from dataclasses import dataclass

from yanshou.evaluate.baseline_comparison import Comparison
from yanshou.evaluate.baselines import FEWEST
from yanshou.evaluate.calibration import PhotoBand
from yanshou.evaluate.evaluation import Evaluation
from yanshou.evaluate.worth import Worth
from yanshou.report.calibration_plot import CalibrationPlot
from yanshou.stage_b.features import CHARACTERS, NUMBERS, PHOTOS
from yanshou.stage_b.shortcut import Shortcut


@dataclass(frozen=True, slots=True)
class Finding:
    """A sentence about a mission."""

    text: str
    warns: bool


@dataclass(frozen=True, slots=True)
class PhotoRow:
    """One row of the table of fails by number of photos."""

    photos: str
    groups: str
    share: str
    percent: float  # the length of the bar


@dataclass(frozen=True, slots=True)
class WorthShown:
    """The section's part about one mission."""

    findings: tuple[Finding, ...]
    plot: CalibrationPlot | None
    photos: tuple[PhotoRow, ...]


def worth_shown(evaluation: Evaluation, texts: Mapping[str, str]) -> dict[str, WorthShown]:
    """By mission; those without a labelled group are left out."""
    found = {name: _shown(part, evaluation.confidence, texts) for name, part in evaluation.worth.items()}
    return {name: shown for name, shown in found.items() if shown.photos}


def _shown(part: Worth, confidence: float, texts: Mapping[str, str]) -> WorthShown:
    return WorthShown(
        findings=(_baseline(part, texts), _shortcut(part.shortcut, texts)),
        plot=CalibrationPlot.of(part.calibration, confidence) if part.calibration else None,
        photos=tuple(_photos(band, confidence) for band in part.photos),
    )


def _baseline(part: Worth, texts: Mapping[str, str]) -> Finding:
    against = part.comparison
    if against is None:
        return Finding(texts["learned_none"].format(needed=FEWEST, rarer=part.rarer_label), warns=False)
    key = "learned_beaten" if against.judge_is_better else "learned_not_beaten"
    return Finding(texts[key].format(compared=_compared(against, texts)), warns=not against.judge_is_better)


def _compared(against: Comparison, texts: Mapping[str, str]) -> str:
    gap = against.balanced_accuracy
    found = texts["learned_compared"].format(
        released=f"{against.released:,}",
        groups=f"{against.groups:,}",
        judge=against.fails_released,
        learned=against.fails_released_by_baseline,
        gap=f"{gap.value * 100:+.1f}",
        interval=f"[{gap.low * 100:+.1f}, {gap.high * 100:+.1f}]",
    )
    if against.auc is None:
        return found
    return found + texts["learned_aucs"].format(judge=f"{against.auc:.2f}", learned=f"{against.baseline_auc:.2f}")


def _shortcut(shortcut: Shortcut | None, texts: Mapping[str, str]) -> Finding:
    if shortcut is None or shortcut.low <= 0.5:  # it may predict the label by chance
        return Finding(texts["shortcut_none"], warns=False)
    number = shortcut.feature in NUMBERS
    shares = [f"{share:g}" if number else f"{share:.0%}" for share in (shortcut.in_passes, shortcut.in_fails)]
    where = texts["shortcut_medians" if number else "shortcut_shares"].format(passes=shares[0], fails=shares[1])
    names = {PHOTOS: texts["feature_photos"], CHARACTERS: texts["feature_characters"]}
    text = texts[
        "shortcut_warns" if shortcut.suspicious else "shortcut_in_rule" if shortcut.in_rule else "shortcut_best"
    ]
    feature = names.get(shortcut.feature, shortcut.feature)
    return Finding(text.format(feature=feature, auc=f"{shortcut.auc:.2f}", where=where), shortcut.suspicious)


def _photos(band: PhotoBand, confidence: float) -> PhotoRow:
    low, high = band.fails.interval(confidence) or (0.0, 1.0)
    share = band.fails.count / band.fails.of
    text = f"{band.fails.count:,} / {band.fails.of:,} · {share:.1%} [{low * 100:.1f}–{high * 100:.1f}]"
    return PhotoRow(band.name, f"{band.fails.of:,}", text, round(share * 100, 1))
