"""What the figures of a mission are worth: facts about the judge and the set that a rate alone does not show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yanshou.evaluate.baselines import LearnedBaseline
from yanshou.evaluate.calibration import Calibration, PhotoBand, fails_by_photos
from yanshou.evaluate.comparison import Comparison
from yanshou.evaluate.judged_groups import JudgedGroup
from yanshou.missions.rules import Rule
from yanshou.schema.records import GroupKey, Label
from yanshou.stage_b.shortcut import Shortcut, find_shortcut


@dataclass(frozen=True, slots=True)
class Worth:
    """What the figures of one mission are worth."""

    comparison: Comparison | None  # with the learned baseline
    no_baseline: str | None  # why there is no learned baseline
    calibration: Calibration | None  # None: no labelled group has a p_pass
    photos: tuple[PhotoBand, ...]
    shortcut: Shortcut | None

    @classmethod
    def of(cls, groups: Sequence[JudgedGroup], rule: Rule, confidence: float) -> "Worth":
        baseline = LearnedBaseline.of(groups)
        labelled = [(group.label, group.summaries) for group in groups if group.label and group.summaries]
        return cls(
            comparison=Comparison.of(groups, baseline, confidence),
            no_baseline=baseline.why,
            calibration=Calibration.of(groups),
            photos=fails_by_photos(groups),
            shortcut=find_shortcut(labelled, rule),
        )

    @property
    def learned(self) -> Mapping[GroupKey, Label] | None:
        """The verdicts of the learned baseline."""
        return self.comparison and self.comparison.verdicts

    def warnings(self, mission: str, judge: str) -> list[str]:
        """What a reader of the figures must know. `judge`: its name."""
        found = [self.comparison.warning(mission, judge)] if self.comparison else []
        found += [self.shortcut.warning(mission)] if self.shortcut and self.shortcut.suspicious else []
        return [warning for warning in found if warning]

    def to_dict(self, confidence: float) -> dict[str, Any]:
        return {
            "learned_baseline": self.comparison.to_dict() if self.comparison else {"why": self.no_baseline},
            "calibration": self.calibration and self.calibration.to_dict(confidence),
            "fails_by_photos": [band.to_dict(confidence) for band in self.photos],
            "shortcut": self.shortcut and self.shortcut.model_dump(mode="json"),
        }


def learned_verdicts(parts: Sequence[Worth]) -> Mapping[GroupKey, Label] | None:
    """The verdicts of the learned baselines of several missions; None: one of them has none."""
    verdicts = [part.learned for part in parts]
    if None in verdicts:
        return None
    return {key: verdict for part in verdicts if part is not None for key, verdict in part.items()}
