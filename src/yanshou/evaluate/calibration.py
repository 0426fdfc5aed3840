"""Whether p_pass means what it says, and how the human label goes with the number of photos.

    p_pass 0.90–0.95: 120 groups, 0.93 on average, and people passed 81 %        calibrated: 93 %

The bins of a mission have about equally many groups, and equal values of p_pass share a bin. So the dense top of the
scale, where a threshold is chosen, has bins of its own. The Brier score is the mean squared distance between p_pass and
the label (1 for pass, 0 for fail; scikit-learn), lower is better. Beside it is the score of a constant: p_pass equal to
the share of passes in this set. A judge with a higher score than that says less than the share alone. Groups without a
label or without p_pass are left out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import brier_score_loss, roc_auc_score

from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.metrics import Rate
from yanshou.evaluate.photo_bands import BANDS, band_of

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Groups with a similar p_pass."""

    low: float  # of p_pass
    high: float
    mean: float
    passes: Rate  # human passes among the groups

    def to_dict(self, confidence: float) -> dict[str, Any]:
        return {"low": self.low, "high": self.high, "mean": self.mean, "human_passes": self.passes.to_dict(confidence)}


@dataclass(frozen=True, slots=True)
class Calibration:
    """p_pass against the human labels of one mission."""

    bins: tuple[Bin, ...]  # by rising p_pass
    auc: float | None  # how often a human pass has the higher p_pass; None: all groups have one label
    brier: float
    base_rate_brier: float  # of a constant: the share of passes

    @classmethod
    def of(cls, groups: Sequence[JudgedGroup]) -> "Calibration | None":
        """None: no labelled group has a p_pass."""
        scored = [(group.p_pass, group.label == "pass") for group in groups if group.label and group.verdict]
        pairs = sorted((p, passed) for p, passed in scored if p is not None)
        if not pairs:
            return None
        p, passed = np.array([p for p, _ in pairs]), np.array([passed for _, passed in pairs], dtype=float)
        share = float(passed.mean())
        return cls(
            bins=tuple(_bin(p[rows], passed[rows]) for rows in _equal_bins(p)),
            auc=float(roc_auc_score(passed, p)) if 0 < share < 1 else None,
            brier=float(brier_score_loss(passed, p, pos_label=1)),
            base_rate_brier=share * (1 - share),
        )

    def to_dict(self, confidence: float) -> dict[str, Any]:
        return {
            "bins": [one.to_dict(confidence) for one in self.bins],
            "auc": self.auc,
            "brier": self.brier,
            "base_rate_brier": self.base_rate_brier,
        }


@dataclass(frozen=True, slots=True)
class PhotoBand:
    """The groups with so many photos."""

    name: str  # 3; 5–7; 8+
    fails: Rate  # human fails among the groups

    def to_dict(self, confidence: float) -> dict[str, Any]:
        return {"photos": self.name, "human_fails": self.fails.to_dict(confidence)}


def fails_by_photos(groups: Sequence[JudgedGroup]) -> tuple[PhotoBand, ...]:
    """The share of human fails by number of photos. Bands without a labelled group are left out."""
    labelled = [(band_of(len(group.images)), group.label) for group in groups if group.label and group.images]
    counts = Counter(labelled)
    sizes = Counter(band for band, _ in labelled)
    return tuple(PhotoBand(name, Rate(counts[name, "fail"], sizes[name])) for _, name in BANDS if sizes[name])


def _equal_bins(p: np.ndarray) -> list[slice]:
    """The rows of each bin of a sorted array. A value that fills a whole bin has one of its own."""
    edges = p[np.linspace(0, len(p), BINS + 1)[1:-1].astype(int)]
    frequent = edges[1:][edges[1:] == edges[:-1]]
    starts = np.unique([0, *np.searchsorted(p, edges), *np.searchsorted(p, frequent, side="right")])
    starts = starts[starts < len(p)]
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], len(p)], strict=True)]


def _bin(p: np.ndarray, passed: np.ndarray) -> Bin:
    return Bin(float(p[0]), float(p[-1]), float(p.mean()), Rate(int(passed.sum()), len(p)))
