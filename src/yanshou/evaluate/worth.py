"""What the figures of a mission are worth: facts about the judge and the set that a rate alone does not show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yanshou.evaluate.baseline_comparison import Comparison
from yanshou.evaluate.baselines import FEWEST, LearnedBaseline
from yanshou.evaluate.calibration import Calibration, PhotoBand, fails_by_photos
from yanshou.evaluate.judged_group import JudgedGroup
from yanshou.evaluate.judges import Judge
from yanshou.missions.rules import Rule
from yanshou.schema.records import GroupKey, Label
from yanshou.stage_b.features import group_features
from yanshou.stage_b.shortcut import Shortcut, strongest_feature


@dataclass(frozen=True, slots=True)
class Worth:
    """What the figures of one mission are worth."""

    comparison: Comparison | None  # with the learned baseline
    rarer_label: int  # groups of the rarer label that are neither twins nor of one id
    calibration: Calibration | None  # None: no labelled group has a p_pass
    photos: tuple[PhotoBand, ...]
    shortcut: Shortcut | None

    @classmethod
    def of(cls, groups: Sequence[JudgedGroup], rule: Rule, confidence: float) -> "Worth":
        labelled = [(group, group.label) for group in groups if group.label and group.summaries]
        features = [group_features(group.summaries) for group, _ in labelled]
        baseline = LearnedBaseline.of([group for group, _ in labelled], features)
        return cls(
            comparison=Comparison.of(groups, baseline, confidence),
            rarer_label=baseline.rarer_label,
            calibration=Calibration.of(groups),
            photos=fails_by_photos(groups),
            shortcut=strongest_feature(zip([label for _, label in labelled], features, strict=True), rule),
        )

    @property
    def no_baseline(self) -> str | None:
        """Why there is no learned baseline; None: there is one."""
        if self.comparison:
            return None
        return (
            f"it takes {FEWEST} groups of each label that are neither twins nor of one id, and the rarer label has "
            f"{self.rarer_label}"
        )

    @property
    def learned(self) -> Mapping[GroupKey, Label] | None:
        """The verdicts of the learned baseline."""
        return self.comparison.verdicts if self.comparison else None

    def warnings(self, mission: str, judge: str) -> list[str]:
        """What a reader of the figures must know. `judge`: its name."""
        found = [self.comparison.warning(mission, judge)] if self.comparison else []
        found += [self.shortcut.warning(mission)] if self.shortcut and self.shortcut.suspicious else []
        return [warning for warning in found if warning]

    def to_dict(self, confidence: float) -> dict[str, Any]:
        return {
            "learned_baseline": self.comparison.to_dict() if self.comparison else self._no_baseline(),
            "calibration": self.calibration and self.calibration.to_dict(confidence),
            "fails_by_photos": [band.to_dict(confidence) for band in self.photos],
            "shortcut": self.shortcut and self.shortcut.model_dump(mode="json"),
        }

    def _no_baseline(self) -> dict[str, Any]:
        return {"why": self.no_baseline, "groups_needed": FEWEST, "groups_of_rarer_label": self.rarer_label}


def learned_verdicts(worth: Mapping[str, Worth]) -> Mapping[GroupKey, Label] | None:
    """The verdicts of the learned baselines of all missions; None: a mission has no baseline."""
    verdicts = [part.learned for part in worth.values()]
    return None if None in verdicts else {key: said for part in verdicts if part for key, said in part.items()}


def worth_warnings(worth: Mapping[str, Worth], judges: Mapping[str, Judge]) -> list[str]:
    """What a reader of the figures must know."""
    return [warning for name, part in worth.items() for warning in part.warnings(name, judges[name].name)]
