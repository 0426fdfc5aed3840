"""What the figures of a mission are worth: facts about the judge and the set that a rate alone does not show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from yanshou.evaluate.calibration import Calibration, PhotoBand, fails_by_photos
from yanshou.evaluate.judged_groups import JudgedGroup


@dataclass(frozen=True, slots=True)
class Worth:
    """What the figures of one mission are worth."""

    calibration: Calibration | None  # None: no labelled group has a p_pass
    photos: tuple[PhotoBand, ...]

    @classmethod
    def of(cls, groups: Sequence[JudgedGroup]) -> "Worth":
        return cls(calibration=Calibration.of(groups), photos=fails_by_photos(groups))

    def to_dict(self, confidence: float) -> dict[str, Any]:
        return {
            "calibration": self.calibration and self.calibration.to_dict(confidence),
            "fails_by_photos": [band.to_dict(confidence) for band in self.photos],
        }
